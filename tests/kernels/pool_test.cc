// SPDX-License-Identifier: Apache-2.0
// Pooling against plain loops in double.
#include "kernels/pool.h"

#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "support/random_values.h"
#include "support/targets.h"

namespace octconv::kernels {
namespace {

using octconv::testing::random_values;
using PoolTest = octconv::testing::TargetTest;

struct Geometry {
  Extents3 in;
  Extents3 out;
  Extents3 kernel;
  Extents3 stride;
  Extents3 padding;
};

// Several ranks, padding, edges that windows reach over, and a window of more pixels than are
// combined at once.
const std::vector<Geometry> kGeometries{
    {{1, 6, 8}, {1, 3, 4}, {1, 2, 2}, {1, 2, 2}, {0, 0, 0}},
    {{1, 5, 7}, {1, 3, 4}, {1, 2, 2}, {1, 2, 2}, {0, 0, 0}},
    {{1, 7, 7}, {1, 4, 4}, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}},
    {{1, 5, 9}, {1, 2, 3}, {1, 4, 4}, {1, 4, 4}, {0, 0, 0}},
    {{1, 1, 9}, {1, 1, 5}, {1, 1, 2}, {1, 1, 2}, {0, 0, 0}},
    {{3, 4, 5}, {2, 2, 3}, {2, 2, 2}, {2, 2, 2}, {0, 0, 0}},
    {{1, 9, 9}, {1, 2, 2}, {1, 8, 8}, {1, 4, 4}, {0, 2, 2}},
    {{1, 1, 1}, {1, 1, 1}, {1, 2, 2}, {1, 2, 2}, {0, 0, 0}},
    {{2, 4, 14}, {2, 2, 7}, {1, 2, 2}, {1, 2, 2}, {0, 0, 0}},
};

class Case {
 public:
  Case(const Geometry& geometry, std::int64_t channels, PoolKind kind, Random& random)
      : g_(geometry), channels_(channels), kind_(kind) {
    src_ = random_values(kBatch * g_.in[0] * g_.in[1] * g_.in[2] * channels, random);
    out_.assign(static_cast<std::size_t>(kBatch * g_.out[0] * g_.out[1] * g_.out[2] * channels),
                -7.0F);
  }

  void check() {
    const PoolRows rows{.src = src_.data(),
                        .out = out_.data(),
                        .channels = channels_,
                        .pitch = channels_,
                        .in = g_.in,
                        .extents = g_.out,
                        .kernel = g_.kernel,
                        .stride = g_.stride,
                        .padding = g_.padding,
                        .kind = kind_};
    const std::int64_t all = kBatch * g_.out[0] * g_.out[1];
    pool(rows, 0, all / 2);
    pool(rows, all / 2, all);
    std::size_t i = 0;
    for (std::int64_t n = 0; n < kBatch; ++n) {
      for (std::int64_t z = 0; z < g_.out[0]; ++z) {
        for (std::int64_t y = 0; y < g_.out[1]; ++y) {
          for (std::int64_t x = 0; x < g_.out[2]; ++x) {
            for (std::int64_t c = 0; c < channels_; ++c) check_one(n, {z, y, x}, c, out_[i++]);
          }
        }
      }
    }
  }

 private:
  static constexpr std::int64_t kBatch = 2;

  void check_one(std::int64_t n, const Extents3& at, std::int64_t c, float computed) const {
    double sum = 0;
    double magnitude = 0;
    double most = -std::numeric_limits<double>::infinity();
    double count = 0;
    for (std::int64_t kz = 0; kz < g_.kernel[0]; ++kz) {
      for (std::int64_t ky = 0; ky < g_.kernel[1]; ++ky) {
        for (std::int64_t kx = 0; kx < g_.kernel[2]; ++kx) {
          const std::int64_t z = at[0] * g_.stride[0] - g_.padding[0] + kz;
          const std::int64_t y = at[1] * g_.stride[1] - g_.padding[1] + ky;
          const std::int64_t x = at[2] * g_.stride[2] - g_.padding[2] + kx;
          if (z < 0 || y < 0 || x < 0 || z >= g_.in[0] || y >= g_.in[1] || x >= g_.in[2]) continue;
          const auto value = static_cast<double>(src_[static_cast<std::size_t>(
              (((n * g_.in[0] + z) * g_.in[1] + y) * g_.in[2] + x) * channels_ + c)]);
          sum += value;
          magnitude += std::abs(value);
          most = std::max(most, value);
          ++count;
        }
      }
    }
    if (kind_ == PoolKind::kMax) {
      ASSERT_EQ(static_cast<double>(computed), most);
    } else {
      const double parts = kind_ == PoolKind::kAverage ? count : 1;
      ASSERT_NEAR(static_cast<double>(computed), sum / parts,
                  (count + 2) * std::numeric_limits<float>::epsilon() * magnitude / parts);
    }
  }

  Geometry g_;
  std::int64_t channels_;
  PoolKind kind_;
  std::vector<float> src_;
  std::vector<float> out_;
};

TEST_P(PoolTest, CombinesTheRealPixelsOfEveryWindow) {
  Random random(1);
  for (const PoolKind kind : {PoolKind::kMax, PoolKind::kAverage, PoolKind::kSum}) {
    for (const Geometry& geometry : kGeometries) {
      for (const std::int64_t channels : {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 33, 40}) {
        Case(geometry, channels, kind, random).check();
      }
    }
  }
}

TEST_P(PoolTest, GivesNaNWhereAWindowHoldsOneAndNowhereElse) {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  for (const PoolKind kind : {PoolKind::kMax, PoolKind::kAverage}) {
    for (std::size_t bad = 0; bad < 4; ++bad) {
      std::vector<float> src{1, 2, 3, 4, 5, 6, 7, 8};
      src[bad] = kNaN;
      std::vector<float> out(2);
      pool({.src = src.data(),
            .out = out.data(),
            .channels = 1,
            .pitch = 1,
            .in = {1, 1, 8},
            .extents = {1, 1, 2},
            .kernel = {1, 1, 4},
            .stride = {1, 1, 4},
            .kind = kind},
           0, 1);
      EXPECT_TRUE(std::isnan(out[0])) << "pixel " << bad;
      EXPECT_FALSE(std::isnan(out[1]));
    }
  }
}

TEST_P(PoolTest, GlobalAverageIsTheMeanOfAllPixels) {
  Random random(2);
  for (const std::int64_t pixels : {1, 2, 3, 4, 5, 49, 1000}) {
    for (std::int64_t channels = 1; channels <= 40; ++channels) {
      const auto src = random_values(pixels * channels, random);
      std::vector<float> out(static_cast<std::size_t>(channels) + 1, 9.0F);
      global_average(src.data(), pixels, channels, channels, out.data());
      EXPECT_EQ(out.back(), 9.0F);
      for (std::int64_t c = 0; c < channels; ++c) {
        double sum = 0;
        double magnitude = 0;
        for (std::int64_t p = 0; p < pixels; ++p) {
          const auto value = static_cast<double>(src[static_cast<std::size_t>(p * channels + c)]);
          sum += value;
          magnitude += std::abs(value);
        }
        const auto count = static_cast<double>(pixels);
        ASSERT_NEAR(static_cast<double>(out[static_cast<std::size_t>(c)]), sum / count,
                    (count + 2) * std::numeric_limits<float>::epsilon() * magnitude / count);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, PoolTest, octconv::testing::all_targets(),
                         octconv::testing::target_name);

}  // namespace
}  // namespace octconv::kernels
