// SPDX-License-Identifier: Apache-2.0
// The octave convolution on LibTorch tensors against naive loops, its gradients against central
// differences, and networks as modules.
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "nn/norm.h"
#include "nn/reference.h"
#include "nn/steps.h"
#include "nn/training_step.h"
#include "octconv/base/error.h"
#include "octconv/graph/octavize.h"
#include "octconv/graph/zoo.h"
#include "octconv/nn/functional.h"
#include "octconv/nn/graph_module.h"
#include "octconv/nn/oct_conv.h"
#include "support/decoder.h"

namespace octconv::nn {
namespace {

constexpr std::int64_t kBatch = 2;

struct Case {
  const char* what;
  ChannelSplit in;
  ChannelSplit out;
  Shape extents;
  Shape octave;
  std::int64_t kernel = 3;
  std::int64_t stride = 1;
  std::int64_t dilation = 1;
  std::int64_t groups = 1;
  StrideMode mode = StrideMode::kPool;
  Exchange exchange = Exchange::kBoth;
  bool bias = true;
};

// A layer of two axes with an odd kernel, whose output has the extents of its input.
Conv keeping_extents(std::int64_t out, std::int64_t kernel) {
  return {.out_channels = out,
          .kernel = {kernel, kernel},
          .stride = {1, 1},
          .dilation = {1, 1},
          .padding_begin = {kernel / 2, kernel / 2},
          .padding_end = {kernel / 2, kernel / 2}};
}

ConvOptions options_of(const Case& c) {
  const std::size_t rank = c.extents.rank();
  const Shape padding = Shape::filled(rank, c.dilation * (c.kernel - 1) / 2);
  return {.in = c.in,
          .out = c.out,
          .kernel = Shape::filled(rank, c.kernel),
          .stride = Shape::filled(rank, c.stride),
          .dilation = Shape::filled(rank, c.dilation),
          .padding_begin = padding,
          .padding_end = padding,
          .groups = c.groups,
          .octave = c.octave,
          .stride_mode = c.mode,
          .exchange = c.exchange};
}

std::vector<Case> cases() {
  const Shape half{2, 2};
  std::vector<Case> all{
      {"stem", {3, 0}, {5, 3}, {8, 6}, half},
      {"plain", {5, 3}, {4, 4}, {8, 6}, half},
      {"last", {5, 3}, {4, 0}, {8, 6}, half},
      {"low_only_in", {0, 3}, {4, 2}, {7, 5}, half},
      {"low_only_out", {5, 3}, {0, 4}, {7, 5}, half},
      {"low_only", {0, 3}, {0, 4}, {7, 6}, half},
      {"odd_height", {2, 3}, {3, 2}, {7, 6}, half},
      {"odd_both", {2, 3}, {3, 2}, {5, 9}, half},
      {"one_pixel", {2, 3}, {3, 2}, {1, 1}, half},
      {"kernel_1", {2, 3}, {3, 2}, {5, 6}, half, 1},
      {"kernel_5", {2, 3}, {3, 2}, {6, 5}, half, 5},
      {"dilated", {2, 3}, {3, 2}, {9, 8}, half, 3, 1, 2},
      {"dilated_odd", {2, 3}, {3, 2}, {7, 9}, half, 3, 1, 3},
      {"grouped", {4, 6}, {6, 2}, {6, 5}, half, 3, 1, 1, 2},
      {"grouped_kernel_1", {4, 6}, {6, 2}, {6, 5}, half, 1, 1, 1, 2},
      {"depthwise", {3, 5}, {3, 5}, {6, 7}, half, 3, 1, 1, 8},
      {"depthwise_strided", {3, 5}, {3, 5}, {6, 7}, half, 3, 2, 1, 8},
      {"no_bias",
       {2, 3},
       {3, 2},
       {4, 6},
       half,
       3,
       1,
       1,
       1,
       StrideMode::kPool,
       Exchange::kBoth,
       false},
      {"no_exchange", {2, 3}, {3, 2}, {4, 6}, half, 3, 1, 1, 1, StrideMode::kPool, Exchange::kNone},
      {"down_only",
       {2, 3},
       {3, 2},
       {4, 6},
       half,
       3,
       1,
       1,
       1,
       StrideMode::kPool,
       Exchange::kHighToLow},
      {"up_only",
       {2, 3},
       {3, 2},
       {4, 6},
       half,
       3,
       1,
       1,
       1,
       StrideMode::kPool,
       Exchange::kLowToHigh},
      {"stem_without_exchange",
       {3, 0},
       {3, 2},
       {4, 6},
       half,
       3,
       1,
       1,
       1,
       StrideMode::kPool,
       Exchange::kNone},
      {"rank_1", {2, 3}, {3, 2}, {9}, {2}},
      {"rank_1_even", {2, 3}, {3, 2}, {8}, {2}, 5},
      {"rank_3", {2, 3}, {3, 2}, {4, 3, 5}, {2, 2, 2}},
      {"video", {2, 3}, {3, 2}, {3, 4, 5}, {1, 2, 2}},
      {"one_axis", {2, 3}, {3, 2}, {5, 7}, {1, 2}},
  };
  static constexpr std::array kNames{"pool", "pool_twice", "pool_low", "strided"};
  static constexpr std::array kModes{StrideMode::kPool, StrideMode::kPoolTwice,
                                     StrideMode::kPoolLow, StrideMode::kStrided};
  for (const StrideMode mode : kModes) {
    const char* name = kNames[static_cast<std::size_t>(mode)];
    for (const Shape& extents :
         {Shape{8, 8}, Shape{7, 8}, Shape{5, 6}, Shape{9, 10}, Shape{11, 13}}) {
      all.push_back({name, {2, 3}, {3, 2}, extents, half, 3, 2, 1, 1, mode});
      all.push_back({name, {2, 3}, {3, 0}, extents, half, 1, 2, 1, 1, mode});
    }
    all.push_back({name, {0, 3}, {2, 2}, {7, 6}, half, 3, 2, 1, 1, mode});
    all.push_back({name, {3, 0}, {2, 2}, {7, 6}, half, 3, 2, 1, 1, mode});
    all.push_back({name, {4, 2}, {2, 4}, {7, 6}, half, 3, 2, 1, 2, mode});
    all.push_back({name, {2, 3}, {3, 2}, {11}, {2}, 3, 2, 1, 1, mode});
    all.push_back({name, {2, 3}, {3, 2}, {4, 5, 6}, {2, 2, 2}, 3, 2, 1, 1, mode});
    all.push_back({name, {2, 3}, {3, 2}, {4, 5, 6}, {1, 2, 2}, 3, 2, 1, 1, mode});
  }
  return all;
}

struct Operands {
  OctTensor input;
  at::Tensor weight;
  at::Tensor bias;
};

Operands random_operands(const Case& c, const ConvOptions& o, at::ScalarType type) {
  torch::manual_seed(7);
  const auto map = [&](std::int64_t channels, const Shape& extents) {
    std::vector<std::int64_t> shape{kBatch, channels};
    shape.insert(shape.end(), extents.begin(), extents.end());
    return at::randn(shape, type);
  };
  Operands operands;
  if (o.in.high > 0) operands.input.high = map(o.in.high, c.extents);
  if (o.in.low > 0) operands.input.low = map(o.in.low, low_extents(c.extents, c.octave));
  operands.input.extents = c.extents;
  std::vector<std::int64_t> shape{o.out.total(), o.in.total() / o.groups};
  shape.insert(shape.end(), o.kernel.begin(), o.kernel.end());
  operands.weight = at::randn(shape, type);
  if (c.bias) operands.bias = at::randn({o.out.total()}, type);
  return operands;
}

std::vector<double> numbers(const at::Tensor& x) {
  if (!x.defined()) return {};
  const at::Tensor plain = x.detach().to(at::kDouble).contiguous();
  return {plain.data_ptr<double>(), plain.data_ptr<double>() + plain.numel()};
}

reference::Map map_of(const at::Tensor& x) {
  if (!x.defined()) return reference::Map();
  std::array<std::int64_t, 5> shape{x.size(0), x.size(1), 1, 1, 1};
  for (std::int64_t axis = 2; axis < x.dim(); ++axis) {
    shape[static_cast<std::size_t>(5 - x.dim() + axis)] = x.size(axis);
  }
  reference::Map map(shape);
  map.values = numbers(x);
  return map;
}

// A sum of `terms` products of normal numbers, each rounded once per addition: the standard bound
// is terms * epsilon * sum |a b|, and sum |a b| is under 4 * terms here but for a chance of 1e-9 or
// less.
double tolerance(const ConvOptions& o, at::ScalarType type) {
  const auto terms = static_cast<double>(o.in.total() / o.groups * o.kernel.elements() + 1);
  const double epsilon = type == at::kFloat ? std::numeric_limits<float>::epsilon()
                                            : std::numeric_limits<double>::epsilon();
  return 4 * terms * terms * epsilon;
}

void expect_close(const at::Tensor& y, const reference::Map& expected, double tolerance) {
  ASSERT_EQ(y.defined(), !expected.empty());
  if (!y.defined()) return;
  const reference::Map map = map_of(y);
  ASSERT_EQ(map.shape, expected.shape);
  for (std::size_t i = 0; i < map.values.size(); ++i)
    ASSERT_NEAR(map.values[i], expected.values[i], tolerance);
}

TEST(OctConv, EqualsTheArticlesEquationsInBothPrecisions) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.what + (" at " + c.extents.to_string()));
    const ConvOptions o = options_of(c);
    for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
      const Operands operands = random_operands(c, o, type);
      const OctTensor y = oct_conv(operands.input, operands.weight, operands.bias, o);
      const reference::Value expected = reference::oct_conv(
          {map_of(operands.input.high), map_of(operands.input.low)}, numbers(operands.weight),
          numbers(operands.bias), o, kBatch, c.extents);
      expect_close(y.high, expected.high, tolerance(o, type));
      expect_close(y.low, expected.low, tolerance(o, type));
    }
  }
}

// Along random directions. The function is linear in each argument, so the error of a central
// difference is rounding alone: about epsilon * |f| / step, with |f| of a few thousand at most.
void expect_gradients(const std::function<at::Tensor()>& loss,
                      const std::vector<at::Tensor>& arguments) {
  constexpr double kStep = 1e-2;
  constexpr double kTolerance = 1e-9;
  const std::vector<at::Tensor> gradients = torch::autograd::grad({loss()}, arguments);
  const at::NoGradGuard guard;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    ASSERT_EQ(gradients[i].sizes(), arguments[i].sizes());
    for (int repeat = 0; repeat < 3; ++repeat) {
      const at::Tensor direction = at::randn_like(arguments[i]);
      arguments[i].add_(direction, kStep);
      const auto above = loss().item<double>();
      arguments[i].sub_(direction, 2 * kStep);
      const auto below = loss().item<double>();
      arguments[i].add_(direction, kStep);
      ASSERT_NEAR((gradients[i] * direction).sum().item<double>(), (above - below) / (2 * kStep),
                  kTolerance)
          << "argument " << i;
    }
  }
}

TEST(OctConv, HasTheGradientsOfCentralDifferences) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.what + (" at " + c.extents.to_string()));
    const ConvOptions o = options_of(c);
    const Operands operands = random_operands(c, o, at::kDouble);
    std::vector<at::Tensor> arguments;
    for (const at::Tensor& x :
         {operands.input.high, operands.input.low, operands.weight, operands.bias}) {
      if (x.defined()) arguments.push_back(x.requires_grad_(true));
    }
    const OctTensor first = oct_conv(operands.input, operands.weight, operands.bias, o);
    const at::Tensor high =
        first.high.defined() ? at::randn_like(first.high).detach() : at::Tensor();
    const at::Tensor low = first.low.defined() ? at::randn_like(first.low).detach() : at::Tensor();
    expect_gradients(
        [&] {
          const OctTensor y = oct_conv(operands.input, operands.weight, operands.bias, o);
          at::Tensor sum = at::zeros({}, at::kDouble);
          if (y.high.defined()) sum = sum + (y.high * high).sum();
          if (y.low.defined()) sum = sum + (y.low * low).sum();
          return sum;
        },
        arguments);
  }
}

at::Tensor channels_last(const at::Tensor& x) {
  if (!x.defined() || x.dim() < 4) return x;
  return x.contiguous(x.dim() == 4 ? at::MemoryFormat::ChannelsLast
                                   : at::MemoryFormat::ChannelsLast3d);
}

// Results and gradients of oct_conv: high, low, then those of all operands that are defined.
std::vector<at::Tensor> both_ways(const std::vector<at::Tensor>& operands, const Shape& extents,
                                  const ConvOptions& o, const std::vector<at::Tensor>& diffs) {
  const OctTensor y = oct_conv({operands[0], operands[1], extents}, operands[2], operands[3], o);
  std::vector<at::Tensor> results;
  std::vector<at::Tensor> given;
  for (const at::Tensor& tensor : {y.high, y.low}) {
    if (tensor.defined()) results.push_back(tensor);
  }
  for (const at::Tensor& operand : operands) {
    if (operand.defined()) given.push_back(operand);
  }
  std::vector<at::Tensor> all = torch::autograd::grad(results, given, diffs);
  all.insert(all.begin(), results.begin(), results.end());
  return all;
}

// The composed form, which the tests above hold against the article, in double: its results for
// the operands and, as the bound of rounding errors, for their absolute values.
TEST(OctConv, ChannelsLastIsTheSameBothWays) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.what + (" at " + c.extents.to_string()));
    const ConvOptions o = options_of(c);
    const Operands drawn = random_operands(c, o, at::kFloat);
    const std::vector<at::Tensor> plain{drawn.input.high, drawn.input.low, drawn.weight,
                                        drawn.bias};
    const auto mapped = [&](const std::vector<at::Tensor>& tensors, const auto& function) {
      std::vector<at::Tensor> all;
      for (const at::Tensor& x : tensors) all.push_back(x.defined() ? function(x) : x);
      return all;
    };
    const auto tracked = [](const at::Tensor& x) { return x.detach().requires_grad_(true); };
    const auto exact = [&](const at::Tensor& x) { return tracked(x.to(at::kDouble)); };
    const auto size = [&](const at::Tensor& x) { return tracked(x.to(at::kDouble).abs()); };
    std::vector<at::Tensor> diffs;
    const OctTensor y = oct_conv(drawn.input, drawn.weight, drawn.bias, o);
    for (const at::Tensor& tensor : {y.high, y.low}) {
      if (tensor.defined()) diffs.push_back(at::randn_like(tensor));
    }
    const std::vector<at::Tensor> fast =
        both_ways(mapped(plain, [&](const at::Tensor& x) { return tracked(channels_last(x)); }),
                  c.extents, o, mapped(diffs, channels_last));
    const auto to_double = [](const at::Tensor& x) { return x.to(at::kDouble); };
    const std::vector<at::Tensor> expected =
        both_ways(mapped(plain, exact), c.extents, o, mapped(diffs, to_double));
    const std::vector<at::Tensor> bound =
        both_ways(mapped(plain, size), c.extents, o,
                  mapped(diffs, [](const at::Tensor& x) { return x.to(at::kDouble).abs(); }));
    ASSERT_EQ(fast.size(), expected.size());
    for (std::size_t i = 0; i < fast.size(); ++i) {
      ASSERT_EQ(fast[i].sizes(), expected[i].sizes()) << i;
      // No sum here has more terms than the operands have elements.
      const auto terms = static_cast<double>(std::max(drawn.weight.numel(), diffs[0].numel()) + 4);
      const at::Tensor excess = (fast[i].to(at::kDouble) - expected[i]).abs() -
                                bound[i] * (terms * std::numeric_limits<float>::epsilon());
      EXPECT_LE(excess.max().item<double>(), 0) << "result " << i;
    }
  }
}

struct NormCase {
  std::vector<std::int64_t> shape;
  bool residual;
  bool rectified;
};

// What norm_add_relu makes of x and how its gradients are, by LibTorch's operations.
std::vector<at::Tensor> norm_both_ways(const std::vector<at::Tensor>& t, const NormCase& c,
                                       const at::Tensor& diff, bool composed) {
  const BatchNorm options{.epsilon = 1e-3, .momentum = 0.25};
  at::Tensor y;
  if (composed) {
    y = at::batch_norm(t[0], t[1], t[2], t[3], t[4], true, options.momentum, options.epsilon, true);
    if (c.residual) y = y + t[5];
    if (c.rectified) y = at::relu(y);
  } else {
    y = norm_add_relu(t[0], {t[1], t[2], t[3], t[4]},
                      {.residual = c.residual ? t[5] : at::Tensor(), .rectified = c.rectified},
                      options, true);
  }
  std::vector<at::Tensor> inputs{t[0], t[1], t[2]};
  if (c.residual) inputs.push_back(t[5]);
  std::vector<at::Tensor> all = torch::autograd::grad({y}, inputs, {diff});
  all.insert(all.begin(), {y, t[3], t[4]});
  return all;
}

TEST(Norm, WithResidualAndReluIsLibTorchsBothWays) {
  torch::manual_seed(12);
  std::vector<NormCase> all;
  for (const std::int64_t channels : {1, 2, 3, 4, 8, 12, 16, 31, 64, 65, 130}) {
    for (const bool residual : {false, true}) {
      for (const bool rectified : {false, true}) {
        all.push_back({{3, channels, 5, 7}, residual, rectified});
      }
    }
  }
  all.push_back({{2, 12, 40, 40}, true, true});  // several blocks
  all.push_back({{2, 5, 3, 4, 5}, true, true});
  all.push_back({{2, 5, 9}, true, true});
  for (const NormCase& c : all) {
    const std::int64_t channels = c.shape[1];
    SCOPED_TRACE(std::to_string(channels) + " channels, " + std::to_string(c.shape.size()) +
                 " axes, residual " + std::to_string(c.residual) + ", relu " +
                 std::to_string(c.rectified));
    // A mean far from 0, where squares would cancel.
    const std::vector<at::Tensor> drawn{at::randn(c.shape) + 30, at::randn({channels}),
                                        at::randn({channels}),   at::randn({channels}),
                                        at::rand({channels}),    at::randn(c.shape)};
    const at::Tensor diff = at::randn(c.shape);
    std::vector<at::Tensor> single;
    std::vector<at::Tensor> exact;
    for (std::size_t i = 0; i < drawn.size(); ++i) {
      const bool tracked = i != 3 && i != 4;
      single.push_back(channels_last(drawn[i]).clone().requires_grad_(tracked));
      exact.push_back(drawn[i].to(at::kDouble).requires_grad_(tracked));
    }
    const std::vector<at::Tensor> ours = norm_both_ways(single, c, channels_last(diff), false);
    const std::vector<at::Tensor> expected = norm_both_ways(exact, c, diff.to(at::kDouble), true);
    ASSERT_EQ(ours.size(), expected.size());
    // A value of about 30 is rounded by 30 * epsilon, relative to the deviation of 1 here; a sum of
    // n gradients grows by at most n times that, and only a few values pile up this way.
    const auto pixels = static_cast<double>(diff.numel() / channels);
    const double tolerance = 32 * std::numeric_limits<float>::epsilon();
    for (std::size_t i = 0; i < ours.size(); ++i) {
      const bool summed = i == 4 || i == 5;
      // Where rounding decides whether the rectifier passes, a gradient may be all or nothing.
      at::Tensor error = (ours[i].to(at::kDouble) - expected[i]).abs();
      if (c.rectified && (i == 3 || i == 6)) {
        error = at::where((expected[0] == 0).ne(ours[0] == 0), at::zeros_like(error), error);
      }
      EXPECT_LE(error.max().item<double>(), tolerance * 8 * (summed ? std::sqrt(pixels) : 1))
          << "result " << i;
    }
  }
}

// In a chain of residual blocks every third sum is kept: what lies between is made from it.
TEST(Norm, ResultsAreMadeAgainToTheBit) {
  torch::manual_seed(21);
  const std::vector<std::int64_t> shape{2, 12, 9, 7};
  const auto draw = [&] { return channels_last(at::randn(shape)).clone().requires_grad_(); };
  const auto tensors = [&] {
    return NormTensors{at::randn(12), at::randn(12), at::zeros(12), at::ones(12)};
  };
  NormTail tail{.rectified = true};
  NormAside aside;
  tail.residual = norm_add_relu(draw(), tensors(), {}, {}, true, &aside);
  Remade remade = aside.remade;
  ASSERT_TRUE(remade.possible());
  EXPECT_TRUE(torch::equal(remade.recipe().make(remade.sources()), tail.residual));
  for (const bool possible : {true, true, false, true, true, false}) {
    tail.residual_remade = std::exchange(remade, {});
    const at::Tensor out = norm_add_relu(draw(), tensors(), tail, {}, true, &aside);
    remade = aside.remade;
    EXPECT_EQ(remade.possible(), possible);
    const Remade how = remade.or_kept(out);
    EXPECT_TRUE(torch::equal(how.recipe().make(how.sources()), out));
    for (const at::Tensor& source : how.sources()) EXPECT_EQ(source.is_same(out), !possible);
    tail.residual = out;
  }
}

// What several readers of a backward pass make again is made once, and not kept beyond the pass.
TEST(Norm, WhatIsMadeAgainIsSharedUntilItsOwnBackwardPass) {
  torch::manual_seed(22);
  const auto draw = [] { return channels_last(at::randn({2, 12, 9, 7})).clone().requires_grad_(); };
  const NormTensors tensors{at::randn(12), at::randn(12), at::zeros(12), at::ones(12)};
  NormAside aside;
  const at::Tensor out =
      norm_add_relu(draw(), tensors, {.residual = draw(), .rectified = true}, {}, true, &aside);
  const Remade& remade = aside.remade;
  const at::Tensor made = remade.recipe().make(remade.sources());
  EXPECT_TRUE(remade.recipe().make(remade.sources()).is_same(made));
  out.sum().backward();
  EXPECT_FALSE(remade.recipe().shared->get().defined());
  const at::Tensor again = remade.recipe().make(remade.sources());
  EXPECT_FALSE(again.is_same(made));
  EXPECT_TRUE(torch::equal(again, made));
}

// Of the values after the residual and the rectifier; of a gradient, those of what goes back to x.
TEST(Norm, MakesAveragesAndSumsOfCells) {
  torch::manual_seed(23);
  for (const std::vector<std::int64_t>& shape :
       {std::vector<std::int64_t>{2, 12, 8, 6}, {2, 3, 7, 9}, {3, 64, 28, 28}}) {
    const auto draw = [&] { return channels_last(at::randn(shape)).clone().requires_grad_(); };
    const std::int64_t channels = shape[1];
    const NormTensors tensors{at::randn(channels), at::randn(channels), at::zeros(channels),
                              at::ones(channels)};
    const at::Tensor x = draw();
    const auto sums = std::make_shared<DiffSums>(Shape{2, 2});
    NormAside aside;
    const at::Tensor out = norm_add_relu(
        x, tensors, {.residual = draw(), .rectified = true, .cell = {2, 2}, .diff_sums = sums}, {},
        true, &aside);
    const auto averages = [](const at::Tensor& map) {
      return at::avg_pool2d(map, 2, 2, 0, /*ceil_mode=*/true, /*count_include_pad=*/false);
    };
    const auto expect_near = [](const at::Tensor& actual, const at::Tensor& exact, double most) {
      ASSERT_EQ(actual.sizes(), exact.sizes());
      // Three additions and a product.
      const double tolerance = 4 * most * std::numeric_limits<float>::epsilon();
      EXPECT_LE((actual.to(at::kDouble) - exact).abs().max().item<double>(), tolerance);
    };
    expect_near(aside.averages, averages(out.detach().to(at::kDouble)),
                out.abs().max().item<double>());
    const at::Tensor diff = channels_last(at::randn(shape));
    const at::Tensor diff_x = torch::autograd::grad({out}, {x}, {diff})[0];
    const at::Tensor taken = sums->take(diff_x);
    ASSERT_TRUE(taken.defined());
    const at::Tensor exact = diff_x.to(at::kDouble);
    const at::Tensor even = at::constant_pad_nd(exact, {0, shape[3] % 2, 0, shape[2] % 2});
    expect_near(taken, averages(even) * 4, 4 * exact.abs().max().item<double>());
    EXPECT_FALSE(sums->take(diff_x).defined()) << "they are forgotten";
  }
}

TEST(DiffSums, AreTakenForTheVeryGradientAsItWas) {
  DiffSums sums({2, 2});
  const at::Tensor diff = at::randn({1, 2, 4, 4});
  const at::Tensor cells = at::randn({1, 2, 2, 2});
  EXPECT_FALSE(sums.take(diff).defined());
  sums.set(diff, cells);
  EXPECT_TRUE(sums.take(diff).is_same(cells));
  sums.set(diff, cells);
  EXPECT_FALSE(sums.take(diff.clone()).defined());
  sums.set(diff, cells);
  diff.add_(1);
  EXPECT_FALSE(sums.take(diff).defined());
}

TEST(OctConv, OfOrdinaryValuesIsLibTorchsConvolution) {
  torch::manual_seed(3);
  const at::Tensor x = at::randn({2, 6, 9, 8}, at::kDouble);  // float has sums of another order
  const at::Tensor weight = at::randn({4, 3, 3, 2}, at::kDouble);
  const at::Tensor bias = at::randn({4}, at::kDouble);
  const ConvOptions o{.in = {6, 0},
                      .out = {4, 0},
                      .kernel = {3, 2},
                      .stride = {2, 3},
                      .dilation = {1, 2},
                      .padding_begin = {2, 1},
                      .padding_end = {2, 1},
                      .groups = 2,
                      .octave = {2, 2}};
  namespace F = torch::nn::functional;
  const at::Tensor expected = F::conv2d(
      x, weight,
      F::Conv2dFuncOptions().bias(bias).stride({2, 3}).padding({2, 1}).dilation({1, 2}).groups(2));
  const OctTensor y = oct_conv(OctTensor(x), weight, bias, o);
  EXPECT_FALSE(y.low.defined());
  EXPECT_TRUE(at::equal(y.high, expected));
}

TEST(OctConv, PadsEachSideByItsOwnAmount) {
  const ConvOptions o{.in = {1, 0},
                      .out = {1, 0},
                      .kernel = {2},
                      .stride = {1},
                      .dilation = {1},
                      .padding_begin = {0},
                      .padding_end = {1},
                      .octave = {2}};
  const OctTensor y = oct_conv(OctTensor(at::tensor({1.0, 2.0, 4.0}).view({1, 1, 3})),
                               at::tensor({10.0, 1.0}).view({1, 1, 2}), {}, o);
  EXPECT_TRUE(at::equal(y.high.flatten(), at::tensor({12.0, 24.0, 40.0})));
}

TEST(OctConv, NamesTheTensorThatDoesNotFit) {
  const Case c{"", {5, 3}, {4, 4}, {8, 6}, {2, 2}};
  const ConvOptions o = options_of(c);
  const Operands good = random_operands(c, o, at::kFloat);
  const auto message = [&](const OctTensor& x, const at::Tensor& weight,
                           const at::Tensor& bias) -> std::string {
    try {
      static_cast<void>(oct_conv(x, weight, bias, o));
    } catch (const InvalidArgument& error) {
      return error.what();
    }
    return "no error";
  };
  using testing::HasSubstr;
  EXPECT_THAT(message(OctTensor(good.input.high), good.weight, good.bias),
              HasSubstr("low input is missing"));
  EXPECT_THAT(message({good.input.low, good.input.low}, good.weight, good.bias),
              HasSubstr("high input has shape"));
  EXPECT_THAT(message({good.input.high, at::randn({2, 3, 5, 3})}, good.weight, good.bias),
              HasSubstr("[5, 3]"));
  EXPECT_THAT(message(good.input, good.weight.narrow(1, 0, 4), good.bias),
              HasSubstr("weight has shape"));
  EXPECT_THAT(message(good.input, good.weight, good.bias.narrow(0, 0, 4)),
              HasSubstr("bias has shape"));
}

TEST(Pool, OfLowGridsCountsOnlyPixelsThatExist) {
  // Extents 6 pool to 3, whose low grid has 2 pixels: the second low window has one real pixel of
  // the grid of 3.
  const Pool halving{.kind = PoolKind::kAverage,
                     .kernel = {2},
                     .stride = {2},
                     .padding_begin = {0},
                     .padding_end = {0}};
  const OctTensor x(at::arange(6, at::kFloat).view({1, 1, 6}),
                    at::tensor({1.F, 3.F, 8.F}).view({1, 1, 3}));
  const OctTensor average = pool(x, halving, {2});
  EXPECT_TRUE(at::equal(average.high.flatten(), at::tensor({0.5F, 2.5F, 4.5F})));
  EXPECT_TRUE(at::equal(average.low.flatten(), at::tensor({2.F, 8.F})));
  Pool largest = halving;
  largest.kind = PoolKind::kMax;
  const OctTensor most = pool(OctTensor(-x.high, -x.low), largest, {2});
  EXPECT_TRUE(at::equal(most.high.flatten(), at::tensor({0.F, -2.F, -4.F})));
  EXPECT_TRUE(at::equal(most.low.flatten(), at::tensor({-1.F, -8.F})));
}

TEST(Pool, WithPaddingEqualsLibTorchs) {
  torch::manual_seed(5);
  const at::Tensor x = at::randn({2, 3, 7, 10});
  for (const PoolKind kind : {PoolKind::kMax, PoolKind::kAverage}) {
    const Pool options{.kind = kind,
                       .kernel = {3, 3},
                       .stride = {2, 2},
                       .padding_begin = {1, 1},
                       .padding_end = {1, 1}};
    const at::Tensor y = pool(OctTensor(x), options, {2, 2}).high;
    const at::Tensor expected =
        kind == PoolKind::kMax
            ? at::max_pool2d(x, {3, 3}, {2, 2}, {1, 1})
            : at::avg_pool2d(x, {3, 3}, {2, 2}, {1, 1}, false, /*count_include_pad=*/false);
    EXPECT_TRUE(at::allclose(y, expected, 0, 4e-7))
        << to_string(kind);  // two roundings of numbers below 4
  }
}

Graph network(double alpha, StrideMode mode = StrideMode::kPool) {
  return octavize(make_network("resnet20", {.in_channels = 1, .classes = 10}),
                  {.alpha = alpha, .stride_mode = mode})
      .graph;
}

TEST(GraphModule, HasTheOrdinaryNetworksParametersWhateverAlphaIs) {
  const Graph ordinary = make_network("resnet20", {.in_channels = 1, .classes = 10});
  std::vector<std::pair<std::string, std::string>> trained;
  std::vector<std::pair<std::string, std::string>> running;
  for (const Parameter& parameter : parameters(ordinary)) {
    (parameter.trained() ? trained : running)
        .emplace_back(parameter.name, parameter.shape.to_string());
  }
  EXPECT_EQ(trained[3].first, "layer1.0.conv1.weight");
  const auto describe = [](const auto& tensors) {
    std::vector<std::pair<std::string, std::string>> all;
    for (const auto& [name, tensor] : tensors) {
      all.emplace_back(name,
                       Shape(std::span(tensor.sizes().data(), tensor.sizes().size())).to_string());
    }
    return all;
  };
  for (const double alpha : {0.0, 0.25, 0.5}) {
    const GraphModule module(network(alpha));
    EXPECT_EQ(describe(module.named_parameters()), trained) << alpha;
    EXPECT_EQ(describe(module.named_buffers()), running) << alpha;
  }
}

TEST(GraphModule, GivesBackTheWeightsThatItLoaded) {
  GraphModule module(network(0.25), 1);
  const Weights weights = initial_weights(module.graph(), 2);
  module.load(weights);
  const Weights back = module.weights();
  ASSERT_EQ(back.size(), weights.size());
  for (const auto& [name, tensor] : weights) {
    ASSERT_EQ(back.at(name).shape(), tensor.shape()) << name;
    EXPECT_TRUE(
        std::equal(tensor.values().begin(), tensor.values().end(), back.at(name).values().begin()))
        << name;
  }
  EXPECT_THROW(module.load({}), InvalidArgument);
}

TEST(GraphModule, WithoutLowChannelsIsTheNetworkWrittenWithLibTorch) {
  GraphModule module(network(0, StrideMode::kStrided), 4);
  module.eval();
  std::map<std::string, at::Tensor> t;
  for (const auto& [name, tensor] : module.named_parameters()) t[name] = tensor;
  for (const auto& [name, tensor] : module.named_buffers()) {
    t[name] = tensor;
    tensor.uniform_(0.5, 1.5);
  }
  const auto conv = [&](const at::Tensor& x, const std::string& name, std::int64_t stride) {
    const at::Tensor& weight = t.at(name + ".weight");
    return at::conv2d(x, weight, {}, stride, weight.size(2) / 2);
  };
  const auto norm = [&](const at::Tensor& x, const std::string& name) {
    return at::batch_norm(x, t.at(name + ".weight"), t.at(name + ".bias"),
                          t.at(name + ".running_mean"), t.at(name + ".running_var"), false, 0.1,
                          1e-5, true);
  };
  torch::manual_seed(6);
  const at::Tensor images = at::randn({3, 1, 13, 16});
  const at::NoGradGuard guard;
  at::Tensor x =
      at::relu(norm(conv(images.contiguous(at::MemoryFormat::ChannelsLast), "conv1", 1), "bn1"));
  for (int stage = 1; stage <= 3; ++stage) {
    for (int block = 0; block < 3; ++block) {
      const std::string name = "layer" + std::to_string(stage) + "." + std::to_string(block);
      const std::int64_t stride = stage > 1 && block == 0 ? 2 : 1;
      at::Tensor y = at::relu(norm(conv(x, name + ".conv1", stride), name + ".bn1"));
      y = norm(conv(y, name + ".conv2", 1), name + ".bn2");
      if (stride == 2) x = norm(conv(x, name + ".downsample.0", 2), name + ".downsample.1");
      x = at::relu(y + x);
    }
  }
  x = at::linear(x.mean({2, 3}), t.at("fc.weight"), t.at("fc.bias"));
  EXPECT_TRUE(at::allclose(module.forward(images), x, 1e-5, 1e-5));
}

TEST(GraphModule, TrainsEveryParameterOfAnOctaveNetwork) {
  GraphModule module(network(0.25), 1);
  torch::manual_seed(8);
  const at::Tensor images = at::randn({8, 1, 14, 14});
  const at::Tensor labels = at::arange(8) % 10;
  const auto loss = [&] { return at::cross_entropy_loss(module.forward(images), labels); };
  const at::Tensor before = loss();
  before.backward();
  {
    const at::NoGradGuard guard;
    for (const auto& [name, tensor] : module.named_parameters()) {
      ASSERT_TRUE(tensor.grad().defined()) << name;
      EXPECT_GT(tensor.grad().abs().max().item<float>(), 0) << name;
      tensor.sub_(tensor.grad(), 0.01);
    }
  }
  EXPECT_LT(loss().item<float>(), before.item<float>());
}

// In float a rectifier may pass in one form what it stops in the other: gradients are compared in
// double there.
TEST(GraphModule, ComposedOfLibTorchsConvolutionsTakesTheSameStep) {
  torch::manual_seed(14);
  const at::Tensor images = at::randn({8, 1, 16, 16}, at::kDouble);
  for (const double alpha : {0.0, 0.25}) {
    for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
      const auto step = [&](bool composed) {
        GraphModule module(network(alpha), 1, {.composed = composed});
        module.module()->to(type);
        return training_step(module, images.to(type));
      };
      const TrainingStep fused = step(false);
      const TrainingStep composed = step(true);
      // Each of 20 layers adds up at most 64 * 9 rounded products, forward and back.
      const double rounding = 2 * 20 * 64 * 9 *
                              (type == at::kFloat ? double{std::numeric_limits<float>::epsilon()}
                                                  : std::numeric_limits<double>::epsilon());
      const auto difference = [](const at::Tensor& a, const at::Tensor& b) {
        return ((a - b).norm() / b.norm()).item<double>();
      };
      EXPECT_LE(difference(composed.scores, fused.scores), rounding);
      for (const auto& [name, tensor] : fused.tensors) {
        const bool running = name.find("running_") != std::string::npos;
        if (!running && type == at::kFloat) continue;
        EXPECT_LE(difference(composed.tensors.at(name), tensor), rounding) << name;
      }
      // Other sums were taken, unless both forms are one convolution of LibTorch's.
      if (type == at::kFloat || alpha > 0) {
        EXPECT_FALSE(composed.scores.equal(fused.scores));
      }
    }
  }
}

// One convolution, so that rounding can be bounded: of its operands, which is taken out here, of
// each path's result, of the sum of two.
TEST(GraphModule, InBFloat16ConvolvesRoundedOperands) {
  torch::manual_seed(15);
  const at::Tensor images = at::randn({2, 3, 9, 8});
  const auto rounded = [](const at::Tensor& x) { return x.to(at::kBFloat16).to(at::kDouble); };
  for (const double alpha : {0.0, 0.5}) {
    Graph graph("two", Shape{2, 2});
    graph.set_policy({.octave_stages = {true}});
    NodeId at = graph.add("input", Input{3}, {});
    for (const char* name : {"first", "second"}) {
      at = graph.add(name, keeping_extents(8, 3), {at}, 0);
    }
    graph.add_output(graph.add("pool", GlobalPool{}, {at}));
    const Graph twin = octavize(graph, {.alpha = alpha}).graph;
    GraphModule module(twin, 1, {.bfloat16 = true});
    std::map<std::string, at::Tensor> weights;
    for (const auto& [name, tensor] : module.named_parameters()) weights[name] = tensor;
    OctTensor x(images);
    OctTensor bound(images.abs().to(at::kDouble));
    for (const char* name : {"first", "second"}) {
      const ConvOptions options = twin.conv_options(twin.find(name));
      const at::Tensor& weight = weights.at(std::string(name) + ".weight");
      const OctTensor operand = apply(x, rounded);
      x = oct_conv_composed(operand, rounded(weight), {}, options);
      bound = oct_conv_composed(apply(operand, [](const at::Tensor& t) { return t.abs(); }),
                                rounded(weight).abs(), {}, options);
    }
    const at::Tensor got = module.forward(images).to(at::kDouble);
    const at::Tensor truth = global_average(x);
    // What the first layer's result was rounded to may differ by a step, 2^-7 of it at most, beside
    // three roundings of the second's by half of one.
    const at::Tensor allowed = global_average(bound) * (std::exp2(-7) + 3 * std::exp2(-9));
    EXPECT_TRUE(((got - truth).abs() <= allowed).all().item<bool>()) << alpha;
    GraphModule plain(twin, 1);
    EXPECT_FALSE(plain.forward(images).equal(module.forward(images)));
  }
}

// Gradients reach parameters as float, close to those of float.
TEST(GraphModule, InBFloat16TakesNearlyTheSameStep) {
  torch::manual_seed(16);
  const at::Tensor images = at::randn({8, 1, 16, 16});
  const auto step = [&](bool bfloat16) {
    GraphModule module(network(0.25), 1, {.bfloat16 = bfloat16});
    return training_step(module, images);
  };
  const TrainingStep whole = step(false);
  const TrainingStep narrow = step(true);
  ASSERT_EQ(narrow.tensors.size(), whole.tensors.size());
  for (const auto& [name, tensor] : whole.tensors) {
    const at::Tensor& other = narrow.tensors.at(name);
    ASSERT_EQ(other.scalar_type(), at::kFloat) << name;
    if (name.find("running_") != std::string::npos) continue;
    const double cosine =
        (at::dot(other.flatten(), tensor.flatten()) / other.norm() / tensor.norm()).item<double>();
    // 21 layers deep, each rounding by up to 2^-9 forward and back, rectifiers passing others.
    EXPECT_GT(cosine, 0.8) << name;
  }
}

// The slope of the loss along a random direction of a parameter: by its gradient, and by a central
// difference.
struct Slopes {
  double gradient = 0;
  double difference = 0;
};

Slopes slopes_along_a_direction(at::Tensor tensor, const std::function<at::Tensor()>& loss) {
  constexpr double kStep = 1e-6;
  const at::Tensor direction = at::randn_like(tensor);
  tensor.add_(direction, kStep);
  const auto above = loss().item<double>();
  tensor.sub_(direction, 2 * kStep);
  const auto below = loss().item<double>();
  tensor.add_(direction, kStep);
  return {(tensor.grad() * direction).sum().item<double>(), (above - below) / (2 * kStep)};
}

TEST(GraphModule, GradientsInDoubleEqualCentralDifferences) {
  GraphModule module(network(0.5), 1);
  module.module()->to(torch::kDouble);
  torch::manual_seed(9);
  const at::Tensor images = at::randn({4, 1, 9, 9}, at::kDouble);
  const at::Tensor labels = at::arange(4);
  const auto loss = [&] { return at::cross_entropy_loss(module.forward(images), labels); };
  loss().backward();
  // Curvature makes the error grow with the square of the step, rounding with its inverse; at 1e-6
  // both are below 1e-7 of the slope of a network of 20 layers. A relu that changes side between
  // the two points would spoil it: none does with these seeds.
  const at::NoGradGuard guard;
  for (const auto& [name, tensor] : module.named_parameters()) {
    const Slopes slopes = slopes_along_a_direction(tensor, loss);
    EXPECT_NEAR(slopes.gradient, slopes.difference, 1e-6 * std::max(1.0, std::abs(slopes.gradient)))
        << name;
  }
}

TEST(GraphModule, DownsamplesByAStridedConvolutionOrTheMaximum) {
  Graph graph("downs", {2, 2});
  graph.set_policy({.stride_mode = StrideMode::kPool, .octave_stages = {true}});
  const NodeId input = graph.add("input", Input{3}, {});
  const NodeId first = graph.add("first", keeping_extents(4, 3), {input}, 0);
  const NodeId last = graph.add("last", keeping_extents(2, 1), {first});
  graph.add_output(graph.add("mean", GlobalPool{}, {last}));
  torch::manual_seed(13);
  const at::Tensor x = at::randn({2, 3, 8, 6});
  for (const Downsample downsample : {Downsample::kMax, Downsample::kStridedConv}) {
    GraphModule module(octavize(graph, {.alpha = 0.5, .downsample = downsample}).graph, 1);
    std::map<std::string, at::Tensor> t;
    for (const auto& [name, tensor] : module.named_parameters()) t[name] = tensor;
    const at::NoGradGuard guard;
    const at::Tensor to_low = t["first.weight"].narrow(0, 0, 2);
    const at::Tensor low = downsample == Downsample::kMax
                               ? at::conv2d(at::max_pool2d(x, {2, 2}, {2, 2}), to_low, {}, 1, 1)
                               : at::conv2d(x, to_low, {}, 2, 1);
    const at::Tensor high = at::conv2d(x, t["first.weight"].narrow(0, 2, 2), {}, 1, 1);
    const at::Tensor y =
        at::conv2d(high, t["last.weight"].narrow(1, 2, 2)) +
        at::upsample_nearest2d(at::conv2d(low, t["last.weight"].narrow(1, 0, 2)), {8, 6});
    EXPECT_TRUE(at::allclose(module.forward(x), y.mean({2, 3}), 1e-5, 1e-6))
        << to_string(downsample);
  }
}

TEST(Attend, EqualsTheFormula) {
  torch::manual_seed(11);
  const at::Tensor queries = at::randn({2, 3, 4, 2}, at::kDouble);
  const at::Tensor keys = at::randn({2, 3, 3, 5}, at::kDouble);
  const at::Tensor values = at::randn({2, 6, 3, 5}, at::kDouble);
  const at::Tensor y = attend(queries, keys, values, 0.5);
  ASSERT_EQ(y.sizes(), (std::vector<std::int64_t>{2, 6, 4, 2}));
  for (std::int64_t n = 0; n < 2; ++n) {
    for (std::int64_t q = 0; q < 8; ++q) {
      double sum = 0;
      std::vector<double> expected(6);
      for (std::int64_t p = 0; p < 15; ++p) {
        double score = 0;
        for (std::int64_t c = 0; c < 3; ++c) {
          score += 0.5 * queries[n][c][q / 2][q % 2].item<double>() *
                   keys[n][c][p / 5][p % 5].item<double>();
        }
        sum += std::exp(score);
        for (std::int64_t d = 0; d < 6; ++d) {
          expected[static_cast<std::size_t>(d)] +=
              std::exp(score) * values[n][d][p / 5][p % 5].item<double>();
        }
      }
      for (std::int64_t d = 0; d < 6; ++d) {
        EXPECT_NEAR(y[n][d][q / 2][q % 2].item<double>(),
                    expected[static_cast<std::size_t>(d)] / sum, 1e-13);
      }
    }
  }
  EXPECT_THROW(static_cast<void>(attend(queries, values, values, 1)), InvalidArgument);
  EXPECT_THROW(static_cast<void>(attend(queries, keys, queries, 1)), InvalidArgument);
}

// Octave values through a concatenation and a gate, batch norm without parameters, attention.
TEST(GraphModule, GradientsPassGatesConcatenationsAndAttention) {
  Graph graph("joins", {2, 2});
  graph.set_policy({.stride_mode = StrideMode::kPool, .octave_stages = {true}});
  const NodeId input = graph.add("input", Input{2}, {});
  NodeId x = graph.add("first", keeping_extents(8, 3), {input}, 0);
  NodeId gate = graph.add("squeeze", GlobalPool{}, {x});
  gate = graph.add("excite", Linear{8}, {gate});
  gate = graph.add("gate", Activation{ActivationKind::kSigmoid}, {gate});
  x = graph.add("scaled", Scale{}, {x, gate});
  x = graph.add("joined", Concat{}, {input, x, graph.add("more", keeping_extents(4, 3), {x}, 0)});
  x = graph.add("plain", BatchNorm{.affine = false}, {x});
  x = graph.add("attended", Attention{0.7},
                {graph.add("queries", keeping_extents(3, 1), {x}),
                 graph.add("keys", keeping_extents(3, 1), {x}),
                 graph.add("values", keeping_extents(5, 1), {x})});
  x = graph.add("fc", Linear{4}, {graph.add("mean", GlobalPool{}, {x})});
  graph.add_output(x);
  const Graph octave = octavize(graph, {.alpha = 0.5}).graph;
  ASSERT_EQ(octave.node(octave.find("plain")).channels, (ChannelSplit{8, 6}));
  GraphModule module(octave, 1);
  module.module()->to(torch::kDouble);
  torch::manual_seed(12);
  const at::Tensor images = at::randn({3, 2, 7, 6}, at::kDouble);
  const auto loss = [&] { return at::cross_entropy_loss(module.forward(images), at::arange(3)); };
  loss().backward();
  const at::NoGradGuard guard;
  for (const auto& [name, tensor] : module.named_parameters()) {
    const Slopes slopes = slopes_along_a_direction(tensor, loss);
    EXPECT_NE(slopes.gradient, 0) << name;
    EXPECT_NEAR(slopes.gradient, slopes.difference, 1e-8 * std::max(1.0, std::abs(slopes.gradient)))
        << name;
  }
}

// Graphs without rectifiers, so that rounding changes gradients a little and never all or nothing.
class Joins {
 public:
  Joins() : graph_("joins", {2, 2}) {
    graph_.set_policy({.stride_mode = StrideMode::kPool, .octave_stages = {true}});
  }

  NodeId input() { return graph_.add("input", Input{2}, {}); }
  NodeId conv(const std::string& name, NodeId x) {
    return graph_.add(name, keeping_extents(8, 3), {x}, 0);
  }
  NodeId norm(NodeId x) { return graph_.add(graph_.node(x).name + ".norm", BatchNorm{}, {x}); }
  NodeId sum(NodeId a, NodeId b) { return graph_.add(graph_.node(a).name + ".sum", Add{}, {a, b}); }

  // What is handed on beside a value of the graph up to another.
  [[nodiscard]] Handed handed(NodeId value, NodeId output) const {
    Graph graph = graph_;
    graph.add_output(output);
    return plan_handed(graph, plan_steps(graph))[static_cast<std::size_t>(value)];
  }

  void expect_gradients_of_the_composed_form(NodeId x) {
    graph_.add_output(graph_.add("fc", Linear{4}, {graph_.add("mean", GlobalPool{}, {x})}));
    for (const double alpha : {0.0, 0.5}) {
      SCOPED_TRACE(alpha);
      const Graph octave = octavize(graph_, {.alpha = alpha}).graph;
      torch::manual_seed(24);
      const at::Tensor images = at::randn({4, 2, 9, 12});
      const auto step = [&](bool composed) {
        return training_step(GraphModule(octave, 1, {.composed = composed}), images);
      };
      const TrainingStep fused = step(false);
      const TrainingStep composed = step(true);
      for (const auto& [name, tensor] : fused.tensors) {
        const at::Tensor& wanted = composed.tensors.at(name);
        // Each of at most four layers adds up at most 8 * 9 rounded products of a pixel, forward
        // and back.
        const double rounding =
            2 * 4 * 8 * 9 * double{std::numeric_limits<float>::epsilon()} * 4 * 9 * 12;
        EXPECT_LE((tensor - wanted).norm().item<double>(), rounding * wanted.norm().item<double>())
            << name;
      }
    }
  }

 private:
  Graph graph_;
};

// Sums of cells that a batch norm makes beside its gradient are not those of the convolution's
// result, which the residual reads too.
TEST(GraphModule, GradientsOfAConvolutionWithTwoReadersAreThoseOfItsComposedForm) {
  Joins joins;
  const NodeId x = joins.conv("second", joins.conv("first", joins.input()));
  joins.expect_gradients_of_the_composed_form(
      joins.norm(joins.conv("third", joins.sum(joins.norm(x), x))));
}

// One reader hands its part of the gradient to the other.
TEST(GraphModule, GradientsOfAResidualAreThoseOfItsComposedForm) {
  Joins joins;
  const NodeId x = joins.norm(joins.conv("first", joins.input()));
  const NodeId made = joins.norm(joins.conv("third", joins.norm(joins.conv("second", x))));
  const NodeId sum = joins.sum(made, x);
  EXPECT_TRUE(joins.handed(x, sum).other_gradient);
  joins.expect_gradients_of_the_composed_form(sum);
}

// No reader follows from the other: either may come first in the backward pass.
TEST(GraphModule, GradientsOfAResidualBesideAConvolutionAreThoseOfItsComposedForm) {
  Joins joins;
  const NodeId x = joins.norm(joins.conv("first", joins.input()));
  const NodeId read = joins.norm(joins.conv("read", x));
  const NodeId beside = joins.norm(joins.conv("beside", read));
  const NodeId sum = joins.sum(joins.norm(joins.conv("main", x)), read);
  EXPECT_FALSE(joins.handed(read, sum).other_gradient);
  joins.expect_gradients_of_the_composed_form(joins.sum(beside, sum));
}

TEST(GraphModule, GradientsPassAllThatDecodersHave) {
  for (const std::size_t rank : {1U, 2U}) {
    GraphModule module(examples::octave_decoder_graph(rank), 1);
    module.module()->to(torch::kDouble);
    torch::manual_seed(13);
    const at::Tensor images =
        rank == 1 ? at::randn({3, 2, 9}, at::kDouble) : at::randn({3, 2, 5, 4}, at::kDouble);
    const at::Tensor towards = at::randn({3, 5}, at::kDouble);
    const auto loss = [&] { return (module.forward(images) * towards).sum(); };
    loss().backward();
    const at::NoGradGuard guard;
    for (const auto& [name, tensor] : module.named_parameters()) {
      const Slopes slopes = slopes_along_a_direction(tensor, loss);
      EXPECT_NE(slopes.gradient, 0) << name;
      EXPECT_NEAR(slopes.gradient, slopes.difference,
                  1e-8 * std::max(1.0, std::abs(slopes.gradient)))
          << name;
    }
  }
}

TEST(GraphModule, KeepsRunningStatisticsInTrainingOnly) {
  GraphModule module(network(0.25), 1);
  torch::manual_seed(10);
  const at::Tensor images = at::randn({4, 1, 14, 14});
  const auto statistics = [&] { return module.weights(); };
  const auto same = [](const Weights& a, const Weights& b) {
    return std::all_of(a.begin(), a.end(), [&](const auto& item) {
      return std::equal(item.second.values().begin(), item.second.values().end(),
                        b.at(item.first).values().begin());
    });
  };
  const at::NoGradGuard guard;
  const Weights at_first = statistics();
  module.eval();
  const at::Tensor once = module.forward(images);
  EXPECT_TRUE(same(statistics(), at_first));
  EXPECT_TRUE(at::equal(once, module.forward(images)));
  module.train();
  static_cast<void>(module.forward(images));
  EXPECT_FALSE(same(statistics(), at_first));
}

TEST(GraphModule, NamesWhatItCannotTake) {
  GraphModule module(network(0.25), 1);
  const auto message = [](const std::function<void()>& act) -> std::string {
    try {
      act();
    } catch (const InvalidArgument& error) {
      return error.what();
    }
    return "no error";
  };
  using testing::HasSubstr;
  EXPECT_THAT(message([&] {
                static_cast<void>(module.forward(at::randn({2, 3, 8, 8})));
              }),
              HasSubstr("[2, 3, 8, 8]"));
  EXPECT_THAT(message([&] {
                static_cast<void>(module.forward(at::randn({2, 1, 8})));
              }),
              HasSubstr("[2, 1, 8]"));
  EXPECT_THAT(message([&] {
                static_cast<void>(module.forward(at::randn({2, 1, 8, 8}, at::kDouble)));
              }),
              HasSubstr("Double"));
  EXPECT_THAT(message([&] { static_cast<void>(module.forward({})); }), HasSubstr("none"));
  Graph graph("odd", Shape{2, 2});
  const NodeId input = graph.add("input", Input{1}, {});
  graph.add_output(graph.add("a..b", BatchNorm{}, {input}));
  EXPECT_THAT(message([&] { GraphModule{graph}; }), HasSubstr("'a..b'"));
}

}  // namespace
}  // namespace octconv::nn
