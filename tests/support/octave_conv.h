// SPDX-License-Identifier: Apache-2.0
// Layers and values for tests of octave convolutions.
#pragma once

#include <cstdint>
#include <vector>

#include "octconv/octave/conv.h"
#include "support/reference_conv.h"

namespace octconv::testing {

/// Octave geometry: odd kernel, padded so that stride 1 keeps the extents.
inline ConvOptions octave_conv(ChannelSplit in, ChannelSplit out, Shape kernel,
                               std::int64_t stride = 1, std::int64_t dilation = 1) {
  const std::size_t rank = kernel.rank();
  ConvOptions options{.in = in,
                      .out = out,
                      .kernel = kernel,
                      .stride = Shape::filled(rank, stride),
                      .dilation = Shape::filled(rank, dilation),
                      .padding_begin = kernel,
                      .octave = Shape::filled(rank, 2)};
  for (std::size_t axis = 0; axis < rank; ++axis) {
    options.padding_begin[axis] = dilation * (kernel[axis] - 1) / 2;
  }
  options.padding_end = options.padding_begin;
  return options;
}

/// One image of a channels-last batch, channels first.
inline reference::Map image_of(const std::vector<float>& values, std::int64_t n,
                               std::int64_t channels, const Shape& extents) {
  const std::int64_t pixels = extents.elements();
  std::vector<float> planes(static_cast<std::size_t>(channels * pixels));
  for (std::int64_t p = 0; p < pixels; ++p) {
    for (std::int64_t c = 0; c < channels; ++c) {
      planes[static_cast<std::size_t>(c * pixels + p)] =
          values[static_cast<std::size_t>((n * pixels + p) * channels + c)];
    }
  }
  return reference::from_values(channels, extents, planes);
}

}  // namespace octconv::testing
