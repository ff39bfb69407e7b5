// SPDX-License-Identifier: Apache-2.0
// Attention against its formula.
#include "kernels/attention.h"

#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "support/random_values.h"
#include "support/targets.h"

namespace octconv::kernels {
namespace {

using octconv::testing::random_values;
using AttentionTest = octconv::testing::TargetTest;

constexpr double kEpsilon = std::numeric_limits<float>::epsilon();

struct Sizes {
  std::int64_t queries;
  std::int64_t positions;
  std::int64_t channels;
  std::int64_t width;
};

// One query by one, in double, with every share kept.
std::vector<double> attend(const AttentionRows& rows, std::int64_t query, double& doubt) {
  std::vector<double> scores;
  doubt = 0;
  for (std::int64_t p = 0; p < rows.positions; ++p) {
    double score = 0;
    double magnitude = 0;
    for (std::int64_t c = 0; c < rows.channels; ++c) {
      const double product = static_cast<double>(rows.queries[query * rows.channels + c]) *
                             static_cast<double>(rows.keys[p * rows.channels + c]);
      score += product;
      magnitude += std::abs(product);
    }
    scores.push_back(static_cast<double>(rows.factor) * score);
    doubt = std::max(doubt, static_cast<double>(rows.factor) * magnitude);
  }
  double sum = 0;
  std::vector<double> out(static_cast<std::size_t>(rows.width));
  for (const double score : scores) sum += std::exp(score);
  for (std::size_t p = 0; p < scores.size(); ++p) {
    for (std::size_t c = 0; c < out.size(); ++c) {
      out[c] += std::exp(scores[p]) / sum * static_cast<double>(rows.values[p * out.size() + c]);
    }
  }
  return out;
}

TEST_P(AttentionTest, EqualsTheFormulaForEveryNumberOfChannelsAndPositions) {
  Random random(1);
  std::vector<Sizes> all;
  for (std::int64_t n = 1; n <= 40; ++n) all.push_back({3, 5, n, 41 - n});
  for (const std::int64_t n : {1, 63, 64, 65, 128, 200}) all.push_back({2, n, 7, 9});
  for (const Sizes& s : all) {
    const auto queries = random_values(s.queries * s.channels, random);
    const auto keys = random_values(s.positions * s.channels, random);
    const auto values = random_values(s.positions * s.width, random);
    std::vector<float> out(static_cast<std::size_t>(s.queries * s.width + 1), 9.0F);
    const AttentionRows rows{.queries = queries.data(),
                             .keys = keys.data(),
                             .values = values.data(),
                             .out = out.data(),
                             .channels = s.channels,
                             .positions = s.positions,
                             .width = s.width,
                             .factor = 0.7F};
    attention(rows, 0, 1);
    attention(rows, 1, s.queries);
    EXPECT_EQ(out.back(), 9.0F);
    for (std::int64_t q = 0; q < s.queries; ++q) {
      double doubt = 0;
      const std::vector<double> expected = attend(rows, q, doubt);
      // Errors of the scores count twice in the shares; sums have `positions` terms; values are
      // within [-1, 1].
      const double tolerance = kEpsilon * (2 * static_cast<double>(s.channels + 3) * doubt +
                                           2 * static_cast<double>(s.positions) + 8);
      for (std::int64_t c = 0; c < s.width; ++c) {
        ASSERT_NEAR(static_cast<double>(out[static_cast<std::size_t>(q * s.width + c)]),
                    expected[static_cast<std::size_t>(c)], tolerance)
            << s.positions << " positions, " << s.channels << " channels";
      }
    }
  }
}

// Scores far above what exp can take: the largest alone has a share.
TEST_P(AttentionTest, LargeScoresDoNotOverflow) {
  constexpr std::int64_t kPositions = 150;
  const std::vector<float> query{1000.0F};
  std::vector<float> keys(kPositions, -1.0F);
  std::vector<float> values(kPositions, 1.0F);
  keys[100] = 1.0F;
  values[100] = 5.0F;
  float out = 0;
  const AttentionRows rows{.queries = query.data(),
                           .keys = keys.data(),
                           .values = values.data(),
                           .out = &out,
                           .channels = 1,
                           .positions = kPositions,
                           .width = 1};
  attention(rows, 0, 1);
  EXPECT_EQ(out, 5.0F);
  keys[100] = std::numeric_limits<float>::quiet_NaN();
  attention(rows, 0, 1);
  EXPECT_TRUE(std::isnan(out));
}

INSTANTIATE_TEST_SUITE_P(Targets, AttentionTest, octconv::testing::all_targets(),
                         octconv::testing::target_name);

}  // namespace
}  // namespace octconv::kernels
