// SPDX-License-Identifier: Apache-2.0
#include "train/mixup.h"

#include <cmath>
#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace octconv::train {
namespace {

TEST(RandomShare, HasTheMomentsOfTheBetaDistribution) {
  for (const double alpha : {0.2, 0.5, 1.0}) {
    Random random(1);
    constexpr int kDraws = 100000;
    double mean = 0;
    double square = 0;
    double fourth = 0;
    for (int i = 0; i < kDraws; ++i) {
      const double share = random_share(alpha, random);
      ASSERT_GE(share, 0);
      ASSERT_LE(share, 1);
      const double x = share - 0.5;
      mean += x / kDraws;
      square += x * x / kDraws;
      fourth += x * x * x * x / kDraws;
    }
    // Of Beta(a, a): variance 1 / (4 (2a + 1)), fourth moment 3 / (16 (2a + 1) (2a + 3)). What lies
    // in [-1/2, 1/2] has a deviation of at most 1/2, its square of 1/8, its fourth power of 1/32.
    const double five = 5 / std::sqrt(kDraws);
    EXPECT_NEAR(mean, 0, five / 2);
    EXPECT_NEAR(square, 1 / (4 * (2 * alpha + 1)), five / 8);
    EXPECT_NEAR(fourth, 3 / (16 * (2 * alpha + 1) * (2 * alpha + 3)), five / 32);
  }
}

TEST(RandomShare, OfATinyAlphaIsStillANumber) {
  Random random(2);
  for (int i = 0; i < 1000; ++i) {
    const double share = random_share(1e-4, random);
    EXPECT_TRUE(share >= 0 && share <= 1);
  }
}

TEST(Blend, AddsTheReversedBatch) {
  const at::Tensor images = at::arange(3 * 2 * 4 * 5, at::kFloat).reshape({3, 2, 4, 5});
  const at::Tensor mixed = blend(images, 0.75);
  const auto at_of = [&](const at::Tensor& x, int n, int i) {
    return x.data_ptr<float>()[n * 40 + i];
  };
  for (int n = 0; n < 3; ++n) {
    for (int i = 0; i < 40; ++i) {
      EXPECT_FLOAT_EQ(at_of(mixed, n, i),
                      0.75F * at_of(images, n, i) + 0.25F * at_of(images, 2 - n, i));
    }
  }
}

TEST(BlendedLoss, IsTheCrossEntropyWithBlendedSmoothedTargets) {
  constexpr int kImages = 4;
  constexpr int kClasses = 5;
  constexpr double kShare = 0.3;
  constexpr double kSmoothing = 0.1;
  const std::int64_t labels[kImages] = {2, 0, 4, 1};
  at::Tensor logits = at::empty({kImages, kClasses}, at::kFloat);
  Random random(3);
  for (int i = 0; i < kImages * kClasses; ++i)
    logits.data_ptr<float>()[i] = static_cast<float>(random.normal());
  double loss = 0;
  for (int n = 0; n < kImages; ++n) {
    const float* x = logits.data_ptr<float>() + n * kClasses;
    double sum = 0;
    for (int k = 0; k < kClasses; ++k) sum += std::exp(double{x[k]});
    for (int k = 0; k < kClasses; ++k) {
      // On: 1 - eta + eta / K, off: eta / K; both labels by their shares.
      const auto target = [&](std::int64_t label) {
        return kSmoothing / kClasses + (label == k ? 1 - kSmoothing : 0);
      };
      const double t = kShare * target(labels[n]) + (1 - kShare) * target(labels[kImages - 1 - n]);
      loss -= t * (x[k] - std::log(sum)) / kImages;
    }
  }
  const at::Tensor targets = at::tensor(std::vector<std::int64_t>(labels, labels + kImages));
  // A mean of 20 terms of a few units each, in float.
  EXPECT_NEAR(blended_loss(logits, targets, kShare, kSmoothing).item<double>(), loss, 5e-6);
}

}  // namespace
}  // namespace octconv::train
