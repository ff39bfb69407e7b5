// SPDX-License-Identifier: Apache-2.0
// Planned octave convolutions against the article's equations in double.
#include "octconv/octave/conv_plan.h"

#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octave/packed_conv.h"
#include "octconv/base/error.h"
#include "octconv/base/parallel.h"
#include "support/activation.h"
#include "support/octave_conv.h"
#include "support/random_values.h"
#include "support/reference_conv.h"
#include "support/targets.h"

namespace octconv {
namespace {

using testing::image_of;
using testing::octave_conv;
using testing::random_values;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// Both frequencies of a batch, channels last.
struct Value {
  std::vector<float> high;
  std::vector<float> low;
  std::vector<float> averages = {};  // of the high grid's cells

  [[nodiscard]] OctaveView<const float> view() const {
    return {high.data(), low.data(), averages.data()};
  }
  [[nodiscard]] OctaveView<float> view() { return {high.data(), low.data(), averages.data()}; }
};

// The average of each cell of `octave` pixels, in double; fewer at a far edge.
std::vector<double> averages_of(const std::vector<float>& values, std::int64_t batch,
                                std::int64_t channels, const Shape& extents, const Shape& octave) {
  const Shape cells = low_extents(extents, octave);
  std::vector<double> sums(static_cast<std::size_t>(batch * cells.elements() * channels));
  std::vector<int> counts(sums.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::int64_t channel = static_cast<std::int64_t>(i) % channels;
    std::int64_t left = static_cast<std::int64_t>(i) / channels;
    std::int64_t cell = 0;
    std::int64_t stride = 1;
    for (std::size_t axis = extents.rank(); axis-- > 0; left /= extents[axis]) {
      cell += left % extents[axis] / octave[axis] * stride;
      stride *= cells[axis];
    }
    cell += left * stride;  // of the images before
    const auto to = static_cast<std::size_t>(cell * channels + channel);
    sums[to] += static_cast<double>(values[i]);
    ++counts[to];
  }
  for (std::size_t i = 0; i < sums.size(); ++i) sums[i] /= counts[i];
  return sums;
}

struct Run {
  ConvOptions options;
  Shape extents;
  std::int64_t batch = 1;
  bool bias = true;
  ConvEpilogue epilogue = {};
  bool in_place = false;  // the residual is overwritten
  std::uint64_t seed = 1;
  ConvMethods methods = {};
  // Numbers for which every method computes without rounding: results are equal, not near.
  bool exact = false;
};

// The weights of tiles of 2 are multiples of 1/4, pools average up to 64 pixels, and no sum of the
// small networks here leaves the 24 bits of a float.
void make_whole(std::vector<float>& values, float unit) {
  for (float& value : values) value = std::round(1.5F * value) * unit;  // -1, 0 or 1 units
}

class Experiment {
 public:
  explicit Experiment(Run run) : run_(std::move(run)) {
    const ConvOptions& o = run_.options;
    Random random(run_.seed);
    weight_ =
        random_values(o.out.total() * (o.in.total() / o.groups) * o.kernel.elements(), random);
    if (run_.bias) bias_ = random_values(o.out.total(), random);
    src_ = value(o.in, run_.extents, random);
    out_extents_ = output_extents(o, run_.extents);
    residual_ = value(o.out, out_extents_, random);
    if (!run_.exact) return;
    make_whole(weight_, 4);
    make_whole(bias_, 1);
    for (std::vector<float>* values : {&src_.high, &src_.low, &residual_.high, &residual_.low}) {
      make_whole(*values, 64);
    }
  }

  // Memory that must not be read is full of NaN.
  Value compute(Value* second = nullptr) const {
    const OctConvWeights weights(run_.options, weight_, bias_, run_.methods);
    const bool averages = !src_.averages.empty() && weights.reads_averages();
    const OctConvPlan plan(weights, run_.batch, run_.extents, run_.epilogue, averages);
    EXPECT_EQ(plan.extents(), out_extents_);
    std::vector<float> scratch(static_cast<std::size_t>(plan.scratch_elements()) + 1, kNaN);
    scratch.back() = 3.0F;
    Value dst = residual_;
    if (run_.epilogue.averages) {
      const std::int64_t cells = low_extents(out_extents_, run_.options.octave).elements();
      Value& averaged = second == nullptr ? dst : *second;
      averaged.averages.assign(static_cast<std::size_t>(run_.batch * cells * run_.options.out.high),
                               kNaN);
    }
    if (!run_.in_place) {
      std::fill(dst.high.begin(), dst.high.end(), kNaN);
      std::fill(dst.low.begin(), dst.low.end(), kNaN);
    }
    plan.run(src_.view(), run_.in_place ? std::as_const(dst).view() : residual_.view(), dst.view(),
             scratch.data(), second == nullptr ? OctaveView<float>{} : second->view());
    EXPECT_EQ(scratch.back(), 3.0F);
    return dst;
  }

  void check_second() {
    Random random(5);
    const std::int64_t channels = run_.options.out.total();
    SecondResult second{.scale = Tensor(Shape{channels}),
                        .shift = Tensor(Shape{channels}),
                        .activation = {ActivationKind::kRelu}};
    scale_ = random_values(channels, random);
    shift_ = random_values(channels, random);
    std::copy(scale_.begin(), scale_.end(), second.scale.data());
    std::copy(shift_.begin(), shift_.end(), second.shift.data());
    run_.epilogue.second = std::make_shared<const SecondResult>(std::move(second));
    run_.epilogue.averages = true;
    Value beside = residual_;
    const Value first = compute(&beside);
    check_averages(beside.high, beside.averages);
    run_.epilogue = {.residual = run_.epilogue.residual, .activation = run_.epilogue.activation};
    const Value alone = compute();
    EXPECT_EQ(first.high, alone.high);
    EXPECT_EQ(first.low, alone.low);
    check_norm(first.high, beside.high, run_.options.out.high, run_.options.out.low);
    check_norm(first.low, beside.low, run_.options.out.low, 0);
  }

  // As it is, and with the averages of the input given and those of the result wanted.
  void check() {
    check_equations(compute());
    if (::testing::Test::HasFatalFailure()) return;
    run_.epilogue.averages = true;
    for (const double average : averages_of(src_.high, run_.batch, run_.options.in.high,
                                            run_.extents, run_.options.octave)) {
      src_.averages.push_back(static_cast<float>(average));
    }
    const Value computed = compute();
    check_equations(computed);
    if (::testing::Test::HasFatalFailure()) return;
    check_averages(computed.high, computed.averages);
  }

 private:
  void check_equations(const Value& computed) const {
    const ConvOptions& o = run_.options;
    const reference::Layer layer(o, weight_, bias_);
    for (std::int64_t n = 0; n < run_.batch; ++n) {
      const auto [high, low] =
          layer(image_of(src_.high, n, o.in.high, run_.extents),
                image_of(src_.low, n, o.in.low, low_extents(run_.extents, o.octave)));
      compare(computed.high, residual_.high, n, high, "high");
      compare(computed.low, residual_.low, n, low, "low");
      if (::testing::Test::HasFatalFailure()) return;
    }
  }

  void check_averages(const std::vector<float>& high, const std::vector<float>& averages) const {
    const std::vector<double> expected =
        averages_of(high, run_.batch, run_.options.out.high, out_extents_, run_.options.octave);
    double largest = 1;
    for (const float value : high)
      largest = std::max(largest, static_cast<double>(std::abs(value)));
    // 8 pixels at most: roundings of 7 sums up to 8 times as large as the result, and of a product.
    const double tolerance = 8 * std::numeric_limits<float>::epsilon() / 2 * largest;
    ASSERT_EQ(averages.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      ASSERT_NEAR(averages[i], expected[i], tolerance) << "average " << i;
    }
  }

  [[nodiscard]] Value value(const ChannelSplit& split, const Shape& extents, Random& random) const {
    const Shape low = low_extents(extents, run_.options.octave);
    return {.high = random_values(run_.batch * split.high * extents.elements(), random),
            .low = random_values(run_.batch * split.low * low.elements(), random)};
  }

  // What lies beside one frequency, whose channels begin at `begin` of all: relu(scale * it +
  // shift).
  void check_norm(const std::vector<float>& first, const std::vector<float>& beside,
                  std::int64_t channels, std::int64_t begin) const {
    ASSERT_EQ(beside.size(), first.size());
    for (std::size_t i = 0; i < first.size(); ++i) {
      const auto channel =
          static_cast<std::size_t>(begin + static_cast<std::int64_t>(i) % channels);
      const double product = static_cast<double>(first[i]) * static_cast<double>(scale_[channel]);
      const auto term = static_cast<double>(shift_[channel]);
      // A rounding of the product, where there is no FMA, and one of the sum.
      const double tolerance =
          2 * std::numeric_limits<float>::epsilon() * (std::abs(product) + std::abs(term));
      ASSERT_NEAR(beside[i], std::max(0.0, product + term), tolerance) << "element " << i;
    }
  }

  void compare(const std::vector<float>& computed, const std::vector<float>& residual,
               std::int64_t n, reference::Map expected, const std::string& name) const {
    if (expected.channels == 0) {
      ASSERT_TRUE(computed.empty());
      return;
    }
    if (run_.epilogue.residual) {
      expected =
          reference::add(expected, image_of(residual, n, expected.channels, expected.extents));
    }
    const reference::Map actual = image_of(computed, n, expected.channels, expected.extents);
    ASSERT_EQ(actual.values.size() * static_cast<std::size_t>(run_.batch), computed.size()) << name;
    for (std::size_t i = 0; i < actual.values.size(); ++i) {
      const Activation& activation = run_.epilogue.activation;
      const double sum = expected.values[i];
      const auto channel = static_cast<std::int64_t>(i) / expected.pixels();
      const std::int64_t row = name == "high" ? run_.options.out.low + channel : channel;
      const double rounding = reference::own_roundings(activation) *
                              std::numeric_limits<float>::epsilon() * std::max(1.0, std::abs(sum));
      const double summing = run_.exact ? 0 : expected.tolerance(i) + winograd_tolerance(row);
      ASSERT_NEAR(actual.values[i], reference::activated(sum, activation),
                  summing * reference::steepest(activation) + rounding)
          << name << " element " << i << " of image " << n;
    }
  }

  // How far Winograd's sums may be from a row's: n roundings of terms that are larger than the
  // products of inputs (up to 1) and weights by `growth` along each axis, the largest row of
  // |output transform| * (sums of |input transform|) * (maxima of |weight transform|).
  double winograd_tolerance(std::int64_t row) const {
    if (run_.methods == ConvMethods{}) return 0;
    const ConvOptions& o = run_.options;
    const bool four = run_.methods.high == ConvMethod::kWinograd4;
    const double growth = four ? 15.4 : 4;
    const auto taps = static_cast<std::int64_t>(weight_.size()) / o.out.total();
    double sum = 0;
    for (std::int64_t i = row * taps; i < (row + 1) * taps; ++i) {
      sum += std::abs(static_cast<double>(weight_[static_cast<std::size_t>(i)]));
    }
    // Sums over channels, twice six terms in every transform, and a pool.
    const double roundings = static_cast<double>(taps / 3) + 4 * 6 + 64;
    return roundings * std::numeric_limits<float>::epsilon() / 2 * growth *
           (o.rank() == 1 ? 1 : growth) * sum;
  }

  Run run_;
  std::vector<float> weight_;
  std::vector<float> bias_;
  Value src_;
  Value residual_;
  std::vector<float> scale_;
  std::vector<float> shift_;
  Shape out_extents_;
};

void check_run(const Run& run) {
  SCOPED_TRACE("kernel " + run.options.kernel.to_string() + " stride " +
               run.options.stride.to_string() + " extents " + run.extents.to_string() + " in " +
               std::to_string(run.options.in.high) + "+" + std::to_string(run.options.in.low) +
               " out " + std::to_string(run.options.out.high) + "+" +
               std::to_string(run.options.out.low) + " mode " +
               std::string(to_string(run.options.stride_mode)));
  Experiment(run).check();
}

class ConvPlanTest : public testing::TargetTest {};

TEST_P(ConvPlanTest, EqualsTheEquationsForEveryNumberOfChannels) {
  for (std::int64_t channels = 1; channels <= 40; ++channels) {
    const ChannelSplit in{.high = 41 - channels, .low = channels};
    const ChannelSplit out{.high = channels, .low = 41 - channels};
    check_run({.options = octave_conv(in, out, {3, 3}), .extents = {5, 4}});
    if (HasFatalFailure()) return;
  }
}

TEST_P(ConvPlanTest, EqualsTheEquationsForLargeChannelCounts) {
  check_run({.options = octave_conv({96, 32}, {120, 56}, {1, 1}), .extents = {6, 6}, .batch = 2});
  check_run({.options = octave_conv({129, 63}, {67, 130}, {3, 3}), .extents = {3, 5}});
}

TEST_P(ConvPlanTest, EqualsTheEquationsWhereAFrequencyIsMissing) {
  const ChannelSplit both{.high = 5, .low = 3};
  const ChannelSplit high{.high = 9, .low = 0};
  const ChannelSplit low{.high = 0, .low = 4};
  for (const ChannelSplit& in : {both, high, low}) {
    for (const ChannelSplit& out : {both, high, low}) {
      check_run({.options = octave_conv(in, out, {3, 3}), .extents = {7, 6}, .batch = 2});
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(ConvPlanTest, EqualsTheEquationsInAllRanksStrideModesAndExchanges) {
  for (const Shape& extents : {Shape{9}, Shape{10}, Shape{7, 5}, Shape{6, 8}, Shape{1, 2},
                               Shape{3, 5, 4}, Shape{1, 1, 1}}) {
    for (const StrideMode mode :
         {StrideMode::kPool, StrideMode::kPoolTwice, StrideMode::kPoolLow, StrideMode::kStrided}) {
      for (const Exchange exchange :
           {Exchange::kBoth, Exchange::kHighToLow, Exchange::kLowToHigh, Exchange::kNone}) {
        for (const std::int64_t stride : {1, 2}) {
          ConvOptions options =
              octave_conv({5, 3}, {6, 2}, Shape::filled(extents.rank(), 3), stride);
          options.stride_mode = mode;
          options.exchange = exchange;
          check_run({.options = options, .extents = extents, .batch = 2});
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST_P(ConvPlanTest, EqualsTheEquationsWhereLowIsUpsampledBeforeItsConvolution) {
  for (const Shape& extents : {Shape{9}, Shape{7, 5}, Shape{6, 8}, Shape{3, 5, 4}}) {
    for (const StrideMode mode :
         {StrideMode::kPool, StrideMode::kPoolTwice, StrideMode::kPoolLow, StrideMode::kStrided}) {
      for (const std::int64_t stride : {1, 2}) {
        for (const ChannelSplit& in : {ChannelSplit{5, 3}, ChannelSplit{0, 4}}) {
          ConvOptions options = octave_conv(in, {6, 2}, Shape::filled(extents.rank(), 3), stride);
          options.stride_mode = mode;
          options.low_to_high = LowToHigh::kUpsampleThenConv;
          check_run({.options = options, .extents = extents, .batch = 2});
          if (stride == 1) {
            check_run({.options = options,
                       .extents = extents,
                       .methods = {.high = ConvMethod::kWinograd2},
                       .exact = true});
          }
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST_P(ConvPlanTest, EqualsTheEquationsOfDepthwiseRows) {
  for (const Shape& extents : {Shape{4, 2}, Shape{5, 9}, Shape{8, 15}, Shape{3, 30}}) {
    for (const std::int64_t taps : {3, 5, 7}) {
      for (const std::int64_t stride : {1, 2}) {
        for (const std::int64_t dilation : {1, 2}) {
          const ChannelSplit channels{.high = extents[1] == 2 ? 2 : 21,
                                      .low = extents[1] == 2 ? 1 : 5};
          ConvOptions options = octave_conv(channels, channels, {taps, taps}, stride);
          options.groups = channels.total();
          options.dilation = {dilation, 1};
          options.padding_begin[0] = options.padding_end[0] = dilation * (taps - 1) / 2;
          check_run({.options = options, .extents = extents, .batch = 2});
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST_P(ConvPlanTest, EqualsTheEquationsWhereOnlySpaceIsHalvedAndTimeIsStrided) {
  for (const StrideMode mode :
       {StrideMode::kPool, StrideMode::kPoolTwice, StrideMode::kPoolLow, StrideMode::kStrided}) {
    for (const Shape& stride : {Shape{1, 2, 2}, Shape{2, 1, 1}, Shape{2, 2, 2}, Shape{1, 2, 1}}) {
      ConvOptions options = octave_conv({4, 4}, {3, 5}, {3, 1, 3});
      options.octave = {1, 2, 2};
      options.stride = stride;
      options.stride_mode = mode;
      check_run({.options = options, .extents = {5, 6, 7}});
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(ConvPlanTest, EqualsTheEquationsForDilatedGroupedAndDepthwiseLayers) {
  for (const std::int64_t dilation : {1, 2, 3}) {
    check_run({.options = octave_conv({4, 3}, {3, 4}, {3, 5}, 1, dilation), .extents = {9, 7}});
    for (const std::int64_t stride : {1, 2}) {
      ConvOptions grouped = octave_conv({12, 6}, {9, 15}, {3, 3}, stride, dilation);
      grouped.groups = 3;
      grouped.stride_mode = StrideMode::kPool;
      check_run({.options = grouped, .extents = {7, 8}, .batch = 2});
      ConvOptions depthwise = octave_conv({37, 19}, {37, 19}, {3, 3}, stride, dilation);
      depthwise.groups = 56;
      depthwise.stride_mode = StrideMode::kPool;
      check_run({.options = depthwise, .extents = {7, 8}, .batch = 2});
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(ConvPlanTest, EqualsTheEquationsForOrdinaryLayersOfAnyGeometry) {
  ConvOptions options{.in = {.high = 6},
                      .out = {.high = 10},
                      .kernel = {2, 5},
                      .stride = {3, 2},
                      .dilation = {2, 1},
                      .padding_begin = {0, 3},
                      .padding_end = {2, 0},
                      .octave = {2, 2}};
  check_run({.options = options, .extents = {11, 9}, .batch = 3, .bias = false});
  options.groups = 2;
  check_run({.options = options, .extents = {3, 30}, .batch = 2});
}

TEST_P(ConvPlanTest, EqualsTheEquationsForKernelsOfHundredsOfTaps) {
  // More taps than a task's table of row pointers holds: summed in several steps, through the
  // output.
  const ConvEpilogue epilogue{.residual = true, .activation = Activation{ActivationKind::kRelu}};
  check_run(
      {.options = octave_conv({3, 2}, {2, 3}, {401}), .extents = {450}, .epilogue = epilogue});
  check_run({.options = octave_conv({1, 1}, {9, 1}, {19, 23}), .extents = {12, 9}});
  ConvOptions depthwise = octave_conv({3, 2}, {3, 2}, {381});
  depthwise.groups = 5;
  check_run({.options = depthwise, .extents = {90}, .epilogue = epilogue});
}

TEST_P(ConvPlanTest, AppliesTheEpilogueOnceAlsoInPlace) {
  for (const Activation& activation : reference::all_activations()) {
    for (const bool in_place : {false, true}) {
      check_run({.options = octave_conv({7, 5}, {11, 13}, {3, 3}),
                 .extents = {5, 7},
                 .batch = 2,
                 .epilogue = {.residual = true, .activation = activation},
                 .in_place = in_place});
      if (HasFatalFailure()) return;
    }
  }
}

// The second result against the first, which other tests hold against the equations.
TEST_P(ConvPlanTest, MakesTheBatchNormOfItsResultBesideIt) {
  ConvOptions depthwise = octave_conv({3, 2}, {3, 2}, {3, 3});
  depthwise.groups = 5;
  ConvOptions grouped = octave_conv({6, 4}, {18, 12}, {1, 1});
  grouped.groups = 2;
  for (const ConvOptions& options :
       {octave_conv({7, 5}, {11, 13}, {3, 3}), octave_conv({4, 0}, {9, 0}, {1, 1}),
        octave_conv({1, 1}, {9, 1}, {19, 23}), depthwise, grouped}) {
    Experiment({.options = options, .extents = {9, 7}, .batch = 2}).check_second();
    if (HasFatalFailure()) return;
  }
}

constexpr ConvMethods all_of(ConvMethod method) {
  return {.high = method, .low_to_high = method, .low = method};
}

constexpr std::array kWinograd{ConvMethod::kWinograd2, ConvMethod::kWinograd4};

TEST_P(ConvPlanTest, EqualsTheEquationsWithWinogradInAllRanksAndAtOddEdges) {
  const ConvEpilogue epilogue{.residual = true, .activation = Activation{ActivationKind::kRelu}};
  for (const ConvMethod method : kWinograd) {
    for (const Shape& extents : {Shape{9}, Shape{1}, Shape{34}, Shape{7, 5}, Shape{1, 2},
                                 Shape{12, 33}, Shape{3, 5, 4}, Shape{2, 9, 8}}) {
      check_run({.options = octave_conv({5, 3}, {6, 2}, Shape::filled(extents.rank(), 3)),
                 .extents = extents,
                 .batch = 2,
                 .epilogue = epilogue,
                 .in_place = true,
                 .methods = all_of(method),
                 .exact = method == ConvMethod::kWinograd2});
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(ConvPlanTest, EqualsTheEquationsWithWinogradForEveryNumberOfChannels) {
  for (std::int64_t channels = 1; channels <= 40; channels += 3) {
    for (const ConvMethod method : kWinograd) {
      check_run(
          {.options = octave_conv({41 - channels, channels}, {channels, 41 - channels}, {3, 3}),
           .extents = {6, 7},
           .methods = all_of(method),
           .exact = method == ConvMethod::kWinograd2});
      if (HasFatalFailure()) return;
    }
  }
}

// Only what is upsampled goes to the high output; and many planes of a kernel are read.
TEST_P(ConvPlanTest, EqualsTheEquationsWithWinogradOfLowAloneAndOfManyPlanes) {
  for (const ConvMethod method : kWinograd) {
    check_run({.options = octave_conv({0, 5}, {6, 2}, {3, 3}),
               .extents = {7, 5},
               .methods = all_of(method)});
    check_run({.options = octave_conv({3, 2}, {2, 3}, {63, 3, 3}),
               .extents = {70, 3, 4},
               .methods = all_of(method)});
    if (HasFatalFailure()) return;
  }
}

TEST_P(ConvPlanTest, EqualsTheEquationsWithWinogradBehindPools) {
  for (const StrideMode mode : {StrideMode::kPool, StrideMode::kPoolTwice, StrideMode::kPoolLow}) {
    ConvOptions options = octave_conv({5, 3}, {6, 2}, {3, 3}, 2);
    options.stride_mode = mode;
    for (const ConvMethod method : kWinograd) {
      check_run({.options = options,
                 .extents = {16, 8},
                 .methods = all_of(method),
                 .exact = method == ConvMethod::kWinograd2});
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(ConvPlanTest, EqualsTheEquationsWithWinogradWithoutPadding) {
  ConvOptions options{.in = {.high = 6},
                      .out = {.high = 10},
                      .kernel = {3, 3},
                      .stride = {1, 1},
                      .dilation = {1, 1},
                      .padding_begin = {0, 2},
                      .padding_end = {1, 0},
                      .octave = {2, 2}};
  for (const ConvMethod method : kWinograd) {
    check_run({.options = options,
               .extents = {11, 9},
               .methods = all_of(method),
               .exact = method == ConvMethod::kWinograd2});
  }
}

TEST_P(ConvPlanTest, AppliesTheEpilogueBehindWinograd) {
  for (const Activation& activation : reference::all_activations()) {
    for (const ConvMethod method : kWinograd) {
      const struct Run run {
        .options = octave_conv({7, 5}, {11, 13}, {3, 3}), .extents = {5, 7}, .batch = 2,
        .epilogue = {.residual = true, .activation = activation}, .methods = all_of(method),
        .exact = method == ConvMethod::kWinograd2
      };
      check_run(run);
      Experiment(run).check_second();
      if (HasFatalFailure()) return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, ConvPlanTest, testing::all_targets(), testing::target_name);

TEST(ConvPlan, GivesTheSameBitsForAnyNumberOfThreads) {
  const int before = thread_count();
  for (const ConvMethod method :
       {ConvMethod::kDirect, ConvMethod::kWinograd2, ConvMethod::kWinograd4}) {
    // Many tiles and few weights, and the other way round.
    for (const auto& [channels, extent] : {std::pair{32, 33}, std::pair{160, 9}}) {
      const ChannelSplit split{.high = channels, .low = 24};
      const Experiment experiment({.options = octave_conv(split, split, {3, 3}),
                                   .extents = {extent, extent - 2},
                                   .batch = 3,
                                   .methods = all_of(method)});
      set_thread_count(1);
      const Value one = experiment.compute();
      for (const int threads : {2, 3, 7}) {
        set_thread_count(threads);
        const Value many = experiment.compute();
        EXPECT_EQ(one.high, many.high) << threads << " threads";
        EXPECT_EQ(one.low, many.low) << threads << " threads";
      }
    }
  }
  set_thread_count(before);
}

TEST(ConvPlan, GivesEachImageOfABatchTheBitsItGetsAlone) {
  const ConvOptions options = octave_conv({6, 4}, {5, 9}, {3, 3});
  Random random(1);
  const auto weight = random_values(14 * 10 * 9, random);
  const auto src_high = random_values(3 * 6 * 35, random);
  const auto src_low = random_values(3 * 4 * 12, random);
  const OctConvWeights weights(options, weight, {});
  const auto run = [&](std::int64_t batch, std::int64_t first) {
    const OctConvPlan plan(weights, batch, {5, 7});
    Value dst{.high = std::vector<float>(static_cast<std::size_t>(batch * 5 * 35)),
              .low = std::vector<float>(static_cast<std::size_t>(batch * 9 * 12))};
    std::vector<float> scratch(static_cast<std::size_t>(plan.scratch_elements()));
    plan.run({src_high.data() + first * 6 * 35, src_low.data() + first * 4 * 12}, {}, dst.view(),
             scratch.data());
    return dst;
  };
  const Value all = run(3, 0);
  for (std::int64_t n = 0; n < 3; ++n) {
    const Value one = run(1, n);
    EXPECT_TRUE(std::equal(one.high.begin(), one.high.end(), all.high.begin() + n * 5 * 35));
    EXPECT_TRUE(std::equal(one.low.begin(), one.low.end(), all.low.begin() + n * 9 * 12));
  }
}

TEST(ConvPlan, CarriesANaNToEveryOutputThatReadsIt) {
  const ConvOptions options = octave_conv({1, 1}, {1, 1}, {1});
  const std::vector<float> ones(4, 1.0F);
  const OctConvPlan plan(OctConvWeights(options, ones, {}), 1, {4},
                         {.activation = Activation{ActivationKind::kRelu}});
  std::vector<float> scratch(static_cast<std::size_t>(plan.scratch_elements()));
  const std::vector<float> high{1, 1, kNaN, 1};
  const std::vector<float> low{1, 1};
  Value dst{.high = std::vector<float>(4), .low = std::vector<float>(2)};
  plan.run({high.data(), low.data()}, {}, dst.view(), scratch.data());
  EXPECT_THAT(dst.high, ::testing::ElementsAre(2, 2, ::testing::IsNan(), 2));
  EXPECT_THAT(dst.low, ::testing::ElementsAre(2, ::testing::IsNan()));
}

TEST(ConvPlan, RefusesWhatDoesNotFit) {
  const ConvOptions options = octave_conv({2, 2}, {2, 2}, {3, 3});
  const std::vector<float> weight(4 * 4 * 9);
  const std::vector<float> short_bias(3);
  EXPECT_THROW(OctConvWeights(options, std::span(weight).first(10), {}), InvalidArgument);
  EXPECT_THROW(OctConvWeights(options, weight, short_bias), InvalidArgument);
  const OctConvWeights weights(options, weight, {});
  EXPECT_THROW(OctConvPlan(weights, -1, {4, 4}), InvalidArgument);
  EXPECT_THROW(OctConvPlan(weights, 1, {4}), InvalidArgument);
  EXPECT_THROW(OctConvPlan(weights, 1, {4, 0}), InvalidArgument);
  ConvOptions lopsided = options;
  lopsided.padding_end = {0, 0};
  EXPECT_THROW(OctConvWeights(lopsided, weight, {}), Unsupported);
}

TEST(ConvPlan, RefusesWinogradWhereItCannotCompute) {
  const std::vector<float> weight(4 * 4 * 25);
  ConvOptions wide = octave_conv({2, 2}, {2, 2}, {5, 5});
  ConvOptions dilated = octave_conv({2, 2}, {2, 2}, {3, 3}, 1, 2);
  ConvOptions strided = octave_conv({2, 2}, {2, 2}, {3, 3}, 2);
  ConvOptions grouped = octave_conv({2, 2}, {2, 2}, {3, 3});
  grouped.groups = 2;
  for (const ConvOptions& options : {wide, dilated, strided, grouped}) {
    const auto size = static_cast<std::size_t>(16 / options.groups * options.kernel.elements());
    EXPECT_EQ(choose_methods(options, {64, 64}), ConvMethods{});
    EXPECT_THROW(
        OctConvWeights(options, std::span(weight).first(size), {}, all_of(ConvMethod::kWinograd2)),
        Unsupported);
  }
}

TEST(ConvPlan, ChoosesWinogradForWideLayersOfThreeTaps) {
  const ConvMethods chosen = choose_methods(octave_conv({64, 64}, {64, 64}, {3, 3}), {56, 56});
  EXPECT_NE(chosen.high, ConvMethod::kDirect);
  EXPECT_NE(chosen.low, ConvMethod::kDirect);
  EXPECT_NE(chosen.low_to_high, ConvMethod::kDirect);
}

// Packed weights are padded to whole vectors; memory of the caller's may hold anything.
TEST_P(ConvPlanTest, PacksTheSameIntoWhateverMemory) {
  ConvOptions grouped = octave_conv({8, 0}, {24, 0}, {3, 3});
  grouped.groups = 4;
  ConvOptions depthwise = octave_conv({5, 0}, {5, 0}, {3, 3});
  depthwise.groups = 5;
  for (const ConvOptions& options : {octave_conv({12, 4}, {13, 3}, {3, 3}), grouped, depthwise,
                                     octave_conv({5, 3}, {35, 70}, {1, 1})}) {
    for (const ConvMethod method : {ConvMethod::kDirect, ConvMethod::kWinograd4}) {
      if (method != ConvMethod::kDirect && !can_use_winograd(options, &ConvMethods::high)) continue;
      Random random(1);
      const std::vector<float> weight = random_values(
          options.out.total() * (options.in.total() / options.groups) * options.kernel.elements(),
          random);
      constexpr std::int64_t kFloats = 1 << 16;
      Tensor memory(Shape{kFloats});
      std::fill_n(memory.data(), kFloats, kNaN);
      TensorPool pool(std::shared_ptr<float[]>(memory.data(), [](float*) {}), kFloats);
      const OctConvWeights clean(options, weight, {}, all_of(method));
      const OctConvWeights dirty(options, weight, {}, all_of(method), &pool);
      const auto values = [](const Tensor& tensor) {
        return std::vector<float>(tensor.values().begin(), tensor.values().end());
      };
      for (std::size_t i = 0; i < clean.packed().passes.size(); ++i) {
        const octave::ConvPass& wanted = clean.packed().passes[i];
        const octave::ConvPass& pass = dirty.packed().passes[i];
        EXPECT_EQ(values(pass.bias), values(wanted.bias));
        EXPECT_EQ(values(pass.transformed), values(wanted.transformed));
        for (std::size_t slice = 0; slice < wanted.slices.size(); ++slice)
          EXPECT_EQ(values(pass.slices[slice].weights), values(wanted.slices[slice].weights));
      }
    }
  }
}

// Few tiles use each of the many weights of large ones too seldom; a batch has more of them.
TEST(ConvPlan, ChoosesLargerTilesForABatchOfSmallMaps) {
  // So small that the choices are the same for vectors of any length.
  const ConvOptions options = octave_conv({256, 0}, {256, 0}, {3, 3});
  EXPECT_EQ(choose_methods(options, {4, 4}).high, ConvMethod::kWinograd2);
  EXPECT_EQ(choose_methods(options, {4, 4}, 128).high, ConvMethod::kWinograd4);
}

TEST(ConvPlan, RefusesOptionsThatItDoesNotHave) {
  const std::vector<float> weight(4 * 4 * 9);
  ConvOptions options = octave_conv({2, 2}, {2, 2}, {3, 3});
  options.upsample = Upsample::kBilinear;
  EXPECT_THROW(OctConvWeights(options, weight, {}), Unsupported);
  options = octave_conv({2, 2}, {2, 2}, {3, 3});
  options.padding_mode = PaddingMode::kReflect;
  EXPECT_THROW(OctConvWeights(options, weight, {}), Unsupported);
}

TEST(ConvPlan, RunsAnEmptyBatch) {
  const ConvOptions options = octave_conv({2, 2}, {2, 2}, {3, 3});
  const std::vector<float> weight(4 * 4 * 9);
  const OctConvPlan plan(OctConvWeights(options, weight, {}), 0, {4, 4});
  plan.run({}, {}, {}, nullptr);
  EXPECT_EQ(plan.scratch_elements(), 0);
}

}  // namespace
}  // namespace octconv
