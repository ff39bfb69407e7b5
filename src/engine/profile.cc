// SPDX-License-Identifier: Apache-2.0
#include "octconv/engine/profile.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <string_view>
#include <utility>

#include "engine/batch_parts.h"
#include "engine/execution.h"
#include "engine/inputs.h"
#include "octconv/base/error.h"
#include "octconv/base/text.h"
#include "octconv/graph/cost.h"

namespace octconv {
namespace {

using Clock = std::chrono::steady_clock;
using engine::Execution;

constexpr std::int64_t kFloatBytes = sizeof(float);

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

double nanoseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::nano>(Clock::now() - begin).count();
}

std::string text(const ChannelSplit& channels) {
  const std::string high = std::to_string(channels.high);
  return channels.octave() ? high + "+" + std::to_string(channels.low) : high;
}

// "3x3, 64 to 32+32".
std::string shape_of(const ConvOptions& conv) {
  std::vector<std::string> extents;
  for (const std::int64_t extent : conv.kernel) extents.push_back(std::to_string(extent));
  std::string shape = join(extents, "x") + ", " + text(conv.in) + " to " + text(conv.out);
  if (conv.strided()) shape += ", stride " + std::to_string(conv.stride[conv.rank() - 1]);
  if (conv.groups > 1) shape += ", " + std::to_string(conv.groups) + " groups";
  return shape;
}

std::string method_of(const OctConvWeights& weights) {
  if (weights.options().depthwise()) return "depthwise";
  std::vector<std::string> names;
  for (const ConvMethod method : weights.methods()) {
    const std::string name(to_string(method));
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return join(names, "+");
}

class Describer {
 public:
  Describer(const Network::Program& program, const Execution& execution)
      : program_(program), execution_(execution) {
    const Cost counted = cost(program.graph, execution.extents()[0]);
    for (const NodeCost& node : counted.nodes) macs_[node.node] = node.macs;
  }

  [[nodiscard]] StepProfile operator()(const engine::Step& step) const {
    StepProfile profile{.name = program_.graph.node(step.dst).name};
    std::int64_t floats = elements(step.dst);
    for (const NodeId read : engine::reads(step)) floats += elements(read);
    if (const NodeId second = engine::second_of(step); second >= 0) floats += elements(second);
    if (const auto* conv = std::get_if<engine::RunConv>(&step.kind)) {
      const ConvOptions& options = conv->weights.options();
      const bool linear = !program_.graph.node(conv->src).spatial;
      profile.kind = linear ? "linear" : options.octave_valued() ? "octave conv" : "conv";
      profile.shape = linear ? text(options.in) + " to " + text(options.out) : shape_of(options);
      profile.method = method_of(conv->weights);
      floats += conv->weights.elements();
      if (conv->feed) {
        profile.shape = shape_of(conv->feed->weights.options()) + "; " + profile.shape;
        profile.method = method_of(conv->feed->weights) + "+" + profile.method;
        floats += conv->feed->weights.elements();
      }
    } else if (const auto* cells = std::get_if<engine::RunConvTranspose>(&step.kind)) {
      profile.method = method_of(cells->weights);
      floats += cells->weights.elements();
    } else if (std::holds_alternative<engine::LoadInput>(step.kind)) {
      floats += elements(step.dst);  // the caller's tensor
    }
    const std::vector<NodeId> nodes = nodes_of(step);
    if (profile.kind.empty()) {
      profile.kind = std::string(op_name(program_.graph.node(nodes.back()).op));
      std::replace(profile.kind.begin(), profile.kind.end(), '_', ' ');
    }
    for (const NodeId node : nodes) {
      const auto found = macs_.find(node);
      if (found != macs_.end()) profile.macs += found->second * execution_.batch();
    }
    profile.bytes = floats * kFloatBytes;
    return profile;
  }

 private:
  [[nodiscard]] std::int64_t elements(NodeId id) const {
    return execution_.places(id)[0].elements() + execution_.places(id)[1].elements();
  }

  // The nodes that the step stands for, from the last to the first: below what was fused into it.
  [[nodiscard]] std::vector<NodeId> nodes_of(const engine::Step& step) const {
    const std::vector<NodeId> read = engine::reads(step);
    const auto is_read = [&](NodeId id) {
      return std::find(read.begin(), read.end(), id) != read.end();
    };
    std::vector<NodeId> nodes{step.dst};
    for (;;) {
      const std::vector<NodeId>& inputs = program_.graph.node(nodes.back()).inputs;
      // A sum may have the residual first.
      const auto next =
          std::find_if(inputs.begin(), inputs.end(), [&](NodeId input) { return !is_read(input); });
      if (next == inputs.end()) return nodes;
      nodes.push_back(*next);
    }
  }

  const Network::Program& program_;
  const Execution& execution_;
  std::map<NodeId, std::int64_t> macs_;
};

}  // namespace

std::int64_t NetworkProfile::macs() const noexcept {
  std::int64_t sum = 0;
  for (const StepProfile& step : steps) sum += step.macs;
  return sum;
}

std::int64_t NetworkProfile::bytes() const noexcept {
  std::int64_t sum = 0;
  for (const StepProfile& step : steps) sum += step.bytes;
  return sum;
}

NetworkProfile profile(const Network& network, std::span<const Tensor> inputs,
                       std::int64_t repeats) {
  if (repeats < 1)
    throw InvalidArgument("profile: repeats must be at least 1, got " + std::to_string(repeats));
  const Network::Program& program = network.program();
  engine::check_inputs(program, inputs);
  if (inputs.size() != 1) {
    throw Unsupported("network '" + program.graph.name() + "' has " +
                      std::to_string(inputs.size()) + " inputs; networks of one are profiled");
  }
  const Shape extents(std::span(inputs[0].shape().begin() + 2, program.graph.rank()));
  const engine::BatchParts parts = engine::divide_batch(program, inputs[0].shape()[0], {extents});
  Tensor arena(Shape{parts.arena_elements()});
  std::vector<Tensor> outputs;
  for (Shape shape : parts.part->output_shapes()) {
    shape[0] = parts.batch;
    outputs.emplace_back(shape);
  }
  const auto run = [&] {
    parts.for_each([&](const Execution& execution, std::int64_t image) {
      execution.run(inputs, outputs, arena.data(), image);
    });
  };

  run();
  const std::size_t steps = parts.part->steps();
  std::vector<std::vector<double>> times(steps);
  std::vector<double> runs;
  for (std::int64_t repeat = 0; repeat < repeats; ++repeat) {
    std::vector<double> sums(steps, 0.0);  // over the parts
    parts.for_each([&](const Execution& execution, std::int64_t image) {
      for (std::size_t step = 0; step < steps; ++step) {
        const Clock::time_point begin = Clock::now();
        execution.run_step(step, inputs, arena.data(), image);
        sums[step] += nanoseconds_since(begin);
      }
    });
    for (std::size_t step = 0; step < steps; ++step) times[step].push_back(sums[step]);
    const Clock::time_point begin = Clock::now();
    run();
    runs.push_back(nanoseconds_since(begin));
  }

  NetworkProfile result{.steps = {}, .run_ns = median(std::move(runs))};
  // Sizes of the whole batch: this is never run.
  const Execution whole(program, parts.batch, {extents});
  const Describer describe(program, whole);
  for (std::size_t step = 0; step < steps; ++step) {
    result.steps.push_back(describe(program.steps[step]));
    result.steps.back().median_ns = median(std::move(times[step]));
  }
  return result;
}

}  // namespace octconv
