// SPDX-License-Identifier: Apache-2.0
// Changes of colours against their formulas in double.
#include "octconv/image/colour.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include <gmock/gmock.h>

#include "octconv/base/error.h"
#include "support/targets.h"

namespace octconv {
namespace {

using Kind = ColourJitter::Kind;

double cut(double level) {
  return std::min(255.0, std::max(0.0, level));
}

double grey(const std::vector<double>& x, std::size_t pixel) {
  return 0.299 * x[3 * pixel] + 0.587 * x[3 * pixel + 1] + 0.114 * x[3 * pixel + 2];
}

std::vector<double> expected(std::vector<double> x, const ColourJitter& jitter) {
  const std::size_t pixels = x.size() / 3;
  for (const auto& [kind, f] : jitter.steps) {
    double mean = 0;
    for (std::size_t p = 0; p < pixels; ++p) mean += grey(x, p) / static_cast<double>(pixels);
    for (std::size_t p = 0; p < pixels; ++p) {
      const double own = grey(x, p);
      for (std::size_t c = 0; c < 3; ++c) {
        double& level = x[3 * p + c];
        if (kind == Kind::kBrightness) level = cut(f * level);
        if (kind == Kind::kContrast) level = cut(f * level + (1 - f) * mean);
        if (kind == Kind::kSaturation) level = cut(f * level + (1 - f) * own);
      }
    }
  }
  return x;
}

class JitterColoursTo : public testing::TargetTest {};

TEST_P(JitterColoursTo, TheirFormulasInEveryOrder) {
  Random random(1);
  std::set<int> orders;
  for (int round = 0; round < 200; ++round) {
    std::vector<float> pixels;
    // Around every length of a vector.
    const int count = 1 + round % 40;
    for (int i = 0; i < 3 * count; ++i) pixels.push_back(static_cast<float>(random.below(256)));
    const ColourJitter jitter = random_jitter(0.4, random);
    const std::vector<double> want = expected({pixels.begin(), pixels.end()}, jitter);
    jitter_colours(pixels, jitter);
    // Three steps of at most four roundings of values up to 1.4 * 255 each; the mean grey is right
    // to 2^-15, of which at most 0.4 count, and later steps make that 1.4 * 1.4 times as much.
    for (std::size_t i = 0; i < want.size(); ++i)
      EXPECT_NEAR(pixels[i], want[i], 12 * 357 * 6e-8 + 0.8 * 0x1p-15);
    int order = 0;
    std::set<Kind> kinds;
    for (const auto& [kind, factor] : jitter.steps) {
      order = 3 * order + static_cast<int>(kind);
      kinds.insert(kind);
      EXPECT_GE(factor, 0.6);
      EXPECT_LE(factor, 1.4);
    }
    EXPECT_EQ(kinds.size(), 3U);
    orders.insert(order);
  }
  EXPECT_EQ(orders.size(), 6U);
}

TEST_P(JitterColoursTo, WhatIsRescaledInTheEnd) {
  Random random(4);
  std::vector<float> pixels;
  for (int i = 0; i < 3 * 37; ++i) pixels.push_back(static_cast<float>(random.below(256)));
  std::vector<float> plain = pixels;
  const ColourJitter jitter = random_jitter(0.4, random);
  jitter_colours(plain, jitter);
  const LevelScale levels{.scale = {0.5F, 2, 4}, .offset = {-3, 0.25F, 1}};
  jitter_colours(pixels, jitter, levels);
  // Powers of two leave one rounding, of numbers up to 1021.
  for (std::size_t i = 0; i < pixels.size(); ++i)
    EXPECT_NEAR(pixels[i], plain[i] * levels.scale[i % 3] + levels.offset[i % 3], 1021 * 0x1p-24);
}

TEST_P(JitterColoursTo, TheMeanGreyOfManyPixels) {
  // A contrast of 0 leaves the mean. As many bright pixels as overflow 32 bits if they are added up
  // in 2^-14 of a level.
  ColourJitter jitter;
  jitter.steps[1] = {.kind = Kind::kContrast, .factor = 0};
  std::vector<float> pixels(std::size_t{3} * 100000, 250);
  for (std::size_t i = 0; i < pixels.size() / 4 / 3 * 3; ++i) pixels[i] = 50;
  jitter_colours(pixels, jitter);
  // 250 and 50 are grey to three roundings of 250, and so is the mean of a quarter and the rest.
  EXPECT_NEAR(pixels.front(), 200, 3 * 250 * 0x1p-24 + 0x1p-15);
  EXPECT_EQ(pixels.front(), pixels.back());
}

INSTANTIATE_TEST_SUITE_P(Targets, JitterColoursTo, testing::all_targets(), testing::target_name);

TEST(JitterColours, FactorsOfOneChangeNothingToSpeakOf) {
  Random random(2);
  std::vector<float> pixels{0, 255, 17, 3, 99, 200};
  const std::vector<float> before = pixels;
  jitter_colours(pixels, random_jitter(0, random));
  EXPECT_EQ(pixels, before);
  EXPECT_THROW(static_cast<void>(random_jitter(1.1, random)), InvalidArgument);
  std::vector<float> four(4);
  EXPECT_THROW(jitter_colours(four, random_jitter(0, random)), InvalidArgument);
}

TEST(RandomColourShift, HasTheCovarianceOfItsComponents) {
  constexpr double kVectors[3][3]{
      {-0.5675, 0.7192, 0.4009}, {-0.5808, -0.0045, -0.8140}, {-0.5836, -0.6948, 0.4203}};
  constexpr double kValues[3]{55.46, 4.794, 1.148};
  constexpr double kStrength = 0.1;
  constexpr int kDraws = 50000;
  double sums[3][3]{};
  double means[3]{};
  Random random(3);
  for (int i = 0; i < kDraws; ++i) {
    const std::array<double, 3> shift = random_colour_shift(kStrength, random);
    for (std::size_t a = 0; a < 3; ++a) {
      means[a] += shift[a] / kDraws;
      for (std::size_t b = 0; b < 3; ++b) sums[a][b] += shift[a] * shift[b] / kDraws;
    }
  }
  for (std::size_t a = 0; a < 3; ++a) {
    EXPECT_NEAR(means[a], 0, 5 * 3.3 / std::sqrt(kDraws));
    for (std::size_t b = 0; b < 3; ++b) {
      double covariance = 0;
      for (std::size_t k = 0; k < 3; ++k) {
        covariance += kVectors[a][k] * kVectors[b][k] * std::pow(kStrength * kValues[k], 2);
      }
      // Variances are near 10; one of a normal number is estimated to sqrt(2 / draws).
      EXPECT_NEAR(sums[a][b], covariance, 5 * 11 * std::sqrt(2.0 / kDraws));
    }
  }
  EXPECT_THROW(static_cast<void>(random_colour_shift(-1, random)), InvalidArgument);
  EXPECT_THAT(random_colour_shift(0, random), ::testing::Each(0.0));
}

}  // namespace
}  // namespace octconv
