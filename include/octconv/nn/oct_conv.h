// SPDX-License-Identifier: Apache-2.0
// The octave convolution and its transposed form on LibTorch tensors, with gradients.
#pragma once

#include "octconv/base/api.h"
#include "octconv/nn/oct_tensor.h"
#include "octconv/octave/conv.h"
#include "octconv/octave/conv_transpose.h"

namespace octconv::nn {

/// The octave convolution (or the ordinary one) of rank 1, 2 or 3, in any floating type, with
/// gradients of any order for the input, the weight and the bias.
///
/// It follows `conv_paths(options)`. The common options (zero padding, average pools, nearest
/// upsampling after the convolution, `OddLow::kCeil`) keep for the backward pass only what the
/// caller holds anyway: the input and the weight. The others are composed of LibTorch's
/// differentiable operations.
///
/// @param input   frequencies and channels as `options.in` says; without a batch axis too, and then
/// so is the
///                result
/// @param weight  [out, weight_columns(options), kernel...]: the shape of the ordinary
/// convolution's
/// @param bias    [out]; may be undefined
/// @param rule    how often the bias is added to an output that several paths make
/// @throws InvalidArgument if options contradict each other or the tensors do not fit them;
/// Unsupported for an
///         octave convolution that `octave_obstacle` excludes
[[nodiscard]] OCTCONV_API OctTensor oct_conv(const OctTensor& input, const at::Tensor& weight,
                                             const at::Tensor& bias, const ConvOptions& options,
                                             BiasRule rule = BiasRule::kOnce);

/// The same made of LibTorch's own operations alone, with whatever options: a convolution for each
/// path, pools, enlargement, sums. It agrees with `oct_conv` to rounding, and keeps for the
/// backward pass what each of these operations keeps: something to compare with, or to fall back
/// on.
/// @throws as `oct_conv`
[[nodiscard]] OCTCONV_API OctTensor oct_conv_composed(const OctTensor& input,
                                                      const at::Tensor& weight,
                                                      const at::Tensor& bias,
                                                      const ConvOptions& options,
                                                      BiasRule rule = BiasRule::kOnce);

/// The transposed octave convolution (or the ordinary one), with gradients of any order.
///
/// @param weight  [in, out / groups, kernel...]
/// @throws as `oct_conv`
[[nodiscard]] OCTCONV_API OctTensor oct_conv_transpose(const OctTensor& input,
                                                       const at::Tensor& weight,
                                                       const at::Tensor& bias,
                                                       const ConvTransposeOptions& options,
                                                       BiasRule rule = BiasRule::kOnce);

}  // namespace octconv::nn
