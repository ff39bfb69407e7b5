// SPDX-License-Identifier: Apache-2.0
// Adjoints of pooling and upsampling on the cells of a coarser grid. For tensors without gradients.
#pragma once

#include <ATen/core/Tensor.h>

#include "octconv/tensor/shape.h"

namespace octconv::nn {

/// dst[i] += src[floor(i / cell)], in place and without a tensor of dst's size: adds a
/// nearest-upsampled map.
void add_to_cells(at::Tensor dst, at::Tensor src, const Shape& cell);

/// Sum of each cell's pixels; the adjoint of nearest upsampling. The last cells may be smaller.
[[nodiscard]] at::Tensor sum_cells(const at::Tensor& x, const Shape& cell);

/// Divides each cell's value by the number of its pixels on a grid of `extents`: with
/// `add_to_cells` the adjoint of average pooling.
[[nodiscard]] at::Tensor divide_by_cell_size(const at::Tensor& x, const Shape& cell,
                                             const Shape& extents);

}  // namespace octconv::nn
