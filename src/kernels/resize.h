// SPDX-License-Identifier: Apache-2.0
// Enlarging maps by whole factors, channels last.
#pragma once

#include <cstdint>

#include "kernels/extents3.h"

namespace octconv::kernels {

enum class ResizeMode { kNearest, kLinear };

/// out[n][z][y][x][c]: along each axis, nearest takes input pixel floor(i / factor); linear lies at
/// (i + 1/2) / factor - 1/2 between two pixels, of which those at the edges go on outside.
struct ResizeRows {
  const float* src = nullptr;
  float* out = nullptr;
  std::int64_t channels = 0;
  Extents3 in{};
  Extents3 extents{};  ///< of the output, <= in * factor
  Extents3 factor{};
  ResizeMode mode = ResizeMode::kNearest;
};

/// Rows [begin, end) of all the output's rows: there are batch * extents[0] * extents[1] of them.
void resize(const ResizeRows& rows, std::int64_t begin, std::int64_t end) noexcept;

}  // namespace octconv::kernels
