// SPDX-License-Identifier: Apache-2.0
// The octave convolution on LibTorch tensors, with gradients.
#pragma once

#include "octconv/base/api.h"
#include "octconv/nn/oct_tensor.h"
#include "octconv/octave/conv.h"

namespace octconv::nn {

/// The octave convolution (or the ordinary one) of rank 1, 2 or 3, in float or double, with
/// gradients for the input, the weight and the bias.
///
/// It follows `conv_paths(options)`. Paths that read the same pooled input share it, and paths that
/// meet on the same grid are one convolution over their concatenated inputs.
///
/// @param input   frequencies and channels as `options.in` says
/// @param weight  [out, in / groups, kernel...], the shape of the ordinary convolution
/// @param bias    [out], added once to each output channel; may be undefined
/// @throws InvalidArgument if options contradict each other or the tensors do not fit them;
/// Unsupported for an
///         octave convolution that `octave_obstacle` excludes
[[nodiscard]] OCTCONV_API OctTensor oct_conv(const OctTensor& input, const at::Tensor& weight,
                                             const at::Tensor& bias, const ConvOptions& options);

}  // namespace octconv::nn
