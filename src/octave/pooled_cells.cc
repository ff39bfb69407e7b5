// SPDX-License-Identifier: Apache-2.0
#include "octave/pooled_cells.h"

#include "octconv/base/parallel.h"

namespace octconv::octave {

kernels::PoolRows pooled_cells(const kernels::Extents3& extents, const kernels::Extents3& cell,
                               std::int64_t channels, kernels::PoolKind kind) noexcept {
  kernels::PoolRows pool{.channels = channels,
                         .pitch = channels,
                         .in = extents,
                         .kernel = cell,
                         .stride = cell,
                         .kind = kind};
  for (std::size_t axis = 0; axis < cell.size(); ++axis) {
    pool.extents[axis] = (extents[axis] + cell[axis] - 1) / cell[axis];
  }
  return pool;
}

void run_pool(kernels::PoolRows pool, std::int64_t batch, const float* src, float* out) noexcept {
  pool.src = src;
  pool.out = out;
  parallel_for(batch * pool.extents[0] * pool.extents[1],
               row_grain(pool.kernel[0] * pool.kernel[1] * pool.in[2] * pool.channels),
               [&](std::int64_t begin, std::int64_t end) { kernels::pool(pool, begin, end); });
}

}  // namespace octconv::octave
