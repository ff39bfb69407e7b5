// SPDX-License-Identifier: Apache-2.0
#include "octconv/graph/cost.h"

#include <algorithm>

#include "base/checked.h"
#include "graph/authors_flops.h"
#include "octconv/graph/model.h"

namespace octconv {
namespace {

void add_to(std::int64_t& sum, std::int64_t term) {
  sum = checked_sum(sum, term);
}

std::int64_t elements(const NodeCost& cost) {
  return checked_sum(cost.high_elements, cost.low_elements);
}

// A value is freed after the node that reads it last; outputs stay.
std::int64_t peak_live_elements(const Graph& graph, const std::vector<NodeCost>& nodes) {
  std::vector<std::size_t> last_read(nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    last_read[i] = i;
    for (const NodeId input : graph.nodes()[i].inputs)
      last_read[static_cast<std::size_t>(input)] = i;
  }
  for (const NodeId output : graph.outputs()) {
    last_read[static_cast<std::size_t>(output)] = nodes.size();
  }
  std::vector<std::int64_t> freed(nodes.size() + 1);
  std::int64_t live = 0;
  std::int64_t peak = 0;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    add_to(live, elements(nodes[i]));
    freed[last_read[i]] += elements(nodes[i]);
    peak = std::max(peak, live);
    live -= freed[i];
  }
  return peak;
}

}  // namespace

Cost cost(const Graph& graph, const Shape& extents) {
  const std::vector<ValueShape> shapes = infer_shapes(graph, 1, extents);
  Cost total;
  total.nodes.reserve(shapes.size());
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const auto id = static_cast<NodeId>(i);
    const Node& node = graph.node(id);
    NodeCost cost{.node = id,
                  .high_elements = shapes[i].high_elements(),
                  .low_elements = shapes[i].low_elements()};
    for (const Parameter& parameter : parameters(graph, id)) {
      if (parameter.trained()) add_to(cost.params, parameter.shape.elements());
    }
    if (std::holds_alternative<Conv>(node.op)) {
      const ConvOptions conv = graph.conv_options(id);
      ++total.convs;
      if (conv.octave_valued()) ++total.octave_convs;
      const Shape& in = shapes[static_cast<std::size_t>(node.inputs[0])].high;
      for (const ConvPath& path : conv_paths(conv)) {
        cost.paths.push_back({path.name(), path_macs(conv, path, in)});
      }
      // Blocks of the weight that no path reads do not count.
      cost.params -= parameters(graph, id)[0].shape.elements() - weight_elements(conv);
    } else if (const auto* linear = std::get_if<Linear>(&node.op)) {
      cost.paths.push_back(
          {"linear",
           checked_product(linear->out_channels, graph.node(node.inputs[0]).channels.total())});
    } else if (const auto* conv = std::get_if<ConvTranspose>(&node.op)) {
      // Every input pixel meets every tap.
      const std::int64_t taps =
          checked_product(conv->kernel.elements(), conv->out_channels / conv->groups);
      cost.paths.push_back(
          {"conv_transpose",
           checked_product(taps,
                           shapes[static_cast<std::size_t>(node.inputs[0])].high_elements())});
    } else if (std::holds_alternative<Attention>(node.op)) {
      // Every position's dot product with every key, and its sum over every value.
      const auto in = [&](std::size_t input) -> const ValueShape& {
        return shapes[static_cast<std::size_t>(node.inputs[input])];
      };
      const std::int64_t products = checked_product(in(0).high.elements(), in(1).high.elements());
      cost.paths.push_back(
          {"attention", checked_product(products, in(0).channels.high + in(2).channels.high)});
    }
    for (const PathCost& path : cost.paths) add_to(cost.macs, path.macs);
    cost.authors_flops = authors_flops(graph, id, shapes, cost.macs);

    add_to(total.macs, cost.macs);
    add_to(total.authors_flops, cost.authors_flops);
    add_to(total.params, cost.params);
    if (!std::holds_alternative<Input>(node.op)) {
      add_to(total.activation_elements, elements(cost));
    }
    total.nodes.push_back(std::move(cost));
  }
  total.peak_live_elements = peak_live_elements(graph, total.nodes);
  return total;
}

}  // namespace octconv
