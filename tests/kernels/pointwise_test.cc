// SPDX-License-Identifier: Apache-2.0
// Element-wise kernels and activations.
#include "kernels/pointwise.h"

#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/layout.h"
#include "support/activation.h"
#include "support/random_values.h"
#include "support/targets.h"

namespace octconv::kernels {
namespace {

using octconv::testing::random_values;
using PointwiseTest = octconv::testing::TargetTest;

constexpr double kEpsilon = std::numeric_limits<float>::epsilon();

TEST_P(PointwiseTest, ScaleShiftEqualsTheFormulaForEveryNumberOfChannels) {
  Random random(1);
  constexpr std::int64_t kPixels = 3;
  for (std::int64_t channels = 1; channels <= 40; ++channels) {
    const auto src = random_values(kPixels * channels, random);
    const auto scale = random_values(channels, random);
    const auto shift = random_values(channels, random);
    std::vector<float> out(src.size() + 1, 9.0F);
    scale_shift(src.data(), kPixels, channels, scale.data(), shift.data(),
                Activation{ActivationKind::kRelu}, out.data());
    EXPECT_EQ(out.back(), 9.0F);
    for (std::size_t i = 0; i < src.size(); ++i) {
      const std::size_t c = i % static_cast<std::size_t>(channels);
      const double product = static_cast<double>(src[i]) * static_cast<double>(scale[c]);
      const double sum = product + static_cast<double>(shift[c]);
      ASSERT_NEAR(static_cast<double>(out[i]), std::max(sum, 0.0), 2 * kEpsilon * 2);
    }
  }
}

TEST_P(PointwiseTest, ScaleMultipliesEveryChannelAndMayOverwriteItsInput) {
  Random random(4);
  constexpr std::int64_t kPixels = 3;
  for (std::int64_t channels = 1; channels <= 40; ++channels) {
    auto values = random_values(kPixels * channels, random);
    const auto before = values;
    const auto factors = random_values(channels, random);
    scale(values.data(), kPixels, channels, factors.data(), values.data());
    for (std::size_t i = 0; i < values.size(); ++i) {
      ASSERT_EQ(values[i], before[i] * factors[i % static_cast<std::size_t>(channels)]);
    }
  }
}

TEST_P(PointwiseTest, AddMayOverwriteAnOperand) {
  Random random(2);
  for (std::int64_t count = 1; count <= 40; ++count) {
    const auto a = random_values(count, random);
    auto b = random_values(count, random);
    const auto before = b;
    add(a.data(), b.data(), count, Activation{ActivationKind::kNone}, b.data());
    for (std::size_t i = 0; i < a.size(); ++i) ASSERT_EQ(b[i], a[i] + before[i]);
  }
}

TEST_P(PointwiseTest, ActivationsEqualTheirFormulas) {
  std::vector<float> src;
  for (double x = -120; x <= 120; x += 0.37) src.push_back(static_cast<float>(x));
  std::vector<float> out(src.size());
  const auto count = static_cast<std::int64_t>(src.size());
  const auto apply = [&](Activation activation) {
    activate(src.data(), count, activation, out.data());
  };
  apply(Activation{ActivationKind::kNone});
  EXPECT_EQ(out, src);
  apply(Activation{ActivationKind::kRelu});
  for (std::size_t i = 0; i < src.size(); ++i) ASSERT_EQ(out[i], src[i] > 0 ? src[i] : 0.0F);
  apply(Activation{ActivationKind::kRelu6});
  for (std::size_t i = 0; i < src.size(); ++i) {
    ASSERT_EQ(out[i], src[i] > 6 ? 6.0F : src[i] > 0 ? src[i] : 0.0F);
  }
  apply(Activation{ActivationKind::kSigmoid});
  for (std::size_t i = 0; i < src.size(); ++i) {
    // Relative: exp to 1 ulp (Highway's bound), one sum, one quotient; absolute below the normal
    // numbers.
    const double expected = 1 / (1 + std::exp(-static_cast<double>(src[i])));
    ASSERT_NEAR(static_cast<double>(out[i]), expected, 4 * kEpsilon * expected + 2e-38) << src[i];
  }
  for (const Activation& activation : reference::all_activations()) {
    if (activation.kind <= ActivationKind::kSigmoid) continue;
    apply(activation);
    for (std::size_t i = 0; i < src.size(); ++i) {
      const double expected = reference::activated(static_cast<double>(src[i]), activation);
      const double least = std::max(1.0, std::abs(expected));
      ASSERT_NEAR(static_cast<double>(out[i]), expected,
                  reference::own_roundings(activation) * kEpsilon * least)
          << static_cast<int>(activation.kind) << " of " << src[i];
    }
  }
}

TEST_P(PointwiseTest, MultiplyMayOverwriteAnOperand) {
  Random random(5);
  for (std::int64_t count = 1; count <= 40; ++count) {
    const auto a = random_values(count, random);
    auto b = random_values(count, random);
    const auto before = b;
    multiply(a.data(), b.data(), count, Activation{ActivationKind::kRelu}, b.data());
    for (std::size_t i = 0; i < a.size(); ++i) ASSERT_EQ(b[i], std::max(a[i] * before[i], 0.0F));
  }
}

TEST_P(PointwiseTest, ActivationsKeepNaN) {
  const std::vector<float> src(20, std::numeric_limits<float>::quiet_NaN());
  for (const Activation& activation : reference::all_activations()) {
    std::vector<float> out(src.size());
    activate(src.data(), 20, activation, out.data());
    for (const float value : out) EXPECT_TRUE(std::isnan(value));
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, PointwiseTest, octconv::testing::all_targets(),
                         octconv::testing::target_name);

TEST(Layout, TransposeMovesEveryElementOnce) {
  Random random(3);
  for (const auto& [rows, columns] : {std::pair{1, 1}, {3, 50}, {50, 3}, {33, 47}, {16, 16}}) {
    const auto src = random_values(rows * columns, random);
    std::vector<float> out(src.size());
    transpose(src.data(), rows, columns, 0, columns / 2, out.data());
    transpose(src.data(), rows, columns, columns / 2, columns, out.data());
    for (int r = 0; r < rows; ++r) {
      for (int c = 0; c < columns; ++c) {
        ASSERT_EQ(out[static_cast<std::size_t>(c * rows + r)],
                  src[static_cast<std::size_t>(r * columns + c)]);
      }
    }
  }
}

}  // namespace
}  // namespace octconv::kernels
