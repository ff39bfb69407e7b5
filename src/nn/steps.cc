// SPDX-License-Identifier: Apache-2.0
#include "nn/steps.h"

#include <algorithm>
#include <set>
#include <variant>

#include "nn/oct_conv_of.h"
#include "nn/planned_conv.h"

namespace octconv::nn {
namespace {

constexpr NodeId kNone = Step::kNone;

std::size_t index(NodeId id) {
  return static_cast<std::size_t>(id);
}

template <class Kind>
bool is(const Graph& graph, NodeId id) {
  return std::holds_alternative<Kind>(graph.node(id).op);
}

// Makes the node, with the batch norm in front of it if nobody else reads that one.
Step step_for(const Graph& graph, NodeId id, const std::vector<int>& readers) {
  const auto absorbable = [&](NodeId input) { return readers[index(input)] == 1; };
  const Step alone{.node = id, .reads = graph.node(id).inputs};
  Step step = alone;
  NodeId at = id;
  if (const auto* activation = std::get_if<Activation>(&graph.node(id).op)) {
    const NodeId input = graph.node(id).inputs[0];
    if (activation->kind != ActivationKind::kRelu || !absorbable(input)) return alone;
    step.rectified = true;
    at = input;
  }
  if (is<Add>(graph, at)) {
    const std::vector<NodeId>& operands = graph.node(at).inputs;
    for (std::size_t i = 0; i < 2 && step.residual == kNone; ++i) {
      if (is<BatchNorm>(graph, operands[i]) && absorbable(operands[i])) {
        step.residual = operands[1 - i];
        at = operands[i];
      }
    }
  }
  if (!is<BatchNorm>(graph, at)) return alone;
  step.norm = at;
  step.reads = graph.node(at).inputs;
  if (step.residual != kNone) step.reads.push_back(step.residual);
  return step;
}

void find_last_uses(const Graph& graph, std::vector<Step>& steps) {
  std::vector<bool> read_later(graph.nodes().size());
  read_later[index(graph.outputs()[0])] = true;
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    for (const NodeId read : step->reads) {
      if (!read_later[index(read)]) step->dead_after.push_back(read);
      read_later[index(read)] = true;
    }
  }
}

// Whether a value is made of another.
bool follows(const Graph& graph, NodeId value, NodeId from) {
  std::vector<bool> made(graph.nodes().size());
  made[index(from)] = true;
  for (std::size_t i = index(from); i < made.size(); ++i) {
    const std::vector<NodeId>& inputs = graph.nodes()[i].inputs;
    const bool reads =
        std::any_of(inputs.begin(), inputs.end(), [&](NodeId input) { return made[index(input)]; });
    if (reads) made[i] = true;
  }
  return made[index(value)];
}

// Whether the value that a batch norm adds has one other reader, a convolution that it follows
// from.
bool hands_gradient(const Graph& graph, const std::vector<Step>& steps, const Step& step) {
  const NodeId value = step.residual;
  if (value == kNone || value == graph.outputs()[0]) return false;
  std::vector<NodeId> readers;
  for (const Step& other : steps) {
    const auto times = std::count(other.reads.begin(), other.reads.end(), value);
    readers.insert(readers.end(), static_cast<std::size_t>(times), other.node);
  }
  return readers.size() == 2 && is<Conv>(graph, readers[0]) &&
         takes_other_gradient(graph.conv_options(readers[0])) &&
         follows(graph, step.reads[0], readers[0]);
}

bool is_convolution(const Graph& graph, const Step& step) {
  return is<Conv>(graph, step.node) || is<ConvTranspose>(graph, step.node);
}

int convolutions(const Graph& graph, const std::vector<Step>& steps, const Part& part) {
  return static_cast<int>(
      std::count_if(steps.begin() + static_cast<std::ptrdiff_t>(part.begin),
                    steps.begin() + static_cast<std::ptrdiff_t>(part.end),
                    [&](const Step& step) { return is_convolution(graph, step); }));
}

// The steps between all places that one value passes and no other.
std::vector<Part> smallest_parts(const Graph& graph, const std::vector<Step>& steps) {
  std::vector<Part> parts;
  Part part{.reads = graph.inputs()[0]};
  std::set<NodeId> alive{part.reads};
  for (std::size_t i = 0; i < steps.size(); ++i) {
    alive.insert(steps[i].node);
    for (const NodeId dead : steps[i].dead_after) alive.erase(dead);
    if (alive.size() > 1) continue;
    part.end = i + 1;
    part.makes = steps[i].node;
    parts.push_back(part);
    part = {.begin = part.end, .reads = part.makes};
  }
  return parts;
}

}  // namespace

std::vector<Step> plan_steps(const Graph& graph) {
  const std::size_t count = graph.nodes().size();
  std::vector<int> readers(count);
  for (const Node& node : graph.nodes()) {
    for (const NodeId input : node.inputs) ++readers[index(input)];
  }
  ++readers[index(graph.outputs()[0])];
  // From the end: a node is made by a step of its own if a later step reads it.
  std::vector<bool> wanted(count);
  wanted[index(graph.outputs()[0])] = true;
  std::vector<Step> steps;
  for (std::size_t i = count; i-- > 0;) {
    const auto id = static_cast<NodeId>(i);
    if (!wanted[i] || is<Input>(graph, id)) continue;
    steps.push_back(step_for(graph, id, readers));
    for (const NodeId read : steps.back().reads) wanted[index(read)] = true;
  }
  std::reverse(steps.begin(), steps.end());
  find_last_uses(graph, steps);
  return steps;
}

std::vector<Handed> plan_handed(const Graph& graph, const std::vector<Step>& steps) {
  std::vector<Handed> all(graph.nodes().size());
  for (const Step& step : steps) {
    if (is<Conv>(graph, step.node)) {
      const ConvOptions options = graph.conv_options(step.node);
      if (reads_averages(options)) all[index(step.reads[0])].averages = true;
      all[index(step.node)].diff_sums = reads_diff_sums(options);
    }
    if (hands_gradient(graph, steps, step)) all[index(step.residual)].other_gradient = true;
  }
  return all;
}

std::vector<Part> parts_to_repeat(const Graph& graph, const std::vector<Step>& steps) {
  constexpr int kOfAChain = 3;
  std::vector<Part> chosen;
  Part chain;
  const auto finish_chain = [&] {
    if (convolutions(graph, steps, chain) > 1) chosen.push_back(chain);
    chain = {};
  };
  for (const Part& part : smallest_parts(graph, steps)) {
    const int count = convolutions(graph, steps, part);
    if (count > 1) {
      finish_chain();
      chosen.push_back(part);
      continue;
    }
    if (count == 1 && convolutions(graph, steps, chain) == kOfAChain) finish_chain();
    if (chain.begin == chain.end) {
      if (count == 0) continue;
      chain = part;
    }
    chain.end = part.end;
    chain.makes = part.makes;
  }
  finish_chain();
  if (!chosen.empty()) chosen.pop_back();
  return chosen;
}

}  // namespace octconv::nn
