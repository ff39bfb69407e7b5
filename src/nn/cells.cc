// SPDX-License-Identifier: Apache-2.0
#include "nn/cells.h"

#include <ATen/ATen.h>

#include "nn/spatial.h"

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

}  // namespace

void add_to_cells(at::Tensor dst, at::Tensor src, const Shape& cell) {
  if (dst.numel() == 0) return;
  add_along(std::move(dst), std::move(src), cell, 0, 2);
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

}  // namespace octconv::nn
