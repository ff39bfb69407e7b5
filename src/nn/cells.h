// SPDX-License-Identifier: Apache-2.0
// Adjoints of pooling and upsampling on the cells of a coarser grid. For tensors without gradients.
#pragma once

#include <ATen/core/Tensor.h>

#include "octconv/tensor/shape.h"

namespace octconv::nn {

/// dst[i] += src[floor(i / cell)], in place and without a tensor of dst's size: adds a
/// nearest-upsampled map.
void add_to_cells(at::Tensor dst, const at::Tensor& src, const Shape& cell);

/// dst[i] = src[floor(i / cell)] / pixels of that cell: the adjoint of average pooling. The last
/// cells may be smaller.
/// @param adds  to what `dst` holds, instead of overwriting it
void spread_shares(at::Tensor dst, const at::Tensor& src, const Shape& cell, bool adds);

/// Sum of each cell's pixels; the adjoint of nearest upsampling. The last cells may be smaller.
[[nodiscard]] at::Tensor sum_cells(const at::Tensor& x, const Shape& cell);

}  // namespace octconv::nn
