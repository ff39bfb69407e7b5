// SPDX-License-Identifier: Apache-2.0
#include "octconv/graph/stages.h"

#include <algorithm>
#include <variant>
#include <vector>

namespace octconv {
namespace {

constexpr std::int64_t kCoarse = 32;

enum Stage { kOctave, kOrdinary };

// How much coarser each value's grid is than the input's, up to kCoarse.
std::vector<std::int64_t> total_strides(const Graph& graph) {
  std::vector<std::int64_t> total(graph.nodes().size(), 1);
  for (std::size_t i = 0; i < total.size(); ++i) {
    const Node& node = graph.nodes()[i];
    for (const NodeId input : node.inputs)
      total[i] = std::max(total[i], total[static_cast<std::size_t>(input)]);
    const auto step = [&](const Shape& stride) {
      const std::int64_t largest = *std::max_element(stride.begin(), stride.end());
      total[i] = largest < kCoarse ? std::min(total[i] * largest, kCoarse) : kCoarse;
    };
    if (const auto* conv = std::get_if<Conv>(&node.op)) step(conv->stride);
    if (const auto* pool = std::get_if<Pool>(&node.op)) step(pool->stride);
    const auto step_back = [&](const Shape& factor) {
      const std::int64_t largest = *std::max_element(factor.begin(), factor.end());
      total[i] = std::max<std::int64_t>(1, total[i] / largest);
    };
    if (const auto* resize = std::get_if<Resize>(&node.op)) step_back(resize->factor);
    if (const auto* conv = std::get_if<ConvTranspose>(&node.op)) step_back(conv->stride);
  }
  return total;
}

bool reads_an_input(const Graph& graph, const Node& conv) {
  return std::holds_alternative<Input>(graph.node(conv.inputs[0]).op);
}

// By convolution: is its result, through whatever keeps the split of a value, part of a sum?
std::vector<bool> parts_of_sums(const Graph& graph) {
  const std::size_t count = graph.nodes().size();
  std::vector<NodeId> maker(count, -1);  // the first convolution among those that made a value
  std::vector<bool> summed(count, false);
  for (std::size_t i = 0; i < count; ++i) {
    const Node& node = graph.nodes()[i];
    if (std::holds_alternative<Conv>(node.op)) {
      maker[i] = static_cast<NodeId>(i);
    } else if (!node.inputs.empty() && !std::holds_alternative<Concat>(node.op)) {
      maker[i] = maker[static_cast<std::size_t>(node.inputs[0])];
    }
    if (!std::holds_alternative<Add>(node.op)) continue;
    for (const NodeId input : node.inputs) {
      const NodeId part = maker[static_cast<std::size_t>(input)];
      if (part < 0) continue;
      summed[static_cast<std::size_t>(part)] = true;
      if (maker[i] < 0 || part < maker[i]) maker[i] = part;
    }
  }
  return summed;
}

}  // namespace

void set_stages_by_stride(Graph& graph) {
  const std::vector<std::int64_t> total = total_strides(graph);
  const std::vector<bool> summed = parts_of_sums(graph);
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    if (!std::holds_alternative<Conv>(node.op)) continue;
    int stage = total[i] < kCoarse ? kOctave : kOrdinary;
    if (reads_an_input(graph, node) && !summed[i]) stage = Node::kNoStage;
    graph.set_stage(static_cast<NodeId>(i), stage);
  }
  graph.set_policy({.stride_mode = StrideMode::kStrided, .octave_stages = {true, false}});
}

}  // namespace octconv
