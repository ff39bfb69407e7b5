// SPDX-License-Identifier: Apache-2.0
#include "octconv/octave/channel_split.h"

#include <cmath>
#include <sstream>

#include "octconv/base/error.h"

namespace octconv {

void check_alpha(double alpha, const std::string& who) {
  if (!(alpha >= 0.0 && alpha <= 1.0)) {  // written so that NaN fails too
    std::ostringstream message;
    message << who << ": alpha must be in [0, 1], got " << alpha;
    throw InvalidArgument(message.str());
  }
}

ChannelSplit split_channels(std::int64_t channels, double alpha, Rounding rounding) {
  if (channels < 1) {
    throw InvalidArgument("split_channels: channels must be at least 1, got " +
                          std::to_string(channels));
  }
  check_alpha(alpha, "split_channels");
  const auto floor_of = [&](double share) {
    return static_cast<std::int64_t>(std::floor(share * static_cast<double>(channels)));
  };
  if (rounding == Rounding::kFloorHigh) {
    const std::int64_t high = floor_of(1.0 - alpha);
    return {.high = high, .low = channels - high};
  }
  const std::int64_t low = floor_of(alpha);
  return {.high = channels - low, .low = low};
}

}  // namespace octconv
