// SPDX-License-Identifier: Apache-2.0
// How a layer's channels are divided between the two frequencies.
#pragma once

#include <cstdint>
#include <string>

#include "octconv/base/api.h"

namespace octconv {

/// Channel counts of a value. Inside a value the low channels come first: [0, low), then [low,
/// total).
struct ChannelSplit {
  std::int64_t high = 0;  ///< channels on the full grid
  std::int64_t low = 0;   ///< channels on the grid half as large

  [[nodiscard]] std::int64_t total() const noexcept { return high + low; }
  [[nodiscard]] bool octave() const noexcept { return low > 0; }
  friend bool operator==(const ChannelSplit&, const ChannelSplit&) = default;
};

/// Splits `channels` so that `low = floor(alpha * channels)`.
///
/// Source: Chen et al., "Drop an Octave", ICCV 2019, section 3 (https://arxiv.org/abs/1904.05049);
/// the floor as in the authors' code (facebookresearch/OctConv, utils/gluon/utils/densenet.py).
///
/// @param channels  total channels of the feature map, >= 1
/// @param alpha     fraction kept at half resolution, in [0, 1]
/// @throws InvalidArgument if either is out of range
[[nodiscard]] OCTCONV_API ChannelSplit split_channels(std::int64_t channels, double alpha);

/// Throws unless alpha is in [0, 1] (NaN is not). `who` starts the message.
OCTCONV_API void check_alpha(double alpha, const std::string& who);

}  // namespace octconv
