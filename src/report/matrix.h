// SPDX-License-Identifier: Apache-2.0
// A square of shares, such as a confusion matrix, as SVG.
#pragma once

#include <string>
#include <vector>

namespace octconv::report {

struct Matrix {
  std::string title;
  std::string rows;                         // what a row is
  std::string columns;                      // what a column is
  std::vector<std::string> labels;          // of rows and columns
  std::vector<std::vector<double>> shares;  // one row per label, each value in [0, 1]
};

// An <svg> element that also stands alone as a file; readable on a light and on a dark ground. A
// share is the strength of its cell's colour; where cells are large enough it is written into them
// too, in percent. Each cell says its row, column and share to who points at it.
//
// Throws InvalidArgument for no labels, rows or columns that are not one per label, or a share that
// is not in [0, 1].
std::string to_svg(const Matrix& matrix);

}  // namespace octconv::report
