// SPDX-License-Identifier: Apache-2.0
#include "nn/cells.h"

#include <algorithm>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "nn/spatial.h"
#include "nn/spread_kernel.h"
#include "octconv/base/executor.h"
#include "octconv/base/parallel.h"

namespace octconv::nn {
namespace {

// Views dst as cells along `dim` and each following axis in turn; a last cell of fewer pixels is a
// part of its own.
void add_along(at::Tensor dst, at::Tensor src, const Shape& cell, std::size_t axis,
               std::int64_t dim) {
  if (axis == cell.rank()) {
    dst.add_(src);
    return;
  }
  const std::int64_t size = cell[axis];
  if (size == 1) {
    add_along(dst, src, cell, axis + 1, dim + 1);
    return;
  }
  const std::int64_t whole = dst.size(dim) / size;
  const std::int64_t rest = dst.size(dim) % size;
  const auto add_part = [&](std::int64_t first, std::int64_t cells, std::int64_t pixels) {
    add_along(dst.narrow(dim, first * size, cells * pixels).unflatten(dim, {cells, pixels}),
              src.narrow(dim, first, cells).unsqueeze(dim + 1), cell, axis + 1, dim + 2);
  };
  if (whole > 0) add_part(0, whole, size);
  if (rest > 0) add_part(whole, 1, rest);
}

double cell_elements(const Shape& cell) {
  return static_cast<double>(cell.elements());
}

// Each cell's value by the number of its pixels on a grid of `extents`.
at::Tensor divide_by_cell_size(const at::Tensor& x, const Shape& cell, const Shape& extents) {
  at::Tensor shares = x.mul(1.0 / cell_elements(cell));
  for (std::size_t axis = 0; axis < cell.rank(); ++axis) {
    const auto dim = static_cast<std::int64_t>(axis) + 2;
    const std::int64_t rest = extents[axis] % cell[axis];
    if (rest == 0) continue;
    shares.narrow(dim, shares.size(dim) - 1, 1)
        .mul_(static_cast<double>(cell[axis]) / static_cast<double>(rest));
  }
  return shares;
}

// Floats from one pixel to the next of a map whose pixels lie in order, each with its channels side
// by side; of some channels of such a map too. 0 for any other map.
std::int64_t pixel_pitch(const at::Tensor& x) {
  if (!x.is_cpu() || x.scalar_type() != at::kFloat || (x.size(1) > 1 && x.stride(1) != 1)) return 0;
  const std::int64_t pitch = x.stride(-1);
  std::int64_t next = pitch;
  for (std::int64_t dim = x.dim() - 1; dim >= 2; --dim) {
    if (x.size(dim) > 1 && x.stride(dim) != next) return 0;
    next *= x.size(dim);
  }
  const bool ordered = x.size(0) == 1 || x.stride(0) == next;
  return ordered && pitch >= x.size(1) ? pitch : 0;
}

// On a kernel, for maps that it knows; otherwise nothing is done.
bool spread_fast(const at::Tensor& dst, const at::Tensor& src, const Shape& cell, bool shares,
                 bool adds) {
  const std::int64_t src_pitch = pixel_pitch(src);
  const std::int64_t out_pitch = pixel_pitch(dst);
  if (src_pitch == 0 || out_pitch == 0) return false;
  const kernels::SpreadRows rows{.src = src.data_ptr<float>(),
                                 .out = dst.data_ptr<float>(),
                                 .channels = dst.size(1),
                                 .src_pitch = src_pitch,
                                 .out_pitch = out_pitch,
                                 .extents = octconv::kernels::to_three(spatial_extents(dst), 1),
                                 .cell = octconv::kernels::to_three(cell, 1),
                                 .shares = shares,
                                 .adds = adds};
  constexpr std::int64_t kGrainFloats = 16 * 1024;
  const std::int64_t grain = kGrainFloats / (rows.extents[2] * out_pitch) + 1;
  const ParallelScope threads(at::get_num_threads());
  parallel_for(dst.size(0) * rows.extents[0] * rows.extents[1], grain,
               [&](std::int64_t begin, std::int64_t end) { kernels::spread(rows, begin, end); });
  return true;
}

}  // namespace

void add_to_cells(at::Tensor dst, const at::Tensor& src, const Shape& cell) {
  if (dst.numel() == 0 || spread_fast(dst, src, cell, /*shares=*/false, /*adds=*/true)) return;
  add_along(std::move(dst), src, cell, 0, 2);
}

void spread_shares(at::Tensor dst, const at::Tensor& src, const Shape& cell, bool adds) {
  if (dst.numel() == 0 || spread_fast(dst, src, cell, /*shares=*/true, adds)) return;
  if (!adds) dst.zero_();
  const at::Tensor shares = divide_by_cell_size(src, cell, spatial_extents(dst));
  add_along(std::move(dst), shares, cell, 0, 2);
}

at::Tensor sum_cells(const at::Tensor& x, const Shape& cell) {
  if (is_all(cell, 1)) return x;
  at::Tensor sums = pool_cells(x, cell).mul_(cell_elements(cell));  // as if all cells were whole
  for (std::size_t axis = 0; axis < cell.rank(); ++axis) {
    const auto dim = static_cast<std::int64_t>(axis) + 2;
    const std::int64_t rest = x.size(dim) % cell[axis];
    if (rest == 0) continue;
    sums.narrow(dim, sums.size(dim) - 1, 1)
        .mul_(static_cast<double>(rest) / static_cast<double>(cell[axis]));
  }
  return sums;
}

}  // namespace octconv::nn
