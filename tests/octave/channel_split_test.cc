// SPDX-License-Identifier: Apache-2.0
// How channels are divided.
#include "octconv/octave/channel_split.h"

#include <limits>

#include <gtest/gtest.h>

#include "octconv/base/error.h"

namespace octconv {
namespace {

TEST(SplitChannels, FloorsTheLowPart) {
  EXPECT_EQ(split_channels(64, 0.125), (ChannelSplit{.high = 56, .low = 8}));
  EXPECT_EQ(split_channels(10, 0.25), (ChannelSplit{.high = 8, .low = 2}));
  EXPECT_EQ(split_channels(3, 0.5), (ChannelSplit{.high = 2, .low = 1}));
  EXPECT_EQ(split_channels(1, 0.99), (ChannelSplit{.high = 1, .low = 0}));
}

TEST(SplitChannels, EndsAreWhole) {
  EXPECT_EQ(split_channels(17, 0.0), (ChannelSplit{.high = 17, .low = 0}));
  EXPECT_EQ(split_channels(17, 1.0), (ChannelSplit{.high = 0, .low = 17}));
}

TEST(SplitChannels, FloorsTheHighPartOnRequest) {
  EXPECT_EQ(split_channels(10, 0.25, Rounding::kFloorHigh), (ChannelSplit{.high = 7, .low = 3}));
  EXPECT_EQ(split_channels(3, 0.5, Rounding::kFloorHigh), (ChannelSplit{.high = 1, .low = 2}));
  EXPECT_EQ(split_channels(10, 0.9, Rounding::kFloorHigh), (ChannelSplit{.high = 0, .low = 10}))
      << "floor((1 - .9) * 10) is 0 in floating point, as in braincreators' code";
}

TEST(SplitChannels, NeverLosesAChannel) {
  for (std::int64_t channels = 1; channels <= 130; ++channels) {
    for (int step = 0; step <= 40; ++step) {
      const ChannelSplit split = split_channels(channels, step / 40.0);
      EXPECT_EQ(split.total(), channels);
      EXPECT_GE(split.low, 0);
      EXPECT_GE(split.high, 0);
    }
  }
}

TEST(SplitChannels, RefusesWhatIsOutOfRange) {
  for (const double alpha : {-0.1, 1.1, std::numeric_limits<double>::quiet_NaN(),
                             std::numeric_limits<double>::infinity()}) {
    EXPECT_THROW(static_cast<void>(split_channels(8, alpha)), InvalidArgument) << alpha;
  }
  EXPECT_THROW(static_cast<void>(split_channels(0, 0.5)), InvalidArgument);
}

TEST(SplitChannels, NamesTheValueItRefuses) {
  try {
    static_cast<void>(split_channels(8, 1.5));
    FAIL() << "accepted";
  } catch (const InvalidArgument& error) {
    EXPECT_STREQ(error.what(), "split_channels: alpha must be in [0, 1], got 1.5");
  }
}

}  // namespace
}  // namespace octconv
