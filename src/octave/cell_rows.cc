// SPDX-License-Identifier: Apache-2.0
#include "octconv/octave/cell_rows.h"

#include <algorithm>

#include "octave/pooled_cells.h"

namespace octconv {

using kernels::product;
using kernels::to_three;

namespace {

kernels::PoolRows pool_of(const kernels::Extents3& extents, const kernels::Extents3& cell,
                          std::int64_t channels, CellValue value) {
  return octave::pooled_cells(
      extents, cell, channels,
      value == CellValue::kSum ? kernels::PoolKind::kSum : kernels::PoolKind::kAverage);
}

}  // namespace

CellRows::CellRows(const Shape& cell, std::int64_t batch, const Shape& extents,
                   std::int64_t channels, CellValue value)
    : cell_(to_three(cell, 1)),
      extents_(to_three(extents, 1)),
      batch_(batch),
      channels_(channels),
      value_(value) {
  const kernels::Extents3 cells = pool_of(extents_, cell_, channels, value).extents;
  const bool planes = cell_[0] > 1;
  rows_ = planes ? cells[0] : cells[0] * cells[1];
  pooled_ = planes ? cells[1] : 1;
}

std::int64_t CellRows::begin(std::int64_t row) const noexcept {
  const std::int64_t image = row / rows_;
  const std::int64_t own = row % rows_;
  const std::int64_t plane = extents_[1] * extents_[2];
  std::int64_t pixel = image * product(extents_);
  if (cell_[0] > 1) {
    pixel += own * cell_[0] * plane;
  } else {
    const std::int64_t each = rows_ / extents_[0];  // of a plane
    pixel += own / each * plane + own % each * cell_[1] * extents_[2];
  }
  return pixel * channels_;
}

void CellRows::make(std::int64_t first, std::int64_t last, const float* map,
                    float* out) const noexcept {
  kernels::PoolRows pool = pool_of(extents_, cell_, channels_, value_);
  pool.src = map;
  pool.out = out;
  kernels::pool(pool, first * pooled_, last * pooled_);
}

void CellRows::make_all(const float* map, float* out) const noexcept {
  octave::run_pool(pool_of(extents_, cell_, channels_, value_), batch_, map, out);
}

}  // namespace octconv
