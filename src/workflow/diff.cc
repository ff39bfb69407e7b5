// SPDX-License-Identifier: Apache-2.0
#include "workflow/diff.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>
#include <utility>

#include "octconv/base/error.h"
#include "octconv/base/random.h"
#include "octconv/engine/network.h"

namespace octconv::workflow {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Differences of the elements of one value, over all of its grids.
class Gauge {
 public:
  void add(std::span<const float> first, std::span<const float> second) {
    for (std::size_t i = 0; i < first.size(); ++i) add(first[i], second[i]);
  }

  void report(ValueDiff& diff) const {
    diff.absolute = largest_;
    const double range = most_ > least_ ? most_ - least_ : std::abs(most_);
    if (largest_ > 0) diff.relative = range > 0 ? largest_ / range : kInfinity;
  }

 private:
  void add(float first, float second) {
    if (std::isfinite(first)) {
      least_ = std::min<double>(least_, first);
      most_ = std::max<double>(most_, first);
    }
    // Not apart: equal ones (infinities too), and two that are no numbers.
    if (first == second || (std::isnan(first) && std::isnan(second))) return;
    const double apart = std::abs(static_cast<double>(first) - static_cast<double>(second));
    largest_ = std::isfinite(apart) ? std::max(largest_, apart) : kInfinity;
  }

  double largest_ = 0;
  double least_ = kInfinity;
  double most_ = -kInfinity;
};

std::string show(const ChannelSplit& split) {
  return std::to_string(split.high) + " high + " + std::to_string(split.low) + " low channels";
}

std::vector<std::string> shared_names(const Graph& first, const Graph& second) {
  std::vector<std::string> names;
  for (const Node& node : first.nodes()) {
    if (second.find(node.name) >= 0) names.push_back(node.name);
  }
  return names;
}

// A shared value of the last run of both.
ValueDiff compare_values(const std::string& name, const Model& first, const Session& first_run,
                         const Model& second, const Session& second_run) {
  ValueDiff diff{.name = name};
  const ChannelSplit& split = first.graph.node(first.graph.find(name)).channels;
  const ChannelSplit& other = second.graph.node(second.graph.find(name)).channels;
  if (split != other) {
    diff.reason = show(split) + " and " + show(other);
    return diff;
  }
  Gauge gauge;
  for (const Frequency frequency : {Frequency::kHigh, Frequency::kLow}) {
    if (frequency == Frequency::kLow && !split.octave()) continue;
    const Tensor a = first_run.value(name, frequency);
    const Tensor b = second_run.value(name, frequency);
    if (a.shape() != b.shape()) {
      diff.reason = "shapes " + a.shape().to_string() + " and " + b.shape().to_string();
      return diff;
    }
    gauge.add(a.values(), b.values());
  }
  gauge.report(diff);
  return diff;
}

// The inputs in the order of the second network.
std::vector<Tensor> inputs_of(const Network& second, const Network& first,
                              std::span<const Tensor> inputs) {
  const auto index = [&](const std::string& name) {
    const auto at = std::find_if(first.inputs().begin(), first.inputs().end(),
                                 [&](const NetworkPort& port) { return port.name == name; });
    return static_cast<std::size_t>(at - first.inputs().begin());
  };
  const bool same_names = std::all_of(
      second.inputs().begin(), second.inputs().end(),
      [&](const NetworkPort& port) { return index(port.name) < first.inputs().size(); });
  std::vector<Tensor> ordered;
  for (std::size_t i = 0; i < inputs.size(); ++i)
    ordered.push_back(inputs[same_names ? index(second.inputs()[i].name) : i].clone());
  return ordered;
}

void check_ends(const Network& first, const Network& second) {
  for (const auto& [what, a, b] :
       {std::tuple{"inputs", first.inputs().size(), second.inputs().size()},
        std::tuple{"outputs", first.outputs().size(), second.outputs().size()}}) {
    if (a != b)
      throw InvalidArgument("networks with different numbers of " + std::string(what) +
                            " cannot be compared: '" + first.name() + "' has " + std::to_string(a) +
                            ", '" + second.name() + "' " + std::to_string(b));
  }
}

}  // namespace

Diff diff_models(const Model& first, const Model& second, std::span<const Tensor> inputs,
                 double tolerance) {
  if (!(tolerance >= 0))
    throw InvalidArgument("the tolerance must be at least 0, got " + std::to_string(tolerance));
  const std::vector<std::string> shared = shared_names(first.graph, second.graph);
  const Network first_network = compile(first, {.keep = shared});
  const Network second_network = compile(second, {.keep = shared});
  check_ends(first_network, second_network);
  Session first_run(first_network);
  Session second_run(second_network);
  const std::vector<Tensor> a = first_run.run(inputs);
  const std::vector<Tensor> b = second_run.run(inputs_of(second_network, first_network, inputs));

  Diff diff{.first_nodes = static_cast<std::int64_t>(first.graph.nodes().size()),
            .second_nodes = static_cast<std::int64_t>(second.graph.nodes().size()),
            .shared_nodes = static_cast<std::int64_t>(shared.size()),
            .agree = true};
  const auto within = [&](const ValueDiff& value) {
    return value.reason.empty() && value.relative <= tolerance;
  };
  for (std::size_t i = 0; i < a.size(); ++i) {
    ValueDiff output{.name = first_network.outputs()[i].name};
    if (a[i].shape() == b[i].shape()) {
      Gauge gauge;
      gauge.add(a[i].values(), b[i].values());
      gauge.report(output);
    } else {
      output.reason = "shapes " + a[i].shape().to_string() + " and " + b[i].shape().to_string();
    }
    diff.agree = diff.agree && within(output);
    diff.outputs.push_back(std::move(output));
  }
  for (const std::string& name : shared) {
    ValueDiff value = compare_values(name, first, first_run, second, second_run);
    if (!value.reason.empty()) {
      diff.incomparable.push_back(std::move(value));
    } else if (!within(value) && !diff.first_parting) {
      diff.first_parting = std::move(value);
    }
  }
  return diff;
}

std::vector<Tensor> random_inputs(const Model& model, std::uint64_t seed) {
  Random random(seed);
  const std::vector<ValueShape> shapes = infer_shapes(model.graph, 1, image_extents(model));
  std::vector<Tensor> inputs;
  for (const NodeId id : model.graph.inputs()) {
    Tensor tensor(shapes[static_cast<std::size_t>(id)].tensor_shape(Frequency::kHigh));
    for (float& value : tensor.values()) value = static_cast<float>(random.normal());
    inputs.push_back(std::move(tensor));
  }
  return inputs;
}

}  // namespace octconv::workflow
