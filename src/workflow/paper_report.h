// SPDX-License-Identifier: Apache-2.0
// The article's figures and ours, for people and for programs.
#pragma once

#include <string>
#include <vector>

#include "report/chart.h"
#include "workflow/paper.h"

namespace octconv::workflow {

// Each table under its title, with the reasons of differences below it, and a summary.
std::string paper_text(const std::vector<ReproducedTable>& tables);

// A self-contained page; with figure 4 drawn if it is among the tables.
std::string paper_html(const std::vector<ReproducedTable>& tables);

// All numbers, as JSON with a newline at the end; null for what is not there.
std::string paper_json(const std::vector<ReproducedTable>& tables);

// Figure 4: published accuracy over computed work, a line per network along alpha.
report::Chart accuracy_chart(const ReproducedTable& figure4);

}  // namespace octconv::workflow
