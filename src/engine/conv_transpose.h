// SPDX-License-Identifier: Apache-2.0
// A transposed convolution as an ordinary one.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "graph/affine.h"
#include "octconv/graph/ops.h"
#include "octconv/octave/conv_plan.h"

namespace octconv::engine {

/// The convolution that makes the output pixels of a cell, `stride` of them along each axis, as
/// channels: [groups][cell pixels][channels / groups] of them.
///
/// @param in      input channels
/// @param octave  the network's: the rank is its
/// @param weight  [in, out / groups, kernel...]
/// @param bias    [out], or empty
/// @param norm    follows the convolution
[[nodiscard]] OctConvWeights cell_conv(const ConvTranspose& conv, std::int64_t in,
                                       const Shape& octave, std::span<const float> weight,
                                       std::span<const float> bias,
                                       const std::optional<Affine>& norm);

}  // namespace octconv::engine
