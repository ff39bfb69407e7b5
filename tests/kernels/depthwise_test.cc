// SPDX-License-Identifier: Apache-2.0
// The depthwise convolution against its contract in double.
#include "kernels/depthwise.h"

#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "support/random_values.h"
#include "support/targets.h"

namespace octconv::kernels {
namespace {

using octconv::testing::random_values;
using DepthwiseTest = octconv::testing::TargetTest;

TEST_P(DepthwiseTest, EqualsTheSumForEveryNumberOfChannels) {
  constexpr std::int64_t kPixels = 14;
  constexpr std::int64_t kTaps = 9;
  Random random(1);
  for (std::int64_t channels = 1; channels <= 80; ++channels) {
    const auto data = random_values(5 * channels, random);
    const auto weights = random_values(kTaps * channels, random);
    const auto bias = random_values(channels, random);
    const auto residual = random_values(kPixels * channels, random);
    std::vector<const float*> rows;
    for (std::int64_t i = 0; i < kTaps * kPixels; ++i) {
      rows.push_back(data.data() + static_cast<std::int64_t>(random.below(5)) * channels);
    }
    std::vector<float> out(static_cast<std::size_t>(kPixels * channels) + 1, 7.0F);
    depthwise({.rows = rows.data(),
               .taps = kTaps,
               .pitch = kPixels,
               .weights = weights.data(),
               .bias = bias.data(),
               .channels = channels,
               .pixels = kPixels,
               .residual = residual.data(),
               .out = out.data(),
               .activation = Activation{ActivationKind::kRelu}});
    EXPECT_EQ(out.back(), 7.0F);
    for (std::int64_t p = 0; p < kPixels; ++p) {
      for (std::int64_t c = 0; c < channels; ++c) {
        const auto i = static_cast<std::size_t>(p * channels + c);
        double sum = static_cast<double>(bias[static_cast<std::size_t>(c)]) +
                     static_cast<double>(residual[i]);
        double magnitude = 2;
        for (std::int64_t tap = 0; tap < kTaps; ++tap) {
          const auto row = static_cast<std::size_t>(tap * kPixels + p);
          const double product =
              static_cast<double>(rows[row][c]) *
              static_cast<double>(weights[static_cast<std::size_t>(tap * channels + c)]);
          sum += product;
          magnitude += std::abs(product);
        }
        ASSERT_NEAR(static_cast<double>(out[i]), std::max(sum, 0.0),
                    (kTaps + 2) * std::numeric_limits<float>::epsilon() * magnitude)
            << "channel " << c << " of " << channels;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, DepthwiseTest, octconv::testing::all_targets(),
                         octconv::testing::target_name);

}  // namespace
}  // namespace octconv::kernels
