// SPDX-License-Identifier: Apache-2.0
// The octave convolution and its gradients on the planned kernels (octave/conv_plan.h,
// octave/conv_gradient.h): float tensors on the CPU.
#pragma once

#include <array>
#include <utility>

#include <ATen/core/Tensor.h>

#include "octconv/nn/oct_tensor.h"
#include "octconv/octave/conv.h"
#include "octconv/octave/conv_gradient.h"

namespace octconv::nn {

/// Whether a plan computes the convolution of this input; `options` are checked and fit it.
[[nodiscard]] bool has_planned_conv(const ConvOptions& options, const OctTensor& input,
                                    const at::Tensor& weight);

/// @param bias  added once; may be undefined
[[nodiscard]] OctTensor planned_conv(const ConvOptions& options, const OctTensor& input,
                                     const at::Tensor& weight, const at::Tensor& bias);

/// Whether a kernel computes the weight's gradient; of the options of such an input.
[[nodiscard]] bool has_planned_weight_gradient(const ConvOptions& options, const OctTensor& input,
                                               const at::Tensor& weight);

/// Whether plans compute both gradients too.
[[nodiscard]] bool has_planned_conv_gradients(const ConvOptions& options, const OctTensor& input,
                                              const at::Tensor& weight);

/// The gradients of the input, whose extents on the high grid are `extents`, and of the weight;
/// those that are wanted. A frequency of `diff` may be missing: it is 0.
/// @param source  what the prologue makes the input of
[[nodiscard]] std::pair<OctTensor, at::Tensor> planned_gradients(
    const ConvOptions& options, const Shape& extents, const OctTensor& source,
    const OctavePrologue& prologue, const OctTensor& diff, const at::Tensor& weight,
    std::array<bool, 2> wanted);

/// The gradients of an ordinary convolution, on plans as far as there are some, otherwise
/// LibTorch's.
/// @param wanted  gradients of the input and the weight
[[nodiscard]] std::pair<at::Tensor, at::Tensor> ordinary_gradients(
    const at::Tensor& diff, const at::Tensor& input, const at::Tensor& weight, const Shape& stride,
    const Shape& padding, const Shape& dilation, std::int64_t groups, std::array<bool, 2> wanted);

}  // namespace octconv::nn
