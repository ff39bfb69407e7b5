// SPDX-License-Identifier: Apache-2.0
// A study as a table and as a page.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "report/table.h"
#include "workflow/study.h"

namespace octconv::workflow {

// Of the runs of a variant that are finished.
struct StudySummary {
  std::string variant;
  std::int64_t runs = 0;
  std::int64_t macs = 0;
  std::int64_t params = 0;
  double accuracy = 0;               // mean; 0 without runs, like the others
  double top5_accuracy = 0;          // mean
  std::optional<double> deviation;   // sample standard deviation of the accuracy, of two or more
  std::optional<double> difference;  // mean difference from the first variant, seed by seed
  std::optional<double> difference_deviation;  // its sample standard deviation
};

// One for each variant, in the study's order.
std::vector<StudySummary> summarise(const StudyResult& result);

report::Table study_table(const StudyResult& result);
std::string study_html(const StudyResult& result);
std::string study_json(const StudyResult& result);

}  // namespace octconv::workflow
