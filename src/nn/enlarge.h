// SPDX-License-Identifier: Apache-2.0
// Operations of graphs that make maps larger.
#pragma once

#include "octconv/graph/ops.h"
#include "octconv/nn/oct_tensor.h"

namespace octconv::nn {

/// Both grids, `options.factor` times as large; the low one is cut to what belongs to the high one.
[[nodiscard]] OctTensor resize_of(const OctTensor& value, const Resize& options,
                                  const Shape& octave);

/// @param weight  [in, out / groups, kernel...]
/// @param bias    [out], or undefined
[[nodiscard]] at::Tensor transposed_conv(const at::Tensor& x, const at::Tensor& weight,
                                         const at::Tensor& bias, const ConvTranspose& options);

}  // namespace octconv::nn
