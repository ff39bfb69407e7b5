// SPDX-License-Identifier: Apache-2.0
// Operations on each element, with constants and with other values.
#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "octconv/base/error.h"
#include "onnx/reader.h"

namespace octconv::onnx {
namespace {

// Numbers that exporters write in decimals, or divide and multiply in float.
bool is_about(double value, double wanted) {
  return std::abs(value - wanted) <= 4e-6 * std::abs(wanted);
}

constexpr double kOpen = std::numeric_limits<float>::max();

}  // namespace

void Reader::take_batch_norm(const NodeProto& node, Attributes& attributes) {
  const NodeId x = map_input(node, 0);
  const double epsilon = attributes.number("epsilon", 1e-5);
  const double momentum = attributes.number("momentum", 0.9);
  if (attributes.integer("training_mode", 0) != 0) refuse("it is in training mode");
  if (attributes.integer("spatial", 1) != 1) refuse("it has statistics per pixel");
  attributes.check_all_read();
  if (outputs_read(node) > 1) refuse("its statistics are asked for");
  const Shape shape{channels(x)};
  const std::string name = unique(name_by(node, 1));
  // ONNX's momentum is the weight of the old statistics.
  const NodeId id =
      add(name, BatchNorm{.epsilon = epsilon, .momentum = std::clamp(1 - momentum, 0.0, 1.0)}, {x});
  int index = 1;
  for (const char* what : {"weight", "bias", "running_mean", "running_var"})
    keep(name, what, parameter(node, index++, shape));
  result(node, {.node = id});
}

// ---- Functions of one element, in whatever axes it is

void Reader::take_activation(const NodeProto& node, const Activation& activation) {
  Value x = settled_input(node, 0);
  x.node = add(node, activation, {x.node});
  result(node, x);
}

void Reader::take_relu(const NodeProto& node, Attributes& attributes) {
  attributes.check_all_read();
  take_activation(node, {ActivationKind::kRelu});
}

void Reader::take_sigmoid(const NodeProto& node, Attributes& attributes) {
  attributes.check_all_read();
  take_activation(node, {ActivationKind::kSigmoid});
}

void Reader::take_leaky_relu(const NodeProto& node, Attributes& attributes) {
  const double slope = attributes.number("alpha", 0.01);
  attributes.check_all_read();
  take_activation(node, {ActivationKind::kLeakyRelu, static_cast<float>(slope)});
}

// One slope for all channels is a leaky relu; one for each: relu(x) - slope * relu(-x).
void Reader::take_p_relu(const NodeProto& node, Attributes& attributes) {
  attributes.check_all_read();
  const Value x = settled_input(node, 0);
  std::vector<float> slope = per_channel(constant_input(node, 1), x);
  if (slope.size() == 1) {
    take_activation(node, {ActivationKind::kLeakyRelu, slope[0]});
    return;
  }
  if (!spatial(x.node)) refuse("it has slopes for the channels of a value without extents");
  const Shape none = Shape::filled(graph_.rank(), 0);
  const std::string name = unique(name_by(node, node.input_size()));
  const auto part = [&](const char* what) { return unique(name + "." + what); };
  allowance_.take(2 * channels(x.node));
  const NodeId turned = add_depthwise(part("turned"), x.node,
                                      std::vector<float>(slope.size(), -1.0F), {}, none, none);
  const NodeId below = add(part("below"), Activation{ActivationKind::kRelu}, {turned});
  for (float& value : slope) value = -value;
  const NodeId scaled = add_depthwise(part("slope"), below, std::move(slope), {}, none, none);
  const NodeId above = add(part("above"), Activation{ActivationKind::kRelu}, {x.node});
  Value sum = x;
  sum.node = add(name, Add{}, {above, scaled});
  result(node, sum);
}

void Reader::take_hard_sigmoid(const NodeProto& node, Attributes& attributes) {
  const double slope = attributes.number("alpha", 0.2);
  const double offset = attributes.number("beta", 0.5);
  attributes.check_all_read();
  take_activation(
      node, {ActivationKind::kHardSigmoid, static_cast<float>(slope), static_cast<float>(offset)});
}

void Reader::take_hard_swish(const NodeProto& node, Attributes& attributes) {
  attributes.check_all_read();
  take_activation(node, {ActivationKind::kHardSwish});
}

// Bounds as attributes to opset 10, as inputs since. Of scale * x + shift, between two bounds:
// (most - least) * hard_sigmoid(x) + least.
void Reader::take_clip(const NodeProto& node, Attributes& attributes) {
  double least = attributes.number("min", -kOpen);
  double most = attributes.number("max", kOpen);
  attributes.check_all_read();
  const auto scalar = [&](int index) {
    const std::vector<float>& numbers = numbers_input(node, index);
    if (numbers.size() != 1) refuse("a bound is not one number");
    return static_cast<double>(numbers[0]);
  };
  if (has_input(node, 1)) least = scalar(1);
  if (has_input(node, 2)) most = scalar(2);
  const bool open_below = least <= -kOpen;
  const bool open_above = most >= kOpen;
  Value x = input(node, 0);
  if (open_below && open_above) {
    result(node, x);
    return;
  }
  if (least == 0 && (most == 6 || open_above) && (x.scale == 1 && x.shift == 0)) {
    take_activation(node, {open_above ? ActivationKind::kRelu : ActivationKind::kRelu6});
    return;
  }
  if (open_below || open_above || !(most > least))
    refuse("it clips to [" + std::to_string(least) + ", " + std::to_string(most) + "]");
  if (!x.pad_begin.empty()) x = settle(node, x);
  if (x.node < 0) refuse("it reads a constant where a value should be");
  const double range = most - least;
  const Activation hard{ActivationKind::kHardSigmoid, static_cast<float>(x.scale / range),
                        static_cast<float>((x.shift - least) / range)};
  x.node = add(node, hard, {x.node});
  x.scale = range;
  x.shift = least;
  result(node, x);
}

// Over channels: of a map the second axis, which opsets below 13 could not say.
void Reader::take_softmax(const NodeProto& node, Attributes& attributes) {
  if (take_attention_softmax(node, attributes)) return;
  Value x = settled_input(node, 0);
  const auto dims = static_cast<std::int64_t>(tail(x).size()) + 1;
  std::int64_t axis = attributes.integer("axis", opset_ < 13 ? 1 : -1);
  attributes.check_all_read();
  if (axis < 0) axis += dims;
  const bool vector = !spatial(x.node) && x.form == Form::kPlain;
  const bool map = spatial(x.node) &&
                   (x.form == Form::kLast ? axis == dims - 1 : x.form == Form::kPlain && axis == 1);
  if (!(vector && axis == 1) && !(map && opset_ >= 13)) refuse("it is no softmax over channels");
  x.node = add(node, Softmax{}, {x.node});
  result(node, x);
}

// ---- Constants

// The numbers for a value's channels: one, or one for each.
std::vector<float> Reader::per_channel(const Constant& constant, const Value& value) const {
  const std::vector<float>* numbers = constant.numbers();
  if (numbers == nullptr) refuse("its constant is not of numbers");
  if (numbers->size() == 1) return *numbers;
  // Axes count from the last; that of the channels depends on the form.
  const auto dims = static_cast<std::size_t>(tail(value).size()) + 1;
  std::size_t axis = 1;
  if (value.form == Form::kLast) axis = dims - 1;
  const bool simple =
      value.form == Form::kPlain || value.form == Form::kOnes || value.form == Form::kLast;
  const std::size_t missing = dims - std::min(dims, constant.shape.rank());
  bool fits = simple && constant.shape.rank() <= dims && axis >= missing;
  for (std::size_t i = missing; i < dims && fits; ++i) {
    const std::int64_t wanted = i == axis ? channels(value.node) : 1;
    fits = constant.shape[i - missing] == wanted;
  }
  if (!fits)
    refuse("its constant has shape " + constant.shape.to_string() +
           ", and one number or one for each channel can be taken");
  return *numbers;
}

// A constant that is added to a layer which has no bias yet, and that nobody else reads.
bool Reader::take_as_bias(const NodeProto& node, const Value& value,
                          const std::vector<float>& term) {
  // Of a map flattened into it, a fully connected layer is a convolution and the mean of its pixel.
  const auto& reads = graph_.node(value.node).inputs;
  const bool pixel = std::holds_alternative<GlobalPool>(graph_.node(value.node).op) &&
                     reads[0] + 1 == value.node && grid(reads[0]).elements() == 1;
  const NodeId id = pixel ? reads[0] : value.node;
  const Node& layer = graph_.node(id);
  const bool open = std::visit(Overloaded{[](const Conv& conv) { return !conv.bias; },
                                          [](const ConvTranspose& conv) { return !conv.bias; },
                                          [](const Linear& linear) { return !linear.bias; },
                                          [](const auto&) { return false; }},
                               layer.op);
  int readers = 0;
  for (const std::string& name : node.input()) {
    const auto found = values_.find(name);
    if (found != values_.end() && found->second.node == value.node) readers += readers_.at(name);
  }
  if (!open || readers != 1 || static_cast<std::size_t>(value.node) + 1 != extents_.size() ||
      value.waits())
    return false;
  allowance_.take(channels(value.node));
  Tensor bias(Shape{channels(value.node)});
  for (std::size_t c = 0; c < bias.values().size(); ++c)
    bias.values()[c] = term.size() == 1 ? term[0] : term[c];
  graph_.set_bias(id);
  keep(layer.name, "bias", std::move(bias));
  result(node, value);
  return true;
}

void Reader::scale_and_shift(const NodeProto& node, Value value, const Constant* factor,
                             const Constant* term, bool negative) {
  if (!value.pad_begin.empty()) value = settle(node, value);
  std::vector<float> scale = factor != nullptr ? per_channel(*factor, value) : std::vector{1.0F};
  std::vector<float> shift = term != nullptr ? per_channel(*term, value) : std::vector{0.0F};
  if (factor == nullptr && !negative && take_as_bias(node, value, shift)) return;
  if (scale.size() == 1 && shift.size() == 1) {
    // Waits: the numbers may be part of a known function.
    const double by = (negative ? -1.0 : 1.0) * static_cast<double>(scale[0]);
    value.scale *= by;
    value.shift = value.shift * by + static_cast<double>(shift[0]);
    if (is_about(value.scale, 1)) value.scale = 1;
    result(node, value);
    return;
  }
  value = settle(node, value);
  if (!spatial(value.node)) refuse("it scales or shifts the channels of a value without extents");
  const auto count = static_cast<std::size_t>(channels(value.node));
  allowance_.take(2 * channels(value.node));
  if (scale.size() == 1) scale.assign(count, scale[0]);
  if (negative) {
    for (float& number : scale) number = -number;
  }
  if (shift.size() == 1) {
    shift.assign(shift[0] != 0 ? count : 0, shift[0]);
  }
  const Shape none = Shape::filled(graph_.rank(), 0);
  value.node = add_depthwise(unique(name_by(node, node.input_size())), value.node, std::move(scale),
                             std::move(shift), none, none);
  result(node, value);
}

// ---- Two operands

void Reader::add_values(const NodeProto& node, Value a, Value b) {
  a = settle(node, a);
  b = settle(node, b);
  if (a.form != b.form) refuse("it adds values in different axes");
  if (grid(a.node) != grid(b.node))
    refuse("it adds extents " + grid(a.node).to_string() + " and " + grid(b.node).to_string());
  Value sum = a;
  sum.node = add(node, Add{}, {a.node, b.node});
  result(node, sum);
}

void Reader::take_add(const NodeProto& node, Attributes& attributes) {
  attributes.check_all_read();
  const Value a = input(node, 0);
  const Value b = input(node, 1);
  if (a.constant != nullptr) {
    scale_and_shift(node, b, nullptr, a.constant, false);
  } else if (b.constant != nullptr) {
    scale_and_shift(node, a, nullptr, b.constant, false);
  } else {
    add_values(node, a, b);
  }
}

void Reader::take_sub(const NodeProto& node, Attributes& attributes) {
  attributes.check_all_read();
  const Value a = input(node, 0);
  Value b = input(node, 1);
  if (a.constant != nullptr) {
    scale_and_shift(node, b, nullptr, a.constant, true);
    return;
  }
  if (b.constant != nullptr) {
    Constant term = *b.constant;
    if (auto* numbers = std::get_if<std::vector<float>>(&term.values)) {
      for (float& number : *numbers) number = -number;
    }
    scale_and_shift(node, a, nullptr, &term, false);
    return;
  }
  if (!b.pad_begin.empty()) b = settle(node, b);
  b.scale = -b.scale;
  b.shift = -b.shift;
  add_values(node, a, b);
}

void Reader::take_neg(const NodeProto& node, Attributes& attributes) {
  attributes.check_all_read();
  scale_and_shift(node, input(node, 0), nullptr, nullptr, true);
}

void Reader::take_div(const NodeProto& node, Attributes& attributes) {
  attributes.check_all_read();
  const Value a = input(node, 0);
  Constant factor = constant_input(node, 1);
  auto* numbers = std::get_if<std::vector<float>>(&factor.values);
  if (numbers == nullptr) refuse("its divisor is not of numbers");
  for (float& number : *numbers) {
    if (number == 0) refuse("it divides by 0");
    number = 1 / number;
  }
  scale_and_shift(node, a, &factor, nullptr, false);
}

// x * sigmoid(x) and x * hard_sigmoid(x), however they are spelled.
bool Reader::take_self_gated(const NodeProto& node, const Value& value, const Value& gate) {
  const auto* function = std::get_if<Activation>(&graph_.node(gate.node).op);
  if (function == nullptr || graph_.node(gate.node).inputs[0] != value.node || value.waits() ||
      value.form != gate.form || gate.shift != 0 || !gate.pad_begin.empty())
    return false;
  Activation whole{ActivationKind::kSilu};
  if (function->kind == ActivationKind::kHardSigmoid) {
    if (!is_about(static_cast<double>(function->slope), 1.0 / 6) ||
        !is_about(static_cast<double>(function->offset), 0.5))
      return false;
    whole.kind = ActivationKind::kHardSwish;
  } else if (function->kind != ActivationKind::kSigmoid) {
    return false;
  }
  Value product = value;
  product.node = add(node, whole, {value.node});
  product.scale = gate.scale;
  result(node, product);
  return true;
}

// With a constant, with itself, a gate of one number for each channel, or another value.
void Reader::take_mul(const NodeProto& node, Attributes& attributes) {
  attributes.check_all_read();
  if (take_attention_factor(node)) return;
  Value a = input(node, 0);
  Value b = input(node, 1);
  if (a.constant != nullptr) {
    scale_and_shift(node, b, a.constant, nullptr, false);
    return;
  }
  if (b.constant != nullptr) {
    scale_and_shift(node, a, b.constant, nullptr, false);
    return;
  }
  if (take_self_gated(node, a, b) || take_self_gated(node, b, a)) return;
  a = settle(node, a);
  b = settle(node, b);
  if (!spatial(a.node)) std::swap(a, b);
  const bool by_channel = spatial(a.node) && !spatial(b.node) &&
                          ((a.form == Form::kPlain && b.form == Form::kOnes) ||
                           (a.form == Form::kLast && b.form == Form::kLast));
  Value product = a;
  if (by_channel) {
    product.node = add(node, Scale{}, {a.node, b.node});
  } else {
    if (a.form != b.form || spatial(a.node) != spatial(b.node) ||
        channels(a.node) != channels(b.node) || grid(a.node) != grid(b.node))
      refuse("it multiplies neither alike values nor a map and a gate of one number per channel");
    product.node = add(node, Multiply{}, {a.node, b.node});
  }
  result(node, product);
}

}  // namespace octconv::onnx
