// SPDX-License-Identifier: Apache-2.0
// What one pass of a planned convolution reads and writes in one run.
#pragma once

#include <array>
#include <cstdint>

#include "kernels/conv_tile.h"
#include "kernels/extents3.h"
#include "octave/tap_grid.h"

namespace octconv::octave {

/// A map that is added as if it were enlarged: each of its pixels to all pixels of a cell.
struct Addend {
  const float* map = nullptr;  ///< null: there is none
  kernels::Extents3 extents{};
  kernels::Extents3 factor{};  ///< extents of a cell
  std::int64_t channels = 0;

  /// Where what is added to `count` output pixels of a row begins, from one of them on.
  void fill(const Position& at, std::int64_t count, const float** rows) const noexcept {
    const float* row =
        map +
        (((at.image * extents[0] + at.z / factor[0]) * extents[1] + at.y / factor[1]) * extents[2] +
         at.x / factor[2]) *
            channels;
    std::int64_t left = factor[2] - at.x % factor[2];  // pixels of the cell
    for (std::int64_t i = 0; i < count; ++i) {
      rows[i] = row;
      if (--left > 0) continue;
      left = factor[2];
      row += channels;
    }
  }
};

struct RowFeed;

struct PassMemory {
  std::array<const float*, 2> inputs{};
  const RowFeed* feed = nullptr;  ///< makes the rows of the first input instead; may be null
  Addend addend;
  const float* residual = nullptr;
  float* out = nullptr;
  const float* next = nullptr;  ///< weights that are wanted after the pass's; may be null
  float* scratch = nullptr;     ///< of the pass alone
  Activation activation{ActivationKind::kNone};
  kernels::SecondResult second;
  float* averages = nullptr;  ///< of the cells of the second result if there is one; may be null
};

}  // namespace octconv::octave
