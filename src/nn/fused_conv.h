// SPDX-License-Identifier: Apache-2.0
// The octave convolution as one function with its own gradient, on the CPU.
#pragma once

#include <ATen/core/Tensor.h>

#include "octconv/nn/oct_tensor.h"
#include "octconv/octave/conv.h"

namespace octconv::nn {

/// Does the fused form take these? Float on the CPU, channels last, rank 2 or 3, one group, more
/// than one path or a pool.
[[nodiscard]] bool fused_conv_takes(const OctTensor& input, const at::Tensor& weight,
                                    const at::Tensor& bias, const ConvOptions& options);

/// The octave convolution of checked tensors that `fused_conv_takes`. No upsampled tensor exists in
/// either direction, and gradients of several readers are added where they are made.
/// @param extents  of the input's full grid
[[nodiscard]] OctTensor fused_conv(const OctTensor& input, const at::Tensor& weight,
                                   const at::Tensor& bias, const ConvOptions& options,
                                   const Shape& extents);

}  // namespace octconv::nn
