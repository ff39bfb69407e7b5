// SPDX-License-Identifier: Apache-2.0
// The depthwise convolution against its contract in double.
#include "kernels/depthwise.h"

#include <algorithm>
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
    depthwise(DepthwisePixels{.rows = rows.data(),
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

// One output row of a map of three rows, the first of which is outside.
TEST_P(DepthwiseTest, EqualsTheSumOverARowForEveryWidthAndKernel) {
  constexpr std::int64_t kRows = 3;
  Random random(2);
  for (const std::int64_t taps : {3, 5}) {
    for (const std::int64_t stride : {1, 2}) {
      ASSERT_EQ(DepthwiseRow::has(taps, stride, 1, kRows), taps == 3 || stride == 1);
      if (taps == 5 && stride == 2) continue;
      for (std::int64_t in_width = 1; in_width <= 24; ++in_width) {
        for (const std::int64_t padding : {std::int64_t{0}, taps / 2}) {
          if (in_width + 2 * padding < taps) continue;
          const std::int64_t width = (in_width + 2 * padding - taps) / stride + 1;
          const std::int64_t channels = 1 + static_cast<std::int64_t>(random.below(80));
          const auto map = random_values((kRows - 1) * in_width * channels, random);
          const auto weights = random_values(kRows * taps * channels, random);
          const auto bias = random_values(channels, random);
          const auto residual = random_values(width * channels, random);
          const std::vector<float> zeros(static_cast<std::size_t>(channels));
          const std::vector<const float*> rows{nullptr, map.data(),
                                               map.data() + in_width * channels};
          std::vector<float> out(static_cast<std::size_t>(width * channels) + 1, 7.0F);
          const bool adds = in_width % 2 == 0;
          depthwise(DepthwiseRow{.rows = rows.data(),
                                 .kernel_rows = kRows,
                                 .taps = taps,
                                 .stride = stride,
                                 .padding = padding,
                                 .in_width = in_width,
                                 .width = width,
                                 .weights = weights.data(),
                                 .bias = bias.data(),
                                 .zeros = zeros.data(),
                                 .channels = channels,
                                 .residual = adds ? residual.data() : nullptr,
                                 .out = out.data(),
                                 .activation = Activation{ActivationKind::kRelu6}});
          EXPECT_EQ(out.back(), 7.0F);
          for (std::int64_t i = 0; i < width * channels; ++i) {
            const std::int64_t channel = i % channels;
            double sum = static_cast<double>(bias[static_cast<std::size_t>(channel)]);
            if (adds) sum += static_cast<double>(residual[static_cast<std::size_t>(i)]);
            double magnitude = 2;
            for (std::int64_t r = 1; r < kRows; ++r) {
              for (std::int64_t tap = 0; tap < taps; ++tap) {
                const std::int64_t x = i / channels * stride - padding + tap;
                if (x < 0 || x >= in_width) continue;
                const double product =
                    static_cast<double>(rows[static_cast<std::size_t>(r)][x * channels + channel]) *
                    static_cast<double>(
                        weights[static_cast<std::size_t>((r * taps + tap) * channels + channel)]);
                sum += product;
                magnitude += std::abs(product);
              }
            }
            ASSERT_NEAR(static_cast<double>(out[static_cast<std::size_t>(i)]),
                        std::clamp(sum, 0.0, 6.0),
                        static_cast<double>(2 * taps + 2) * std::numeric_limits<float>::epsilon() *
                            magnitude)
                << "channel " << channel << " of " << channels << ", pixel " << i / channels
                << " of " << width << ", " << taps << " taps, stride " << stride;
          }
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, DepthwiseTest, octconv::testing::all_targets(),
                         octconv::testing::target_name);

}  // namespace
}  // namespace octconv::kernels
