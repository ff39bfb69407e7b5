// SPDX-License-Identifier: Apache-2.0
// The article's CPU times and this machine's, for people and for programs.
#pragma once

#include <string>
#include <vector>

#include "report/chart.h"
#include "workflow/paper_times.h"

namespace octconv::workflow {

// Tables measured in one go, and on what.
struct PaperTimes {
  PaperTimingOptions options;
  std::string processor;
  std::vector<TimedTable> tables;
};

// Each table under its title; below them what the columns mean.
std::string paper_times_text(const PaperTimes& times);

// A self-contained page with the chart.
std::string paper_times_html(const PaperTimes& times);

// All numbers, as JSON with a newline at the end; null for what the article does not print.
std::string paper_times_json(const PaperTimes& times);

// Time over multiply-adds, both as shares of alpha 0: each family measured here and in the article,
// and the line on which every multiply-add saved is time saved.
report::Chart time_chart(const PaperTimes& times);

}  // namespace octconv::workflow
