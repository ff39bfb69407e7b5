// SPDX-License-Identifier: Apache-2.0
// Trainings side by side: a table, a page with their curves, JSON.
#pragma once

#include <string>
#include <vector>

#include "report/table.h"
#include "workflow/history.h"

namespace octconv::workflow {

// All require a history.
report::Table history_table(const std::vector<History>& histories);
std::string history_html(const std::vector<History>& histories);
std::string history_json(const std::vector<History>& histories);

}  // namespace octconv::workflow
