// SPDX-License-Identifier: Apache-2.0
// The way back from the cells of a grid to their pixels, channels last.
#pragma once

#include <cstdint>

#include "kernels/extents3.h"

namespace octconv::nn::kernels {

using octconv::kernels::Extents3;

/// out[n][z][y][x][c] = src at the pixel's cell, floor((z, y, x) / cell): whole, the adjoint of
/// cells' sums, or divided by the number of the cell's pixels, the adjoint of their averages. The
/// last cells of an axis may have fewer pixels.
struct SpreadRows {
  const float* src = nullptr;
  float* out = nullptr;
  std::int64_t channels = 0;
  std::int64_t src_pitch = 0;  ///< floats from one pixel to the next
  std::int64_t out_pitch = 0;
  Extents3 extents{};  ///< of the output
  Extents3 cell{};
  bool shares = false;  ///< divides
  bool adds = false;    ///< to what `out` holds, instead of overwriting it
};

/// Rows [begin, end) of all the output's rows: there are batch * extents[0] * extents[1] of them.
void spread(const SpreadRows& rows, std::int64_t begin, std::int64_t end) noexcept;

}  // namespace octconv::nn::kernels
