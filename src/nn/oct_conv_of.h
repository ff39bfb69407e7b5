// SPDX-License-Identifier: Apache-2.0
// The octave convolution of a value that its backward pass need not keep.
#pragma once

#include "nn/norm.h"
#include "octconv/nn/oct_conv.h"

namespace octconv::nn {

/// `oct_conv`, which for the backward pass makes `input` again as `remade` says, where that is
/// possible, instead of keeping it.
[[nodiscard]] OctTensor oct_conv_of(const OctTensor& input, const OctRemade& remade,
                                    const at::Tensor& weight, const at::Tensor& bias,
                                    const ConvOptions& options, BiasRule rule = BiasRule::kOnce);

}  // namespace octconv::nn
