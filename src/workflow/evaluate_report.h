// SPDX-License-Identifier: Apache-2.0
// How well a model does, size by size and class by class.
#pragma once

#include <string>
#include <vector>

#include "octconv/image/image.h"
#include "report/table.h"
#include "workflow/evaluate.h"

namespace octconv::workflow {

// A row for each evaluation.
report::Table size_table(const std::vector<DetailedEvaluation>& evaluations);

// A row for each class: its images, how many are found, and what most of the others are taken for.
report::Table class_table(const DetailedEvaluation& evaluation,
                          const std::vector<std::string>& classes);

// A square for each pair of classes, darker the more of the images of the row's class were taken
// for the column's: white for none, dark blue for all. Rows and columns are numbered from 0 in the
// order of the classes, unless there are too many.
Image confusion_image(const DetailedEvaluation& evaluation);

// A page with the matrix, named and with numbers, and the table of classes.
std::string confusion_html(const DetailedEvaluation& evaluation, const std::string& model,
                           const Dataset& data);

}  // namespace octconv::workflow
