// SPDX-License-Identifier: Apache-2.0
// A depthwise convolution and the one of single pixels that reads it, in one plan, against two
// plans one after the other.
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "octconv/base/error.h"
#include "octconv/base/parallel.h"
#include "octconv/octave/conv_plan.h"
#include "support/octave_conv.h"
#include "support/random_values.h"
#include "support/targets.h"

namespace octconv {
namespace {

using testing::octave_conv;
using testing::random_values;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

struct Value {
  std::vector<float> high;
  std::vector<float> low;
  std::vector<float> averages;

  Value() = default;
  // Of NaN: what a run must write.
  Value(std::int64_t batch, const ChannelSplit& channels, const Shape& extents, const Shape& octave)
      : high(static_cast<std::size_t>(batch * channels.high * extents.elements()), kNaN),
        low(static_cast<std::size_t>(batch * channels.low *
                                     low_extents(extents, octave).elements()),
            kNaN),
        averages(static_cast<std::size_t>(batch * channels.high *
                                          low_extents(extents, octave).elements()),
                 kNaN) {}

  [[nodiscard]] OctaveView<const float> view() const {
    return {high.data(), low.data(), averages.data()};
  }
  [[nodiscard]] OctaveView<float> view() { return {high.data(), low.data(), averages.data()}; }
};

struct Pair {
  ConvOptions depthwise;
  ConvOptions pointwise;
  Shape extents;
  std::int64_t batch = 1;

  Pair(const ChannelSplit& between, const ChannelSplit& out, const Shape& in_extents,
       std::int64_t images = 1, std::int64_t stride = 1, std::int64_t taps = 3)
      : depthwise(octave_conv(between, between, Shape::filled(in_extents.rank(), taps), stride)),
        pointwise(octave_conv(between, out, Shape::filled(in_extents.rank(), 1))),
        extents(in_extents),
        batch(images) {
    depthwise.groups = between.total();
  }
};

class Experiment {
 public:
  explicit Experiment(const Pair& pair) : pair_(pair) {
    Random random(7);
    const ConvOptions& first = pair.depthwise;
    const ConvOptions& second = pair.pointwise;
    const auto weights = [&](const ConvOptions& o) {
      const auto weight =
          random_values(o.out.total() * (o.in.total() / o.groups) * o.kernel.elements(), random);
      return OctConvWeights(o, weight, random_values(o.out.total(), random));
    };
    feed_ = DepthwiseFeed{weights(first), Activation{ActivationKind::kRelu6}};
    weights_.push_back(weights(second));
    between_ = output_extents(first, pair.extents);
    src_ = random_value(first.in, pair.extents, random);
    residual_ = random_value(second.out, between_, random);
  }

  // The result of one plan, or of two.
  [[nodiscard]] Value together() const { return run(plan(), src_); }
  [[nodiscard]] Value one_by_one() const {
    const OctConvPlan first(feed_->weights, pair_.batch, pair_.extents,
                            {.activation = feed_->activation});
    Value middle(pair_.batch, pair_.depthwise.out, between_, pair_.depthwise.octave);
    std::vector<float> scratch(static_cast<std::size_t>(first.scratch_elements()), kNaN);
    first.run(src_.view(), {}, middle.view(), scratch.data());
    return run(OctConvPlan(weights_[0], pair_.batch, between_, epilogue_), middle);
  }

  // Whether one plan never holds all of the high map between.
  [[nodiscard]] bool keeps_rows_only() const {
    const Shape& octave = pair_.depthwise.octave;
    const Value between(pair_.batch, pair_.depthwise.out, between_, octave);
    const OctConvPlan first(feed_->weights, pair_.batch, pair_.extents);
    const bool averages = weights_[0].reads_averages();
    const OctConvPlan second(weights_[0], pair_.batch, between_, epilogue_, averages);
    const std::size_t others =
        between.low.size() + (averages ? between.averages.size() : 0) +
        static_cast<std::size_t>(first.scratch_elements() + second.scratch_elements());
    return static_cast<std::size_t>(plan().scratch_elements()) < others + between.high.size();
  }

 private:
  [[nodiscard]] OctConvPlan plan() const {
    return {weights_[0], pair_.batch, pair_.extents, epilogue_, false, feed_};
  }

  [[nodiscard]] Value run(const OctConvPlan& plan, const Value& src) const {
    Value dst(pair_.batch, pair_.pointwise.out, between_, pair_.pointwise.octave);
    std::vector<float> scratch(static_cast<std::size_t>(plan.scratch_elements()) + 1, kNaN);
    scratch.back() = 3.0F;
    plan.run(src.view(), residual_.view(), dst.view(), scratch.data());
    EXPECT_EQ(scratch.back(), 3.0F);
    return dst;
  }

  Value random_value(const ChannelSplit& channels, const Shape& extents, Random& random) const {
    Value value(pair_.batch, channels, extents, pair_.depthwise.octave);
    value.high = random_values(static_cast<std::int64_t>(value.high.size()), random);
    value.low = random_values(static_cast<std::int64_t>(value.low.size()), random);
    return value;
  }

  Pair pair_;
  ConvEpilogue epilogue_{
      .residual = true, .activation = {ActivationKind::kRelu}, .second = {}, .averages = true};
  std::optional<DepthwiseFeed> feed_;
  std::vector<OctConvWeights> weights_;
  Shape between_;
  Value src_;
  Value residual_;
};

// Every sum has the same terms in the same order, so the bits are equal.
void check(const Pair& pair, bool rows_only) {
  SCOPED_TRACE("extents " + pair.extents.to_string() + ", between " +
               std::to_string(pair.depthwise.out.high) + "+" +
               std::to_string(pair.depthwise.out.low) + ", out " +
               std::to_string(pair.pointwise.out.high) + "+" +
               std::to_string(pair.pointwise.out.low) + ", mode " +
               std::string(to_string(pair.depthwise.stride_mode)));
  const Experiment experiment(pair);
  EXPECT_EQ(experiment.keeps_rows_only(), rows_only);
  const Value expected = experiment.one_by_one();
  const Value actual = experiment.together();
  EXPECT_EQ(actual.high, expected.high);
  EXPECT_EQ(actual.low, expected.low);
  EXPECT_EQ(actual.averages, expected.averages);
}

class DepthwiseFeedTest : public testing::TargetTest {};

TEST_P(DepthwiseFeedTest, GivesTheBitsOfTwoPlans) {
  check(Pair({.high = 40}, {.high = 24}, {57, 45}, 2), true);
  check(Pair({.high = 96}, {.high = 20}, {80, 75}, 1, 2), true);
  check(Pair({.high = 40}, {.high = 24}, {57, 45}, 2, 1, 5), true);
  check(Pair({.high = 96}, {.high = 20}, {80, 81}, 1, 2, 5), false);  // not computed by rows
  check(Pair({.high = 40, .low = 24}, {.high = 33, .low = 15}, {57, 45}, 2), true);
  check(Pair({.high = 40, .low = 24}, {.high = 50}, {56, 58}, 2), true);
  check(Pair({.high = 40}, {.high = 16, .low = 33}, {57, 58}, 1), true);
  check(Pair({.high = 5, .low = 3}, {.high = 4, .low = 2}, {9, 7}, 2), false);
  check(Pair({.low = 6}, {.high = 4, .low = 2}, {64, 64}), false);
}

TEST_P(DepthwiseFeedTest, GivesTheBitsOfTwoPlansInAllRanksAndStrideModes) {
  for (const StrideMode mode :
       {StrideMode::kPool, StrideMode::kPoolTwice, StrideMode::kPoolLow, StrideMode::kStrided}) {
    Pair pair({.high = 40, .low = 24}, {.high = 16, .low = 8}, {113, 94}, 2, 2);
    pair.depthwise.stride_mode = mode;
    check(pair, true);
  }
  check(Pair({.high = 40, .low = 24}, {.high = 16, .low = 8}, {201}, 20), true);
  Pair space({.high = 20, .low = 12}, {.high = 16, .low = 8}, {5, 38, 39});
  space.depthwise.octave = space.pointwise.octave = {1, 2, 2};
  check(space, true);
  // More than a task takes: a row, and planes where depth is halved too.
  check(Pair({.high = 40, .low = 24}, {.high = 16, .low = 8}, {3001}), false);
  check(Pair({.high = 20, .low = 12}, {.high = 16, .low = 8}, {5, 28, 29}), false);
}

INSTANTIATE_TEST_SUITE_P(Targets, DepthwiseFeedTest, testing::all_targets(), testing::target_name);

TEST(DepthwiseFeed, GivesTheSameBitsForAnyNumberOfThreads) {
  const int before = thread_count();
  const Pair pair({.high = 40, .low = 24}, {.high = 16, .low = 8}, {61, 57}, 3);
  set_thread_count(1);
  const Value one = Experiment(pair).together();
  for (const int threads : {2, 3, 7}) {
    set_thread_count(threads);
    const Value many = Experiment(pair).together();
    EXPECT_EQ(one.high, many.high) << threads << " threads";
    EXPECT_EQ(one.low, many.low) << threads << " threads";
  }
  set_thread_count(before);
}

TEST(DepthwiseFeed, RefusesWhatDoesNotReadPixelByPixel) {
  const auto refuses = [](const Pair& pair) {
    const std::vector<float> weight(4096);
    const auto weights = [&](const ConvOptions& o) {
      const auto size =
          static_cast<std::size_t>(o.out.total() * (o.in.total() / o.groups) * o.kernel.elements());
      return OctConvWeights(o, std::span(weight).first(size), {});
    };
    EXPECT_FALSE(can_feed(pair.depthwise, pair.pointwise));
    EXPECT_THROW(OctConvPlan(weights(pair.pointwise), 1, pair.extents, {}, false,
                             DepthwiseFeed{weights(pair.depthwise)}),
                 InvalidArgument);
  };
  const Pair good({.high = 4, .low = 2}, {.high = 3, .low = 3}, {6, 6});
  EXPECT_TRUE(can_feed(good.depthwise, good.pointwise));
  Pair wide = good;
  wide.pointwise = octave_conv({.high = 4, .low = 2}, {.high = 3, .low = 3}, {3, 3});
  refuses(wide);
  Pair strided = good;
  strided.pointwise = octave_conv({.high = 4, .low = 2}, {.high = 3, .low = 3}, {1, 1}, 2);
  refuses(strided);
  Pair dense = good;
  dense.depthwise.groups = 1;
  refuses(dense);
  Pair other = good;
  other.pointwise = octave_conv({.high = 3, .low = 3}, {.high = 3, .low = 3}, {1, 1});
  refuses(other);
}

}  // namespace
}  // namespace octconv
