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

/// Whether a plan of such a convolution reads averages of the cells of its high input.
[[nodiscard]] bool reads_averages(const ConvOptions& options);

/// Whether its gradients read sums of the cells of the gradient of its high result.
[[nodiscard]] bool reads_diff_sums(const ConvOptions& options);

/// @param averages  of the cells of the high input, channels last; undefined: made where they are
///                  read
/// @param bias      added once; may be undefined
[[nodiscard]] OctTensor planned_conv(const ConvOptions& options, const OctTensor& input,
                                     const at::Tensor& averages, const at::Tensor& weight,
                                     const at::Tensor& bias);

/// Whether a kernel computes the weight's gradient; of the options of such an input.
[[nodiscard]] bool has_planned_weight_gradient(const ConvOptions& options, const OctTensor& input,
                                               const at::Tensor& weight);

/// Whether plans compute both gradients too.
[[nodiscard]] bool has_planned_conv_gradients(const ConvOptions& options, const OctTensor& input,
                                              const at::Tensor& weight);

/// An input as its convolution's backward pass finds it.
struct PlannedInput {
  Shape extents;            ///< on the high grid
  OctTensor source;         ///< what the prologue makes the input of
  OctavePrologue prologue;  ///< none: the source is the input
  at::Tensor averages{};    ///< as those of `planned_conv`
};

/// And the gradient of its result.
struct PlannedDiff {
  OctTensor diff;     ///< a frequency may be missing: it is 0
  at::Tensor sums{};  ///< of the cells of `diff.high`, channels last; undefined: made where read
  OctTensor added{};  ///< the rest of the input's gradient, of each frequency that has one
};

/// The gradients of the input, to which `diff.added` is added (and whose memory they may take), and
/// of the weight; those that are wanted.
[[nodiscard]] std::pair<OctTensor, at::Tensor> planned_gradients(const ConvOptions& options,
                                                                 const PlannedInput& input,
                                                                 PlannedDiff diff,
                                                                 const at::Tensor& weight,
                                                                 std::array<bool, 2> wanted);

/// The gradients of an ordinary convolution, on plans as far as there are some, otherwise
/// LibTorch's.
/// @param wanted  gradients of the input and the weight
[[nodiscard]] std::pair<at::Tensor, at::Tensor> ordinary_gradients(
    const at::Tensor& diff, const at::Tensor& input, const at::Tensor& weight, const Shape& stride,
    const Shape& padding, const Shape& dilation, std::int64_t groups, std::array<bool, 2> wanted);

}  // namespace octconv::nn
