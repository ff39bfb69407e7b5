// SPDX-License-Identifier: Apache-2.0
// Averages and sums over the cells of a grid.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/extents3.h"
#include "kernels/pool.h"

namespace octconv::octave {

/// Rows, of which each reads so many floats, for which waking another thread is worth its time.
[[nodiscard]] inline std::int64_t row_grain(std::int64_t floats) noexcept {
  constexpr std::int64_t kLeastFloats = 16'384;
  return (kLeastFloats + floats - 1) / std::max<std::int64_t>(1, floats);
}

/// The pool that makes a pixel of each cell of a map, but its pointers. Cells at a far edge may
/// have fewer pixels.
[[nodiscard]] kernels::PoolRows pooled_cells(
    const kernels::Extents3& extents, const kernels::Extents3& cell, std::int64_t channels,
    kernels::PoolKind kind = kernels::PoolKind::kAverage) noexcept;

/// Runs a pool over a batch, on several threads.
void run_pool(kernels::PoolRows pool, std::int64_t batch, const float* src, float* out) noexcept;

}  // namespace octconv::octave
