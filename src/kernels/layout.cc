// SPDX-License-Identifier: Apache-2.0
#include "kernels/layout.h"

#include <algorithm>

namespace octconv::kernels {

void transpose(const float* src, std::int64_t rows, std::int64_t columns, std::int64_t begin,
               std::int64_t end, float* out) noexcept {
  constexpr std::int64_t kBlock = 16;  // floats of one cache line
  for (std::int64_t column = begin; column < end; column += kBlock) {
    const std::int64_t column_end = std::min(column + kBlock, end);
    for (std::int64_t row = 0; row < rows; row += kBlock) {
      const std::int64_t row_end = std::min(row + kBlock, rows);
      for (std::int64_t c = column; c < column_end; ++c) {
        for (std::int64_t r = row; r < row_end; ++r) out[c * rows + r] = src[r * columns + c];
      }
    }
  }
}

}  // namespace octconv::kernels
