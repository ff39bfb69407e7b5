// SPDX-License-Identifier: Apache-2.0
// Averages and sums of the cells of a high grid, some rows at a time: for who has just made these
// rows, while they are near.
#pragma once

#include <array>
#include <cstdint>

#include "octconv/base/api.h"
#include "octconv/tensor/shape.h"

namespace octconv {

/// What becomes of a cell's pixels: what high_to_low paths read, and the adjoint of what
/// low_to_high paths make.
enum class CellValue { kAverage, kSum };

/// The cells of a map [batch, extents..., channels]. Those at a far edge may have fewer pixels.
///
/// A row of cells is one along the last axis or, where the outermost of three axes is divided too,
/// a plane of them: its pixels lie side by side in memory.
class CellRows {
 public:
  /// @param cell     extents of a cell, 1 along an axis that is not divided
  /// @param extents  of the map: rank 1 to 3, that of `cell`
  OCTCONV_API CellRows(const Shape& cell, std::int64_t batch, const Shape& extents,
                       std::int64_t channels, CellValue value);

  /// Rows of cells, of all images.
  [[nodiscard]] std::int64_t count() const noexcept { return batch_ * rows_; }
  /// Where a row begins, in floats of the map; row `count()`: where the map ends.
  [[nodiscard]] OCTCONV_API std::int64_t begin(std::int64_t row) const noexcept;

  /// Makes rows [first, last).
  /// @param out  [batch, ceil(extents / cell)..., channels]
  OCTCONV_API void make(std::int64_t first, std::int64_t last, const float* map,
                        float* out) const noexcept;
  /// Makes all, on several threads.
  OCTCONV_API void make_all(const float* map, float* out) const noexcept;

 private:
  std::array<std::int64_t, 3> cell_;
  std::array<std::int64_t, 3> extents_;
  std::int64_t batch_;
  std::int64_t channels_;
  CellValue value_;
  std::int64_t rows_;    // of an image
  std::int64_t pooled_;  // rows along the last axis in a row
};

}  // namespace octconv
