// SPDX-License-Identifier: Apache-2.0
// A convolution of a nearest-upsampled map without the upsampled map.
#pragma once

#include <optional>

#include <ATen/core/Tensor.h>

#include "octconv/octave/conv.h"

namespace octconv::nn {

/// conv(upsample(x, path.upsample), weight) on the grid of `extents`, the upsampled map's; by one
/// small convolution of `x` per output phase (octave/upsampled_taps.h) where that needs fewer
/// multiplies.
///
/// @param weight  the path's block
[[nodiscard]] at::Tensor conv_of_upsampled(const at::Tensor& x, const at::Tensor& weight,
                                           const ConvPath& path, const ConvOptions& options,
                                           const Shape& extents);

/// conv(x) with the padding mode of the options.
[[nodiscard]] at::Tensor padded_conv(const at::Tensor& x, const at::Tensor& weight,
                                     const at::Tensor& bias, const ConvPath& path,
                                     const ConvOptions& options);

}  // namespace octconv::nn
