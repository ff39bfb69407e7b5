// SPDX-License-Identifier: Apache-2.0
// How a layer's channels are divided between the two frequencies.
#pragma once

#include <cstdint>
#include <string>

#include "octconv/base/api.h"
#include "octconv/octave/options.h"

namespace octconv {

/// Channel counts of a value. Inside a value the low channels come first: [0, low), then [low,
/// total).
struct ChannelSplit {
  std::int64_t high = 0;  ///< channels on the full grid
  std::int64_t low = 0;   ///< channels on the grid half as large

  /// All channels.
  [[nodiscard]] std::int64_t total() const noexcept { return high + low; }
  /// Whether there is a low part.
  [[nodiscard]] bool octave() const noexcept { return low > 0; }
  friend bool operator==(const ChannelSplit&, const ChannelSplit&) = default;
};

/// Splits `channels` so that `low = floor(alpha * channels)`, or `high = floor((1 - alpha) *
/// channels)`.
///
/// Source: Chen et al., "Drop an Octave", ICCV 2019, section 3
/// (https://arxiv.org/abs/1904.05049); the floor of the low part as in the authors' code
/// (facebookresearch/OctConv, utils/gluon/utils/densenet.py).
///
/// The products are taken in floating point, as everyone's are: (1 - .9) * 10 is less than 1. Who
/// must have a certain count gives it as a ChannelSplit.
///
/// @param channels  total channels of the feature map, >= 1
/// @param alpha     fraction kept at half resolution, in [0, 1]
/// @throws InvalidArgument if either is out of range
[[nodiscard]] OCTCONV_API ChannelSplit split_channels(std::int64_t channels, double alpha,
                                                      Rounding rounding = Rounding::kFloorLow);

/// Throws unless alpha is in [0, 1] (NaN is not). `who` starts the message.
OCTCONV_API void check_alpha(double alpha, const std::string& who);

}  // namespace octconv
