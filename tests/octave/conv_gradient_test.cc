// SPDX-License-Identifier: Apache-2.0
// Gradients of octave convolutions. The convolution is linear in its input and in its weight, so a
// derivative is what the article's equations, in double, make of a single 1.
#include "octconv/octave/conv_gradient.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/pointwise.h"
#include "octconv/base/error.h"
#include "octconv/base/parallel.h"
#include "octconv/octave/cell_rows.h"
#include "support/octave_conv.h"
#include "support/random_values.h"
#include "support/reference_conv.h"
#include "support/targets.h"

namespace octconv {
namespace {

using reference::Map;
using testing::image_of;
using testing::octave_conv;
using testing::random_values;

struct Layer {
  ConvOptions options;
  Shape extents;
  std::int64_t batch = 1;
  ConvMethods methods = {};
};

// Both frequencies of a batch, channels last.
struct Value {
  ChannelSplit channels;
  Shape high_extents;
  Shape low_extents;
  std::vector<float> high;
  std::vector<float> low;

  Value(const ChannelSplit& split, const Shape& extents, const Shape& octave, std::int64_t batch,
        Random& random)
      : channels(split),
        high_extents(extents),
        low_extents(octconv::low_extents(extents, octave)),
        high(random_values(batch * split.high * high_extents.elements(), random)),
        low(random_values(batch * split.low * low_extents.elements(), random)) {}

  [[nodiscard]] OctaveView<const float> view() const { return {high.data(), low.data()}; }

  [[nodiscard]] Map high_image(std::int64_t n) const {
    return image_of(high, n, channels.high, high_extents);
  }
  [[nodiscard]] Map low_image(std::int64_t n) const {
    return image_of(low, n, channels.low, low_extents);
  }
};

// A weight's gradient must write its memory before it reads it, and nothing beyond.
constexpr float kUntouched = 3.25F;
std::vector<float> scratch_for(const ConvOptions& options, std::int64_t batch, const Shape& extents,
                               WeightGradientMethod method) {
  const std::int64_t count = weight_gradient_scratch(options, batch, extents, method);
  std::vector<float> scratch(static_cast<std::size_t>(count),
                             std::numeric_limits<float>::quiet_NaN());
  scratch.push_back(kUntouched);
  return scratch;
}

struct Dot {
  double value = 0;
  double magnitude = 0;

  void add(const Map& a, const Map& b) {
    for (std::size_t i = 0; i < a.values.size(); ++i) {
      value += a.values[i] * b.values[i];
      magnitude += std::abs(a.values[i] * b.values[i]);
    }
  }
};

class Experiment {
 public:
  explicit Experiment(const Layer& layer)
      : layer_(layer),
        out_(output_extents(layer.options, layer.extents)),
        random_(3),
        src_(layer.options.in, layer.extents, layer.options.octave, layer.batch, random_),
        diff_(layer.options.out, out_, layer.options.octave, layer.batch, random_) {
    const ConvOptions& o = layer.options;
    weight_ =
        random_values(o.out.total() * (o.in.total() / o.groups) * o.kernel.elements(), random_);
  }

  void check() {
    check_weight();
    if (!::testing::Test::HasFatalFailure() && has_planned_gradient(layer_.options)) check_input();
  }

 private:
  // Sums of so many terms: a rounding each, and some for pools, parts and transforms.
  [[nodiscard]] double tolerance(const Dot& dot, std::int64_t terms) const {
    const double growth = layer_.methods == ConvMethods{} ? 1 : 240;
    return static_cast<double>(terms + 24) * growth * std::numeric_limits<float>::epsilon() *
           std::max(dot.magnitude, 1e-3);
  }

  [[nodiscard]] bool has_winograd() const {
    const std::vector<ConvPath> paths = conv_paths(layer_.options);
    return std::any_of(paths.begin(), paths.end(), [this](const ConvPath& path) {
      return octconv::has_winograd(layer_.options, path);
    });
  }

  // How far Winograd's sums over tiles may be: so many roundings of terms that are larger than
  // products of inputs and output gradients (up to 1; up to 4 where cells are summed) by the
  // largest column of |transform of sums| * (sums of |input transform|) * (sums of |diff
  // transform|).
  [[nodiscard]] double winograd_tolerance() const {
    constexpr double kGrowth = 33.2;
    const auto tiles_of = [](Shape extents) {
      const std::size_t rank = extents.rank();
      for (std::size_t axis = rank == 1 ? 0 : rank - 2; axis < rank; ++axis) {
        extents[axis] = (extents[axis] + 3) / 4;
      }
      return extents.elements();
    };
    const std::int64_t tiles =
        layer_.batch * std::max(tiles_of(diff_.high_extents), 4 * tiles_of(diff_.low_extents));
    const double growth = kGrowth * (out_.rank() == 1 ? 1 : kGrowth);
    // A sum over tiles, six terms in every transform, and pools.
    return static_cast<double>(tiles + 6 * 6 + 24) * std::numeric_limits<float>::epsilon() / 2 *
           growth * static_cast<double>(tiles);
  }

  void check_weight() {
    check_weight(WeightGradientMethod::kDirect, 0);
    if (::testing::Test::HasFatalFailure() || !has_winograd()) return;
    check_weight(WeightGradientMethod::kWinograd, winograd_tolerance());
  }

  void check_weight(WeightGradientMethod method, double more_tolerance) {
    const ConvOptions& o = layer_.options;
    std::vector<float> gradient(weight_.size(), 7.0F);
    std::vector<float> scratch = scratch_for(o, layer_.batch, layer_.extents, method);
    weight_gradient(o, layer_.batch, layer_.extents, src_.view(), diff_.view(), gradient, scratch,
                    method);
    EXPECT_EQ(scratch.back(), kUntouched);
    std::vector<float> with_cells(weight_.size(), 7.0F);
    weight_gradient(o, layer_.batch, layer_.extents, with_averages(src_), diff_with_sums(),
                    with_cells, scratch, method);
    EXPECT_EQ(with_cells, gradient);
    check_prologue(method, scratch);
    const std::size_t step = std::max<std::size_t>(1, weight_.size() / 40);
    std::vector<float> one(weight_.size());
    for (std::size_t i = 0; i < weight_.size(); i += step) {
      one[i] = 1;
      const reference::Layer derivative(o, one, {});
      Dot dot;
      for (std::int64_t n = 0; n < layer_.batch; ++n) {
        const auto [high, low] = derivative(src_.high_image(n), src_.low_image(n));
        if (o.out.high > 0) dot.add(high, diff_.high_image(n));
        if (o.out.low > 0) dot.add(low, diff_.low_image(n));
      }
      one[i] = 0;
      ASSERT_NEAR(gradient[i], dot.value,
                  tolerance(dot, layer_.batch * layer_.extents.elements()) + more_tolerance)
          << "weight " << i << (method == WeightGradientMethod::kWinograd ? ", Winograd" : "");
    }
  }

  // A source and a prologue give what the prologue makes of the source gives.
  void check_prologue(WeightGradientMethod method, std::vector<float>& scratch) {
    const ConvOptions& o = layer_.options;
    Value made = src_;
    const auto through = [&](std::int64_t channels, bool rectified, std::vector<float>& scale,
                             std::vector<float>& shift, std::vector<float>& map) {
      scale = random_values(channels, random_);
      shift = random_values(channels, random_);
      if (channels == 0) return Prologue{};
      kernels::scale_shift(map.data(), static_cast<std::int64_t>(map.size()) / channels, channels,
                           scale.data(), shift.data(),
                           {rectified ? ActivationKind::kRelu : ActivationKind::kNone}, map.data());
      return Prologue{scale.data(), shift.data(), rectified};
    };
    std::vector<float> high_scale;
    std::vector<float> high_shift;
    std::vector<float> low_scale;
    std::vector<float> low_shift;
    const OctavePrologue prologue{
        .high = through(o.in.high, true, high_scale, high_shift, made.high),
        .low = through(o.in.low, false, low_scale, low_shift, made.low)};
    std::vector<float> wanted(weight_.size());
    weight_gradient(o, layer_.batch, layer_.extents, made.view(), diff_.view(), wanted, scratch,
                    method);
    std::vector<float> gradient(weight_.size());
    weight_gradient(o, layer_.batch, layer_.extents, src_.view(), diff_.view(), gradient, scratch,
                    method, prologue);
    EXPECT_EQ(gradient, wanted);
    // The averages are those of what the prologue makes.
    OctaveView<const float> source = src_.view();
    source.averages = with_averages(made).averages;
    std::vector<float> with_cells(weight_.size());
    weight_gradient(o, layer_.batch, layer_.extents, source, diff_.view(), with_cells, scratch,
                    method, prologue);
    EXPECT_EQ(with_cells, wanted);
  }

  // An input with the averages of its cells.
  OctaveView<const float> with_averages(const Value& input) {
    const ConvOptions& o = layer_.options;
    const std::int64_t cells = layer_.batch * input.low_extents.elements();
    averages_.assign(static_cast<std::size_t>(cells * o.in.high), 7.0F);
    CellRows(o.octave, layer_.batch, layer_.extents, o.in.high, CellValue::kAverage)
        .make_all(input.high.data(), averages_.data());
    OctaveView<const float> view = input.view();
    view.averages = averages_.data();
    return view;
  }

  // The same if the sums of cells are given.
  void check_input_with_sums(const Value& wanted) {
    OctConvWeights weights = OctConvWeights::adjoint(layer_.options, weight_, layer_.methods);
    if (!weights.reads_averages()) return;
    const OctConvPlan plan(std::move(weights), layer_.batch, out_, {}, /*src_averages=*/true);
    Value gradient = src_;
    std::vector<float> scratch(static_cast<std::size_t>(plan.scratch_elements()));
    plan.run(diff_with_sums(), {}, {gradient.high.data(), gradient.low.data()}, scratch.data());
    EXPECT_EQ(gradient.high, wanted.high);
    EXPECT_EQ(gradient.low, wanted.low);
  }

  OctaveView<const float> diff_with_sums() {
    const ConvOptions& o = layer_.options;
    const std::int64_t cells = layer_.batch * low_extents(out_, o.octave).elements();
    sums_.assign(static_cast<std::size_t>(cells * o.out.high), 7.0F);
    CellRows(o.octave, layer_.batch, out_, o.out.high, CellValue::kSum)
        .make_all(diff_.high.data(), sums_.data());
    OctaveView<const float> view = diff_.view();
    view.averages = sums_.data();
    return view;
  }

  void check_input() {
    const ConvOptions& o = layer_.options;
    const OctConvPlan plan(OctConvWeights::adjoint(o, weight_, layer_.methods), layer_.batch, out_);
    ASSERT_EQ(plan.extents(), layer_.extents);
    Value gradient = src_;
    std::fill(gradient.high.begin(), gradient.high.end(), 7.0F);
    std::fill(gradient.low.begin(), gradient.low.end(), 7.0F);
    std::vector<float> scratch(static_cast<std::size_t>(plan.scratch_elements()));
    plan.run(diff_.view(), {}, {gradient.high.data(), gradient.low.data()}, scratch.data());
    check_input_with_sums(gradient);
    const std::int64_t terms = o.out.total() * o.kernel.elements();
    const reference::Layer layer(o, weight_, {});
    for (std::int64_t n = 0; n < layer_.batch; ++n) {
      for (const bool is_high : {true, false}) {
        Map ones[2] = {Map(o.in.high, src_.high_extents), Map(o.in.low, src_.low_extents)};
        Map& probe = ones[is_high ? 0 : 1];
        const Map actual = is_high ? gradient.high_image(n) : gradient.low_image(n);
        const std::size_t step = std::max<std::size_t>(1, probe.values.size() / 50);
        for (std::size_t i = 0; i < probe.values.size(); i += step) {
          probe.values[i] = probe.magnitudes[i] = 1;
          const auto [high, low] = layer(ones[0], ones[1]);
          probe.values[i] = probe.magnitudes[i] = 0;
          Dot dot;
          if (o.out.high > 0) dot.add(high, diff_.high_image(n));
          if (o.out.low > 0) dot.add(low, diff_.low_image(n));
          ASSERT_NEAR(actual.values[i], dot.value, tolerance(dot, terms))
              << (is_high ? "high" : "low") << " input " << i << " of image " << n;
        }
      }
    }
  }

  const Layer& layer_;
  Shape out_;
  Random random_;
  Value src_;
  Value diff_;
  std::vector<float> sums_;
  std::vector<float> averages_;
  std::vector<float> weight_;
};

void check_layer(const Layer& layer) {
  SCOPED_TRACE("kernel " + layer.options.kernel.to_string() + " extents " +
               layer.extents.to_string() + " in " + std::to_string(layer.options.in.high) + "+" +
               std::to_string(layer.options.in.low) + " out " +
               std::to_string(layer.options.out.high) + "+" +
               std::to_string(layer.options.out.low));
  ASSERT_EQ(has_planned_gradient(layer.options), !layer.options.strided());
  Experiment(layer).check();
}

class ConvGradientTest : public testing::TargetTest {};

TEST_P(ConvGradientTest, EqualsTheDerivativesForAnyNumberOfChannels) {
  for (const std::int64_t channels :
       {1, 2, 3, 4, 5, 7, 8, 11, 12, 13, 15, 16, 17, 20, 24, 31, 33}) {
    check_layer(
        {.options = octave_conv({35 - channels, channels}, {channels, 35 - channels}, {3, 3}),
         .extents = {3, 4}});
    if (HasFatalFailure()) return;
  }
}

TEST_P(ConvGradientTest, EqualsTheDerivativesInAllRanksAndAtOddEdges) {
  for (const Shape& extents : {Shape{9}, Shape{10}, Shape{7, 5}, Shape{6, 8}, Shape{1, 2},
                               Shape{3, 5, 4}, Shape{1, 1, 1}}) {
    for (const std::int64_t taps : {1, 3}) {
      for (const Exchange exchange :
           {Exchange::kBoth, Exchange::kHighToLow, Exchange::kLowToHigh, Exchange::kNone}) {
        ConvOptions options = octave_conv({5, 3}, {6, 2}, Shape::filled(extents.rank(), taps));
        options.exchange = exchange;
        check_layer({.options = options, .extents = extents, .batch = 2});
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(ConvGradientTest, EqualsTheDerivativesWhereAFrequencyIsMissing) {
  const ChannelSplit both{.high = 5, .low = 3};
  const ChannelSplit high{.high = 9, .low = 0};
  const ChannelSplit low{.high = 0, .low = 4};
  for (const ChannelSplit& in : {both, high, low}) {
    for (const ChannelSplit& out : {both, high, low}) {
      check_layer({.options = octave_conv(in, out, {3, 3}), .extents = {5, 6}, .batch = 2});
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(ConvGradientTest, EqualsTheDerivativesOfGroupsDilationsAndOtherPadding) {
  ConvOptions groups = octave_conv({8, 4}, {12, 8}, {3, 3});
  groups.groups = 4;
  check_layer({.options = groups, .extents = {4, 5}});
  check_layer({.options = octave_conv({4, 3}, {3, 4}, {3, 3}, 1, 2), .extents = {6, 5}});
  ConvOptions time = octave_conv({4, 3}, {3, 4}, {3, 1, 3});
  time.octave = {1, 2, 2};
  check_layer({.options = time, .extents = {3, 5, 4}});
  ConvOptions bare = octave_conv({6, 0}, {5, 0}, {3, 2});
  bare.padding_begin = {0, 1};
  bare.padding_end = {2, 0};
  check_layer({.options = bare, .extents = {5, 6}});
}

TEST_P(ConvGradientTest, EqualsTheDerivativesOfStridedWeights) {
  for (const Shape& extents : {Shape{9}, Shape{7, 5}, Shape{6, 8}, Shape{3, 5, 4}}) {
    for (const std::int64_t taps : {1, 3}) {
      for (const StrideMode mode : {StrideMode::kPool, StrideMode::kPoolTwice, StrideMode::kPoolLow,
                                    StrideMode::kStrided}) {
        ConvOptions options = octave_conv({5, 3}, {6, 2}, Shape::filled(extents.rank(), taps));
        options.stride = Shape::filled(extents.rank(), 2);
        options.stride_mode = mode;
        check_layer({.options = options, .extents = extents, .batch = 2});
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(ConvGradientTest, EqualsTheDerivativesWithWinograd) {
  for (const ConvMethod method : {ConvMethod::kWinograd2, ConvMethod::kWinograd4}) {
    check_layer({.options = octave_conv({5, 3}, {6, 2}, {3, 3}),
                 .extents = {7, 5},
                 .batch = 2,
                 .methods = {.high = method, .low_to_high = method, .low = method}});
  }
}

TEST_P(ConvGradientTest, EqualsTheDerivativesOfManyTiles) {
  check_layer({.options = octave_conv({2, 1}, {2, 3}, {3, 3}), .extents = {33, 30}, .batch = 4});
  check_layer({.options = octave_conv({100, 0}, {5, 0}, {3, 3}), .extents = {6, 9}});
  check_layer({.options = octave_conv({5, 0}, {70, 40}, {3, 3}), .extents = {6, 9}});
  check_layer({.options = octave_conv({5, 0}, {9, 0}, {3}), .extents = {600}});
  check_layer({.options = octave_conv({3, 2}, {2, 5}, {3, 3, 3}), .extents = {3, 9, 10}});
}

// So many pixels that some are divided into parts.
TEST_P(ConvGradientTest, HasTheSameBitsForAnyNumberOfThreads) {
  struct Case {
    ConvOptions options;
    Shape extents;
  };
  const std::int64_t batch = 4;
  for (const Case& c : {Case{octave_conv({12, 4}, {20, 12}, {3, 3}), {40, 40}},
                        Case{octave_conv({96, 32}, {48, 80}, {3, 3}), {9, 12}}}) {
    Random random(1);
    const Value src(c.options.in, c.extents, c.options.octave, batch, random);
    const Value diff(c.options.out, c.extents, c.options.octave, batch, random);
    for (const auto method : {WeightGradientMethod::kDirect, WeightGradientMethod::kWinograd}) {
      std::vector<std::vector<float>> results;
      const int before = thread_count();
      for (const int threads : {1, 2, 3}) {
        set_thread_count(threads);
        results.emplace_back(c.options.in.total() * c.options.out.total() * 9);
        std::vector<float> scratch = scratch_for(c.options, batch, c.extents, method);
        weight_gradient(c.options, batch, c.extents, src.view(), diff.view(), results.back(),
                        scratch, method);
      }
      set_thread_count(before);
      EXPECT_EQ(results[1], results[0]);
      EXPECT_EQ(results[2], results[0]);
    }
  }
}

// What reads the sums of cells takes those that are given.
TEST_P(ConvGradientTest, ReadsTheSumsThatAreGiven) {
  const ConvOptions options = octave_conv({3, 5}, {7, 2}, {3, 3});
  const Shape extents{5, 6};
  Random random(1);
  const Value src(options.in, extents, options.octave, 1, random);
  const Value diff(options.out, extents, options.octave, 1, random);
  const std::vector<float> zeros(3 * 3 * 7);
  OctaveView<const float> view = diff.view();
  view.averages = zeros.data();
  std::vector<float> gradient(9 * 8 * 9);
  std::vector<float> scratch = scratch_for(options, 1, extents, WeightGradientMethod::kDirect);
  weight_gradient(options, 1, extents, src.view(), view, gradient, scratch,
                  WeightGradientMethod::kDirect);
  for (std::size_t row = 0; row < 9; ++row) {
    for (std::size_t column = 0; column < 8; ++column) {
      const bool low_to_high = row >= 2 && column < 5;
      for (std::size_t tap = 0; tap < 9; ++tap)
        EXPECT_EQ(gradient[(row * 8 + column) * 9 + tap] == 0, low_to_high);
    }
  }
}

// Wide layers by Winograd's method, few channels of many taps directly: each path as it is faster.
TEST_P(ConvGradientTest, NeedsNoMemoryWhereSumsLieAsTheWeightDoes) {
  const ConvOptions options = octave_conv({64, 0}, {8, 0}, {1, 1});
  const Shape extents{3, 5};
  ASSERT_EQ(weight_gradient_scratch(options, 2, extents), 0);
  const std::vector<float> src(2 * 15 * 64, 0.5F);
  const std::vector<float> diff(2 * 15 * 8, 2.0F);
  std::vector<float> gradient(8 * 64, kUntouched);
  weight_gradient(options, 2, extents, {src.data(), nullptr}, {diff.data(), nullptr}, gradient, {});
  EXPECT_THAT(gradient, ::testing::Each(30.0F));  // a product of 1 for each pixel
}

TEST(ConvGradient, TakesTheMethodOfTheModel) {
  const std::int64_t batch = 2;
  const Shape extents{16, 16};
  Random random(1);
  for (const std::int64_t channels : {1, 64}) {
    const ConvOptions options = octave_conv({channels, 0}, {channels, 0}, {3, 3});
    const Value src(options.in, extents, options.octave, batch, random);
    const Value diff(options.out, extents, options.octave, batch, random);
    const auto gradient_by = [&](WeightGradientMethod method) {
      std::vector<float> gradient(static_cast<std::size_t>(channels * channels * 9));
      std::vector<float> scratch = scratch_for(options, batch, extents, method);
      weight_gradient(options, batch, extents, src.view(), diff.view(), gradient, scratch, method);
      return gradient;
    };
    const std::vector<float> direct = gradient_by(WeightGradientMethod::kDirect);
    const std::vector<float> winograd = gradient_by(WeightGradientMethod::kWinograd);
    EXPECT_NE(direct, winograd);
    EXPECT_EQ(gradient_by(WeightGradientMethod::kFastest), channels == 1 ? direct : winograd);
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, ConvGradientTest, testing::all_targets(), testing::target_name);

TEST(ConvGradient, RefusesWhatHasNoPlan) {
  ConvOptions strided = octave_conv({4, 0}, {4, 0}, {3, 3});
  strided.stride = {2, 2};
  EXPECT_FALSE(has_planned_gradient(strided));
  const std::vector<float> weight(4 * 4 * 9);
  EXPECT_THROW(static_cast<void>(OctConvWeights::adjoint(strided, weight)), Unsupported);
  ConvOptions depthwise = octave_conv({4, 0}, {4, 0}, {3, 3});
  depthwise.groups = 4;
  EXPECT_FALSE(has_weight_gradient(depthwise));
  std::vector<float> gradient(4 * 9);
  EXPECT_THROW(weight_gradient(depthwise, 1, {4, 4}, {}, {}, gradient, {}), Unsupported);
  const ConvOptions fine = octave_conv({4, 0}, {4, 0}, {3, 3});
  std::vector<float> whole(4 * 4 * 9);
  std::vector<float> few(3);
  const std::vector<float> values(4 * 4 * 4);
  const OctaveView<const float> map{values.data(), nullptr};
  EXPECT_THROW(weight_gradient(fine, 1, {4, 4}, map, map, whole, few), InvalidArgument);
  std::vector<float> small(7);
  EXPECT_THROW(weight_gradient(fine, 1, {4, 4}, {}, {}, small, {}), InvalidArgument);
}

}  // namespace
}  // namespace octconv
