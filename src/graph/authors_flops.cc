// SPDX-License-Identifier: Apache-2.0
#include "graph/authors_flops.h"

#include <algorithm>
#include <utility>

#include "base/checked.h"

namespace octconv {
namespace {

std::int64_t elements(const ValueShape& shape) {
  return checked_sum(shape.high_elements(), shape.low_elements());
}

// The pools of all paths; paths that pool the same input alike share the result.
std::int64_t path_pools(const ConvOptions& conv, const ValueShape& in) {
  std::vector<std::pair<Frequency, std::vector<PathPool>>> made;
  std::int64_t flops = 0;
  for (const ConvPath& path : conv_paths(conv)) {
    const bool high = path.src == Frequency::kHigh;
    const std::int64_t channels = high ? in.channels.high : in.channels.low;
    Shape grid = high ? in.high : in.low;
    for (auto end = path.pools.begin(); end != path.pools.end();) {
      const Shape& window = end->window;
      grid = low_extents(grid, window);
      ++end;
      std::pair<Frequency, std::vector<PathPool>> pools{path.src, {path.pools.begin(), end}};
      if (std::find(made.begin(), made.end(), pools) != made.end()) continue;
      made.push_back(std::move(pools));
      const std::int64_t outputs = checked_product(channels, grid.elements());
      flops = checked_sum(flops, checked_product(outputs, window.elements()));
    }
  }
  return flops;
}

}  // namespace

std::int64_t authors_flops(const Graph& graph, NodeId id, const std::vector<ValueShape>& shapes,
                           std::int64_t macs) {
  const Node& node = graph.node(id);
  const ValueShape& out = shapes[static_cast<std::size_t>(id)];
  const auto in = [&]() -> const ValueShape& {
    return shapes[static_cast<std::size_t>(node.inputs[0])];
  };
  const bool gluon = graph.policy().counting == CountingRule::kGluon;
  return std::visit(
      Overloaded{
          [](const Input&) -> std::int64_t { return 0; },
          [&](const Conv& conv) {
            const std::int64_t sums = checked_sum(macs, conv.bias ? elements(out) : 0);
            return checked_sum(sums, path_pools(graph.conv_options(id), in()));
          },
          [&](const ConvTranspose& conv) {
            return checked_sum(macs, conv.bias ? elements(out) : 0);
          },
          [](const BatchNorm&) -> std::int64_t { return 0; },
          [&](const Activation& activation) -> std::int64_t {
            if (activation.kind != ActivationKind::kRelu) return 0;
            return gluon && node.stage != Node::kNoStage ? 0 : elements(out);
          },
          [](const Add&) -> std::int64_t { return 0; },
          [](const Multiply&) -> std::int64_t { return 0; },
          [](const Concat&) -> std::int64_t { return 0; },
          [](const Select&) -> std::int64_t { return 0; },
          [](const Scale&) -> std::int64_t { return 0; }, [&](const Attention&) { return macs; },
          [](const Softmax&) -> std::int64_t { return 0; },
          [](const Resize&) -> std::int64_t { return 0; },
          [&](const Pool& pool) { return checked_product(elements(out), pool.kernel.elements()); },
          [&](const GlobalPool&) {
            return gluon && node.stage != Node::kNoStage ? 0 : elements(in());
          },
          [&](const Linear& linear) { return checked_sum(macs, linear.bias ? elements(out) : 0); }},
      node.op);
}

}  // namespace octconv
