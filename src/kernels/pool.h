// SPDX-License-Identifier: Apache-2.0
// Pooling, channels last.
#pragma once

#include <cstdint>

#include "kernels/extents3.h"
#include "octconv/kernels/prologue.h"

namespace octconv::kernels {

enum class PoolKind { kMax, kAverage, kSum };

/// out[n][z][y][x][c] = maximum, mean or sum of the real pixels of the window that begins at
/// (z, y, x) * stride - padding. A NaN in a window is its result.
///
/// Every window must hold a real pixel.
struct PoolRows {
  const float* src = nullptr;
  float* out = nullptr;
  std::int64_t channels = 0;
  std::int64_t pitch = 0;  ///< floats from one pixel to the next, in `src` and `out`
  Extents3 in{};
  Extents3 extents{};  ///< of the output
  Extents3 kernel{};
  Extents3 stride{};
  Extents3 padding{};  ///< before the first pixel
  PoolKind kind = PoolKind::kMax;
  Prologue prologue{};  ///< of averages alone
};

/// Rows [begin, end) of all the output's rows: there are batch * extents[0] * extents[1] of them.
void pool(const PoolRows& rows, std::int64_t begin, std::int64_t end) noexcept;

/// out[c] = mean over pixels of src[p][c], pixels `stride` apart.
void global_average(const float* src, std::int64_t pixels, std::int64_t stride,
                    std::int64_t channels, float* out) noexcept;

}  // namespace octconv::kernels
