// SPDX-License-Identifier: Apache-2.0
// The operator with every option, on random layers: values against plain loops, first and second
// derivatives against central differences, and the properties that its equations promise.
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <optional>

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "octconv/base/error.h"
#include "octconv/base/random.h"
#include "octconv/nn/oct_conv.h"
#include "support/octave_reference.h"

namespace octconv::nn {
namespace {

constexpr std::int64_t kBatch = 2;

template <class T>
T pick(Random& random, std::initializer_list<T> choices) {
  return choices.begin()[random.below(choices.size())];
}

struct Layer {
  ConvOptions options;
  Shape extents;
  BiasRule rule = BiasRule::kOnce;
  bool bias = true;
};

// One of the nine combinations of alpha in {0, between, 1}.
ChannelSplit random_split(Random& random, std::int64_t unit) {
  const auto some = [&] { return unit * static_cast<std::int64_t>(1 + random.below(3)); };
  switch (random.below(4)) {
    case 0:
      return {.high = some(), .low = 0};
    case 1:
      return {.high = 0, .low = some()};
    default:
      return {.high = some(), .low = some()};
  }
}

// A random layer that `check` takes; most draws are one.
Layer random_layer(Random& random) {
  for (;;) {
    Layer layer;
    ConvOptions& o = layer.options;
    const std::size_t rank = 1 + random.below(3);
    const bool anisotropic = rank > 1 && random.below(4) == 0;
    o.groups = pick<std::int64_t>(random, {1, 1, 1, 2, 3});
    o.in = random_split(random, o.groups);
    o.out = random_split(random, o.groups);
    if (random.below(6) == 0) {  // depthwise
      o.out = o.in;
      o.groups = o.in.total();
    }
    for (std::size_t axis = 0; axis < rank; ++axis) {
      o.kernel.push_back(pick<std::int64_t>(random, {1, 2, 3, 3, 3, 5}));
      o.dilation.push_back(pick<std::int64_t>(random, {1, 1, 1, 2, 3}));
      o.padding_begin.push_back(o.dilation[axis] * (o.kernel[axis] - 1) / 2);
      o.octave.push_back(anisotropic && axis == 0 ? 1 : 2);
      layer.extents.push_back(static_cast<std::int64_t>(1 + random.below(rank == 3 ? 5 : 9)));
    }
    o.padding_end = o.padding_begin;
    o.stride = Shape::filled(rank, pick<std::int64_t>(random, {1, 1, 2}));
    o.stride_mode = pick(random, {StrideMode::kPool, StrideMode::kPoolTwice, StrideMode::kPoolLow,
                                  StrideMode::kStrided});
    o.exchange = pick(random, {Exchange::kBoth, Exchange::kBoth, Exchange::kHighToLow,
                               Exchange::kLowToHigh, Exchange::kNone});
    if (random.below(2) == 0) {  // half of the layers take rare options
      o.low_to_high = pick(random, {LowToHigh::kConvThenUpsample, LowToHigh::kUpsampleThenConv});
      o.downsample =
          pick(random, {Downsample::kAverage, Downsample::kMax, Downsample::kStridedConv});
      o.upsample = pick(random, {Upsample::kNearest, Upsample::kNearest, Upsample::kBilinear});
      o.odd_low = pick(random, {OddLow::kCeil, OddLow::kCeil, OddLow::kFloor});
      o.group_rule = pick(random, {GroupRule::kAll, GroupRule::kMinimum, GroupRule::kProportional});
      o.padding_mode = pick(random, {PaddingMode::kZeros, PaddingMode::kReflect,
                                     PaddingMode::kReplicate, PaddingMode::kCircular});
    }
    layer.rule = pick(random, {BiasRule::kOnce, BiasRule::kPerPath});
    layer.bias = random.below(4) != 0;
    try {
      check(o);
      for (const ConvPath& path : conv_paths(o)) {
        static_cast<void>(path_extents(o, path, layer.extents));
      }
      const Shape low = low_extents(layer.extents, o.octave, o.odd_low);
      if (low.elements() > 0) return layer;
    } catch (const Error&) {
      // Not a layer: draw again.
    }
  }
}

std::string describe(const Layer& layer) {
  const ConvOptions& o = layer.options;
  std::ostringstream text;
  text << "in " << o.in.high << "+" << o.in.low << " out " << o.out.high << "+" << o.out.low
       << " kernel " << o.kernel.to_string() << " stride " << o.stride.to_string() << " dilation "
       << o.dilation.to_string() << " padding " << o.padding_begin.to_string() << " octave "
       << o.octave.to_string() << " groups " << o.groups << " " << to_string(o.stride_mode) << " "
       << to_string(o.exchange) << " " << to_string(o.low_to_high) << " " << to_string(o.downsample)
       << " " << to_string(o.upsample) << " " << to_string(o.odd_low) << " "
       << to_string(o.group_rule) << " " << to_string(o.padding_mode) << " bias " << layer.bias
       << " " << to_string(layer.rule) << " extents " << layer.extents.to_string();
  return text.str();
}

struct Operands {
  OctTensor input;
  at::Tensor weight;
  at::Tensor bias;

  [[nodiscard]] std::vector<at::Tensor*> all() {
    std::vector<at::Tensor*> tensors;
    for (at::Tensor* tensor : {&input.high, &input.low, &weight, &bias}) {
      if (tensor->defined()) tensors.push_back(tensor);
    }
    return tensors;
  }
};

at::Tensor random_tensor(Random& random, std::vector<std::int64_t> shape,
                         at::ScalarType type = at::kDouble) {
  at::Tensor x = at::empty(shape, at::kDouble);
  double* data = x.data_ptr<double>();
  for (std::int64_t i = 0; i < x.numel(); ++i) data[i] = 2 * random.uniform() - 1;
  return x.to(type);
}

std::vector<std::int64_t> sizes(std::initializer_list<std::int64_t> first, const Shape& rest) {
  std::vector<std::int64_t> all(first);
  all.insert(all.end(), rest.begin(), rest.end());
  return all;
}

Operands random_operands(Random& random, const Layer& layer) {
  const ConvOptions& o = layer.options;
  Operands operands;
  if (o.in.high > 0)
    operands.input.high = random_tensor(random, sizes({kBatch, o.in.high}, layer.extents));
  if (o.in.low > 0) {
    operands.input.low = random_tensor(
        random, sizes({kBatch, o.in.low}, low_extents(layer.extents, o.octave, o.odd_low)));
  }
  operands.input.extents = layer.extents;
  operands.weight = random_tensor(random, sizes({o.out.total(), weight_columns(o)}, o.kernel));
  if (layer.bias) operands.bias = random_tensor(random, {o.out.total()});
  return operands;
}

// The operator, and the same of LibTorch's own operations.
constexpr std::array kForms{&oct_conv, &oct_conv_composed};

OctTensor run(const Layer& layer, const Operands& operands, decltype(&oct_conv) form = &oct_conv) {
  return form(operands.input, operands.weight, operands.bias, layer.options, layer.rule);
}

// --- the reference's side ---

reference::Axes axes(const Shape& shape, std::int64_t filler) {
  reference::Axes all{filler, filler, filler};
  for (std::size_t axis = 0; axis < shape.rank(); ++axis)
    all[3 - shape.rank() + axis] = shape[axis];
  return all;
}

reference::Map map_of(const at::Tensor& x) {
  if (!x.defined()) return {};
  reference::Axes extents{1, 1, 1};
  for (std::int64_t axis = 2; axis < x.dim(); ++axis) {
    extents[static_cast<std::size_t>(3 - (x.dim() - 2) + axis - 2)] = x.size(axis);
  }
  reference::Map map(x.size(0), x.size(1), extents);
  const at::Tensor plain = x.detach().to(at::kDouble).contiguous();
  map.values.assign(plain.data_ptr<double>(), plain.data_ptr<double>() + plain.numel());
  return map;
}

std::vector<double> numbers(const at::Tensor& x) {
  return map_of(x.view({1, -1, 1})).values;
}

reference::Layer reference_layer(const Layer& layer) {
  const ConvOptions& o = layer.options;
  return {.in_high = o.in.high,
          .in_low = o.in.low,
          .out_high = o.out.high,
          .out_low = o.out.low,
          .kernel = axes(o.kernel, 1),
          .stride = axes(o.stride, 1),
          .dilation = axes(o.dilation, 1),
          .padding = axes(o.padding_begin, 0),
          .octave = axes(o.octave, 1),
          .groups = o.groups,
          .stride_mode = o.stride_mode,
          .exchange = o.exchange,
          .low_to_high = o.low_to_high,
          .downsample = o.downsample,
          .upsample = o.upsample,
          .bias_rule = layer.rule,
          .odd_low = o.odd_low,
          .group_rule = o.group_rule,
          .padding_mode = o.padding_mode};
}

void expect_equal(const at::Tensor& y, const reference::Map& expected, double tolerance) {
  ASSERT_EQ(y.defined(), !expected.values.empty());
  if (!y.defined()) return;
  const reference::Map got = map_of(y);
  ASSERT_EQ(got.extents, expected.extents);
  ASSERT_EQ(got.channels, expected.channels);
  for (std::size_t i = 0; i < got.values.size(); ++i)
    ASSERT_NEAR(got.values[i], expected.values[i], tolerance);
}

// A result is a sum of at most `terms` products, each at most 1 in size. Every addition rounds
// once: terms * epsilon * sum |a b| <= terms^2 epsilon; interpolation and pooling at most double it
// twice.
double tolerance(const ConvOptions& o, double epsilon) {
  const auto terms = static_cast<double>((o.in.total() + 1) * o.kernel.elements() + 2);
  return 4 * terms * terms * epsilon;
}

// Options whose layer and input can be given, but whose paths then cannot meet or whose padding
// does not fit are refused at the call: an error is an answer, a wrong value is not.
template <class Function>
bool refused(Function&& function) {
  try {
    function();
    return false;
  } catch (const InvalidArgument&) {
    return true;
  }
}

bool fits(const Layer& layer, const Operands& operands) {
  return !refused([&] { static_cast<void>(run(layer, operands)); });
}

// --- tests ---

TEST(Operator, EqualsPlainLoopsWithEveryOption) {
  Random random(2019);
  std::map<std::string, int> seen;
  int refusals = 0;
  for (int draw = 0; draw < 600; ++draw) {
    const Layer layer = random_layer(random);
    SCOPED_TRACE("draw " + std::to_string(draw) + ": " + describe(layer));
    const Operands operands = random_operands(random, layer);
    if (!fits(layer, operands)) {
      ++refusals;
      continue;
    }
    const ConvOptions& o = layer.options;
    const reference::Pair expected = reference::octave_conv(
        {map_of(operands.input.high), map_of(operands.input.low)}, axes(layer.extents, 1),
        map_of(operands.weight), layer.bias ? numbers(operands.bias) : std::vector<double>{},
        reference_layer(layer));
    const double bound = tolerance(o, std::numeric_limits<double>::epsilon());
    for (const auto form : kForms) {
      const OctTensor y = run(layer, operands, form);
      expect_equal(y.high, expected.high, bound);
      expect_equal(y.low, expected.low, bound);
    }
    if (HasFatalFailure()) return;
    for (const std::string_view name :
         {to_string(o.low_to_high), to_string(o.downsample), to_string(o.upsample),
          to_string(o.odd_low), to_string(o.group_rule), to_string(o.padding_mode),
          to_string(layer.rule), to_string(o.exchange)}) {
      ++seen[std::string(name)];
    }
    if (o.strided()) ++seen[std::string(to_string(o.stride_mode))];
  }
  // Every value of every option was met often, and refusals (reflection on tiny maps, floored
  // strided grids) stay the exception.
  EXPECT_EQ(seen.size(), 26U);
  for (const auto& [name, times] : seen) EXPECT_GE(times, 20) << name;
  EXPECT_LT(refusals, 150);
}

TEST(Operator, RunsInFloatAndChannelsLast) {
  Random random(5);
  for (int draw = 0; draw < 150; ++draw) {
    const Layer layer = random_layer(random);
    SCOPED_TRACE("draw " + std::to_string(draw) + ": " + describe(layer));
    const Operands exact = random_operands(random, layer);
    if (!fits(layer, exact)) continue;
    Operands rounded = exact;
    for (at::Tensor* tensor : rounded.all()) *tensor = tensor->to(at::kFloat);
    const OctTensor expected = run(layer, exact);
    for (const bool channels_last : {false, true}) {
      Operands operands = rounded;
      if (channels_last && layer.extents.rank() >= 2) {
        const auto format = layer.extents.rank() == 2 ? at::MemoryFormat::ChannelsLast
                                                      : at::MemoryFormat::ChannelsLast3d;
        for (at::Tensor* tensor : {&operands.input.high, &operands.input.low, &operands.weight}) {
          if (tensor->defined()) *tensor = tensor->contiguous(format);
        }
      }
      // The inputs were rounded too: one more epsilon a term.
      const double bound = 2 * tolerance(layer.options, std::numeric_limits<float>::epsilon());
      for (const auto form : kForms) {
        const OctTensor y = run(layer, operands, form);
        expect_equal(y.high, map_of(expected.high), bound);
        expect_equal(y.low, map_of(expected.low), bound);
      }
      if (HasFatalFailure()) return;
    }
  }
}

// L = sum of random * output: a number whose gradients exercise every element.
at::Tensor weighted_sum(const OctTensor& y, const OctTensor& factors) {
  at::Tensor sum;
  for (const auto& [value, factor] :
       {std::pair{y.high, factors.high}, std::pair{y.low, factors.low}}) {
    if (!value.defined()) continue;
    const at::Tensor part = (value * factor).sum();
    sum = sum.defined() ? sum + part : part;
  }
  return sum;
}

OctTensor random_like(Random& random, const OctTensor& y) {
  const auto like = [&](const at::Tensor& x) {
    return x.defined() ? random_tensor(random, x.sizes().vec()) : x;
  };
  return {like(y.high), like(y.low)};
}

// The change of `value()` with one element, by central differences. The layer is linear in each
// operand, and the gradient of its weighted sum too, so that only rounding separates the two.
template <class Value>
double difference(const at::Tensor& tensor, std::int64_t element, Value&& value) {
  constexpr double kStep = 1e-3;
  const at::NoGradGuard guard;
  double* at = tensor.data_ptr<double>() + element;
  const double before = *at;
  *at = before + kStep;
  const double above = value();
  *at = before - kStep;
  const double below = value();
  *at = before;
  return (above - below) / (2 * kStep);
}

// |L| is at most the number of products in it; a difference of two L's over the step rounds by this
// much.
double difference_tolerance(const Layer& layer, const OctTensor& y) {
  double outputs = 0;
  for (const at::Tensor& x : {y.high, y.low})
    outputs += x.defined() ? static_cast<double>(x.numel()) : 0.0;
  const auto terms =
      static_cast<double>((layer.options.in.total() + 1) * layer.options.kernel.elements() + 2);
  return 1e3 * outputs * terms * 4 * std::numeric_limits<double>::epsilon() + 1e-12;
}

TEST(Operator, GradientsEqualCentralDifferences) {
  Random random(11);
  int checked = 0;
  for (int draw = 0; draw < 250; ++draw) {
    const Layer layer = random_layer(random);
    SCOPED_TRACE("draw " + std::to_string(draw) + ": " + describe(layer));
    Operands operands = random_operands(random, layer);
    if (!fits(layer, operands)) continue;
    const OctTensor factors = random_like(random, run(layer, operands));
    std::vector<at::Tensor> inputs;
    for (at::Tensor* tensor : operands.all()) inputs.push_back(tensor->requires_grad_());
    const auto gradients =
        torch::autograd::grad({weighted_sum(run(layer, operands), factors)}, inputs, {},
                              /*retain_graph=*/false, /*create_graph=*/false,
                              /*allow_unused=*/true);
    const double bound = difference_tolerance(layer, factors);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const std::vector<double> gradient =
          gradients[i].defined() ? numbers(gradients[i].contiguous()) : std::vector<double>();
      for (int sample = 0; sample < 6; ++sample) {
        const auto element =
            static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(inputs[i].numel())));
        const double expected = difference(inputs[i], element, [&] {
          return weighted_sum(run(layer, operands), factors).item<double>();
        });
        const double got = gradient.empty() ? 0.0 : gradient[static_cast<std::size_t>(element)];
        ASSERT_NEAR(got, expected, bound) << "operand " << i << " element " << element;
        ++checked;
      }
    }
  }
  EXPECT_GT(checked, 3000);
}

// Floats on the CPU have kernels of their own (octave/conv_gradient.h).
TEST(Operator, GradientsInFloatAndOfTheComposedFormEqualThoseInDouble) {
  Random random(13);
  int checked = 0;
  for (int draw = 0; draw < 250; ++draw) {
    const Layer layer = random_layer(random);
    SCOPED_TRACE("draw " + std::to_string(draw) + ": " + describe(layer));
    Operands exact = random_operands(random, layer);
    if (!fits(layer, exact)) continue;
    const OctTensor factors = random_like(random, run(layer, exact));
    const auto gradients = [&](at::ScalarType type, decltype(&oct_conv) form) {
      Operands operands = exact;
      std::vector<at::Tensor> inputs;
      for (at::Tensor* tensor : operands.all()) {
        *tensor = tensor->detach().to(type).requires_grad_();
        inputs.push_back(*tensor);
      }
      const auto like = [&](const at::Tensor& x) { return x.defined() ? x.to(type) : x; };
      return torch::autograd::grad(
          {weighted_sum(run(layer, operands, form), {like(factors.high), like(factors.low)})},
          inputs, {}, /*retain_graph=*/false, /*create_graph=*/false, /*allow_unused=*/true);
    };
    const auto expected = gradients(at::kDouble, &oct_conv);
    // A gradient is a sum of at most so many products of numbers up to 1, rounded beforehand too.
    // So small maps are not computed by Winograd's method.
    double outputs = 0;
    for (const at::Tensor& x : {factors.high, factors.low})
      outputs += x.defined() ? static_cast<double>(x.numel()) : 0.0;
    const double terms = outputs * static_cast<double>(layer.options.kernel.elements());
    const auto check = [&](const std::vector<at::Tensor>& got, double epsilon) {
      for (std::size_t i = 0; i < expected.size(); ++i) {
        ASSERT_EQ(got[i].defined(), expected[i].defined()) << "operand " << i;
        if (!expected[i].defined()) continue;
        ASSERT_EQ(got[i].sizes(), expected[i].sizes());
        const double difference = (got[i].to(at::kDouble) - expected[i]).abs().max().item<double>();
        ASSERT_LE(difference, 4 * terms * epsilon) << "operand " << i;
        ++checked;
      }
    };
    check(gradients(at::kFloat, &oct_conv), std::numeric_limits<float>::epsilon());
    check(gradients(at::kFloat, &oct_conv_composed), std::numeric_limits<float>::epsilon());
    check(gradients(at::kDouble, &oct_conv_composed), std::numeric_limits<double>::epsilon());
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(checked, 900);
}

TEST(Operator, SecondDerivativesEqualCentralDifferencesOfTheFirst) {
  Random random(12);
  int checked = 0;
  for (int draw = 0; draw < 100; ++draw) {
    const Layer layer = random_layer(random);
    SCOPED_TRACE("draw " + std::to_string(draw) + ": " + describe(layer));
    Operands operands = random_operands(random, layer);
    if (!fits(layer, operands)) continue;
    const OctTensor factors = random_like(random, run(layer, operands));
    std::vector<at::Tensor> inputs;
    for (at::Tensor* tensor : operands.all()) inputs.push_back(tensor->requires_grad_());
    std::vector<at::Tensor> directions;
    for (const at::Tensor& input : inputs)
      directions.push_back(random_tensor(random, input.sizes().vec()));
    // The first derivative along fixed directions, as a number that can be differentiated again.
    const auto slope = [&](bool create_graph) {
      const at::AutoGradMode mode(true);
      const auto gradients =
          torch::autograd::grad({weighted_sum(run(layer, operands), factors)}, inputs, {},
                                /*retain_graph=*/create_graph, create_graph,
                                /*allow_unused=*/true);
      at::Tensor sum = at::zeros({}, at::kDouble);
      for (std::size_t i = 0; i < inputs.size(); ++i) {
        if (gradients[i].defined()) sum = sum + (gradients[i] * directions[i]).sum();
      }
      return sum;
    };
    const at::Tensor first = slope(/*create_graph=*/true);
    if (!first.requires_grad()) continue;
    const auto second =
        torch::autograd::grad({first}, inputs, {}, false, false, /*allow_unused=*/true);
    double magnitude = 1;
    for (const at::Tensor& direction : directions)
      magnitude += static_cast<double>(direction.numel());
    const double bound = magnitude * difference_tolerance(layer, factors);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const std::vector<double> values =
          second[i].defined() ? numbers(second[i].contiguous()) : std::vector<double>();
      for (int sample = 0; sample < 4; ++sample) {
        const auto element =
            static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(inputs[i].numel())));
        const double expected = difference(
            inputs[i], element, [&] { return slope(/*create_graph=*/false).item<double>(); });
        const double got = values.empty() ? 0.0 : values[static_cast<std::size_t>(element)];
        ASSERT_NEAR(got, expected, bound) << "operand " << i << " element " << element;
        ++checked;
      }
    }
  }
  EXPECT_GT(checked, 500);
}

TEST(Operator, IsLinearInItsInput) {
  Random random(13);
  for (int draw = 0; draw < 100; ++draw) {
    Layer layer = random_layer(random);
    layer.bias = false;
    if (layer.options.downsample == Downsample::kMax) continue;  // a maximum is not linear
    const Operands a = random_operands(random, layer);
    Operands b = random_operands(random, layer);
    b.weight = a.weight;
    if (!fits(layer, a)) continue;
    Operands sum = a;
    const auto mix = [](const at::Tensor& x, const at::Tensor& y) {
      return x.defined() ? 2 * x - 3 * y : x;
    };
    sum.input.high = mix(a.input.high, b.input.high);
    sum.input.low = mix(a.input.low, b.input.low);
    const OctTensor ya = run(layer, a);
    const OctTensor yb = run(layer, b);
    const OctTensor y = run(layer, sum);
    const double bound = 10 * tolerance(layer.options, std::numeric_limits<double>::epsilon());
    expect_equal(y.high, map_of(mix(ya.high, yb.high)), bound);
    expect_equal(y.low, map_of(mix(ya.low, yb.low)), bound);
    ASSERT_FALSE(HasFatalFailure()) << describe(layer);
  }
}

TEST(Operator, KeepsAConstantImageConstantWhereNothingIsPaddedWithZeros) {
  Random random(14);
  for (int draw = 0; draw < 200; ++draw) {
    Layer layer = random_layer(random);
    if (layer.options.padding_mode == PaddingMode::kZeros &&
        layer.options.padding_begin != Shape::filled(layer.extents.rank(), 0)) {
      continue;
    }
    Operands operands = random_operands(random, layer);
    for (at::Tensor* x : {&operands.input.high, &operands.input.low}) {
      if (x->defined())
        x->copy_(x->flatten(2)
                     .select(2, 0)
                     .view(sizes({kBatch, x->size(1)}, Shape::filled(layer.extents.rank(), 1)))
                     .expand_as(*x)
                     .clone());
    }
    if (!fits(layer, operands)) continue;
    const OctTensor y = run(layer, operands);
    const double bound = 2 * tolerance(layer.options, std::numeric_limits<double>::epsilon());
    for (const at::Tensor& x : {y.high, y.low}) {
      if (!x.defined()) continue;
      const at::Tensor flat = x.flatten(2);
      EXPECT_LE((flat.amax(2) - flat.amin(2)).max().item<double>(), bound) << describe(layer);
    }
  }
}

TEST(Operator, InputGradientIsAnOctaveConvolutionWithTransposedBlocks) {
  // dX_high = conv'(dY_high; W_hh) + upsample(conv'(dY_low; W_hl) / m), dX_low = conv'(dY_low;
  // W_ll) + conv'(cellsum dY_high; W_lh), where conv' flips taps and swaps channels; m is the
  // number of pixels in a cell.
  Random random(15);
  for (const Shape& extents : {Shape{8, 6}, Shape{7, 5}, Shape{1, 4}}) {
    Layer layer{.options = {.in = {3, 2},
                            .out = {4, 3},
                            .kernel = {3, 3},
                            .stride = {1, 1},
                            .dilation = {1, 1},
                            .padding_begin = {1, 1},
                            .padding_end = {1, 1},
                            .octave = {2, 2}},
                .extents = extents};
    Operands operands = random_operands(random, layer);
    operands.input.high.requires_grad_();
    operands.input.low.requires_grad_();
    const OctTensor y = run(layer, operands);
    const OctTensor dy = random_like(random, y);
    const auto gradients = torch::autograd::grad(
        {y.high, y.low}, {operands.input.high, operands.input.low}, {dy.high, dy.low});

    const at::NoGradGuard guard;
    const at::Tensor transposed = operands.weight.transpose(0, 1).flip({2, 3});  // [in, out, 3, 3]
    const at::Tensor high_high = transposed.narrow(0, 2, 3).narrow(1, 3, 4);
    const at::Tensor high_low = transposed.narrow(0, 2, 3).narrow(1, 0, 3);
    const at::Tensor low_low = transposed.narrow(0, 0, 2).narrow(1, 0, 3);
    const at::Tensor low_high = transposed.narrow(0, 0, 2).narrow(1, 3, 4);
    const auto conv = [](const at::Tensor& x, const at::Tensor& w) {
      return at::conv2d(x, w, {}, 1, 1);
    };
    const std::vector<std::int64_t> low{(extents[0] + 1) / 2, (extents[1] + 1) / 2};
    at::Tensor cell_size = at::zeros({1, 1, low[0], low[1]}, at::kDouble);
    at::Tensor cell_sum = at::zeros({kBatch, 4, low[0], low[1]}, at::kDouble);
    for (std::int64_t i = 0; i < extents[0]; ++i) {
      for (std::int64_t j = 0; j < extents[1]; ++j) {
        cell_size.select(2, i / 2).select(2, j / 2) += 1;
        cell_sum.select(2, i / 2).select(2, j / 2) += dy.high.select(2, i).select(2, j);
      }
    }
    at::Tensor expected_high = conv(dy.high, high_high);
    const at::Tensor spread = conv(dy.low, high_low) / cell_size;
    for (std::int64_t i = 0; i < extents[0]; ++i) {
      for (std::int64_t j = 0; j < extents[1]; ++j) {
        expected_high.select(2, i).select(2, j) += spread.select(2, i / 2).select(2, j / 2);
      }
    }
    const at::Tensor expected_low = conv(dy.low, low_low) + conv(cell_sum, low_high);
    // Cell sums are up to four times a value.
    const double bound = 4 * tolerance(layer.options, std::numeric_limits<double>::epsilon());
    EXPECT_LE((gradients[0] - expected_high).abs().max().item<double>(), bound);
    EXPECT_LE((gradients[1] - expected_low).abs().max().item<double>(), bound);
  }
}

TEST(Operator, WithoutABatchAxisAndWithAnEmptyBatch) {
  Random random(16);
  for (int draw = 0; draw < 60; ++draw) {
    const Layer layer = random_layer(random);
    SCOPED_TRACE(describe(layer));
    const Operands operands = random_operands(random, layer);
    if (!fits(layer, operands)) continue;
    const OctTensor whole = run(layer, operands);
    const auto map = [](const OctTensor& x, auto function) {
      return OctTensor{x.high.defined() ? function(x.high) : x.high,
                       x.low.defined() ? function(x.low) : x.low, x.extents};
    };
    Operands one = operands;
    one.input = map(operands.input, [](const at::Tensor& x) { return x.select(0, 1); });
    const OctTensor y = run(layer, one);
    for (const auto& [got, all] : {std::pair{y.high, whole.high}, std::pair{y.low, whole.low}}) {
      ASSERT_EQ(got.defined(), all.defined());
      if (!got.defined()) continue;
      EXPECT_TRUE(at::allclose(got, all.select(0, 1), 1e-12, 1e-12));
    }
    Operands none = operands;
    none.input = map(operands.input, [](const at::Tensor& x) { return x.narrow(0, 0, 0); });
    const OctTensor empty = run(layer, none);
    for (const auto& [got, all] :
         {std::pair{empty.high, whole.high}, std::pair{empty.low, whole.low}}) {
      if (!all.defined()) continue;
      std::vector<std::int64_t> expected = all.sizes().vec();
      expected[0] = 0;
      EXPECT_EQ(got.sizes().vec(), expected);
    }
  }
}

// --- the transposed operator ---

struct TransposedLayer {
  ConvTransposeOptions options;
  Shape extents;
  BiasRule rule = BiasRule::kOnce;
};

TransposedLayer random_transposed(Random& random) {
  for (;;) {
    TransposedLayer layer;
    ConvTransposeOptions& o = layer.options;
    const std::size_t rank = 1 + random.below(3);
    const bool anisotropic = rank > 1 && random.below(4) == 0;
    o.groups = pick<std::int64_t>(random, {1, 1, 2});
    o.in = random_split(random, o.groups);
    o.out = random_split(random, o.groups);
    if (random.below(6) == 0) {
      o.out = o.in;
      o.groups = o.in.total();
    }
    const std::int64_t stride = pick<std::int64_t>(random, {1, 2, 2});
    for (std::size_t axis = 0; axis < rank; ++axis) {
      o.kernel.push_back(pick<std::int64_t>(random, {1, 2, 3, 4, 5}));
      o.dilation.push_back(pick<std::int64_t>(random, {1, 1, 2}));
      o.padding.push_back(static_cast<std::int64_t>(random.below(3)));
      o.output_padding.push_back(static_cast<std::int64_t>(random.below(2)));
      o.stride.push_back(stride);
      o.octave.push_back(anisotropic && axis == 0 ? 1 : 2);
      layer.extents.push_back(static_cast<std::int64_t>(1 + random.below(rank == 3 ? 4 : 7)));
    }
    o.exchange = pick(random, {Exchange::kBoth, Exchange::kBoth, Exchange::kHighToLow,
                               Exchange::kLowToHigh, Exchange::kNone});
    o.low_to_high = pick(random, {LowToHigh::kConvThenUpsample, LowToHigh::kUpsampleThenConv});
    o.downsample = pick(random, {Downsample::kAverage, Downsample::kMax});
    o.upsample = pick(random, {Upsample::kNearest, Upsample::kBilinear});
    layer.rule = pick(random, {BiasRule::kOnce, BiasRule::kPerPath});
    try {
      check(o);
      static_cast<void>(output_extents(o, layer.extents));
      return layer;
    } catch (const Error&) {
      // Not a layer: draw again.
    }
  }
}

Operands random_operands(Random& random, const TransposedLayer& layer) {
  const ConvTransposeOptions& o = layer.options;
  Operands operands;
  if (o.in.high > 0)
    operands.input.high = random_tensor(random, sizes({kBatch, o.in.high}, layer.extents));
  if (o.in.low > 0) {
    operands.input.low =
        random_tensor(random, sizes({kBatch, o.in.low}, low_extents(layer.extents, o.octave)));
  }
  operands.input.extents = layer.extents;
  operands.weight =
      random_tensor(random, sizes({o.in.total(), o.out.total() / o.groups}, o.kernel));
  operands.bias = random_tensor(random, {o.out.total()});
  return operands;
}

TEST(TransposedOperator, EqualsPlainLoopsAndDifferences) {
  Random random(17);
  for (int draw = 0; draw < 200; ++draw) {
    const TransposedLayer layer = random_transposed(random);
    const ConvTransposeOptions& o = layer.options;
    SCOPED_TRACE("draw " + std::to_string(draw) + " kernel " + o.kernel.to_string() + " stride " +
                 o.stride.to_string() + " padding " + o.padding.to_string() + " extents " +
                 layer.extents.to_string());
    Operands operands = random_operands(random, layer);
    const auto run = [&] {
      return oct_conv_transpose(operands.input, operands.weight, operands.bias, o, layer.rule);
    };
    const OctTensor y = run();
    const reference::TransposedLayer plain{.in_high = o.in.high,
                                           .in_low = o.in.low,
                                           .out_high = o.out.high,
                                           .out_low = o.out.low,
                                           .kernel = axes(o.kernel, 1),
                                           .stride = axes(o.stride, 1),
                                           .dilation = axes(o.dilation, 1),
                                           .padding = axes(o.padding, 0),
                                           .output_padding = axes(o.output_padding, 0),
                                           .octave = axes(o.octave, 1),
                                           .groups = o.groups,
                                           .exchange = o.exchange,
                                           .low_to_high = o.low_to_high,
                                           .downsample = o.downsample,
                                           .upsample = o.upsample,
                                           .bias_rule = layer.rule};
    const reference::Pair expected = reference::octave_conv_transpose(
        {map_of(operands.input.high), map_of(operands.input.low)}, axes(layer.extents, 1),
        map_of(operands.weight), numbers(operands.bias), plain);
    const auto terms = static_cast<double>((o.in.total() + 1) * o.kernel.elements() + 2);
    const double bound = 4 * terms * terms * std::numeric_limits<double>::epsilon();
    expect_equal(y.high, expected.high, bound);
    expect_equal(y.low, expected.low, bound);
    if (HasFatalFailure()) return;

    const OctTensor factors = random_like(random, y);
    std::vector<at::Tensor> inputs;
    for (at::Tensor* tensor : operands.all()) inputs.push_back(tensor->requires_grad_());
    const auto gradients = torch::autograd::grad({weighted_sum(run(), factors)}, inputs, {}, false,
                                                 false, /*allow_unused=*/true);
    double outputs = 0;
    for (const at::Tensor& x : {y.high, y.low})
      outputs += x.defined() ? static_cast<double>(x.numel()) : 0.0;
    const double slack = 1e3 * outputs * terms * 4 * std::numeric_limits<double>::epsilon() + 1e-12;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const std::vector<double> gradient =
          gradients[i].defined() ? numbers(gradients[i].contiguous()) : std::vector<double>();
      for (int sample = 0; sample < 3; ++sample) {
        const auto element =
            static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(inputs[i].numel())));
        const double wanted = difference(
            inputs[i], element, [&] { return weighted_sum(run(), factors).item<double>(); });
        ASSERT_NEAR(gradient.empty() ? 0.0 : gradient[static_cast<std::size_t>(element)], wanted,
                    slack);
      }
    }
  }
}

}  // namespace
}  // namespace octconv::nn
