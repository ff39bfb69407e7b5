// SPDX-License-Identifier: Apache-2.0
// A comparison for people and for programs.
#pragma once

#include <string>

#include "report/table.h"
#include "workflow/compare.h"

namespace octconv::workflow {

// One row per variant.
report::Table compare_table(const Comparison& comparison);

// A self-contained page: what was done, the table, accuracy against work, training curves, the maps
// inside.
std::string compare_html(const Comparison& comparison);

// All numbers, as JSON with a newline at the end; those that are not finite are null.
std::string compare_json(const Comparison& comparison);

// Variants whose accuracy in the engine differs from the trained module's, one sentence each.
std::vector<std::string> disagreements(const Comparison& comparison);

}  // namespace octconv::workflow
