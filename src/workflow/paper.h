// SPDX-License-Identifier: Apache-2.0
// The article's figures beside the same counted here.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "workflow/paper_tables.h"

namespace octconv::workflow {

struct PaperResult {
  const PaperRow* row = nullptr;
  const PaperValue* value = nullptr;
  std::optional<double> computed;  // in the unit of the quantity; not there: no such network
  // The computed figure, rounded as the published one is, minus that; 0 where they differ by no
  // more than the reading error of a drawing. Not there: one of them is missing.
  std::optional<double> difference;
};

struct ReproducedTable {
  const PaperTable* table = nullptr;
  std::vector<PaperResult> results;  // row by row
};

// Makes every network of the table and counts it.
ReproducedTable reproduce(const PaperTable& table);

// "GFLOPs"
std::string_view name(Quantity quantity);

// The value of a figure as it was printed. Throws InvalidArgument if it is not a number.
double number(std::string_view published);

// Decimals with which a figure was printed.
int decimals(std::string_view published);

}  // namespace octconv::workflow
