// SPDX-License-Identifier: Apache-2.0
#include "octconv/graph/cost.h"

#include "octconv/graph/model.h"

namespace octconv {

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
      if (parameter.trained()) cost.params += parameter.shape.elements();
    }
    if (std::holds_alternative<Conv>(node.op)) {
      const ConvOptions conv = graph.conv_options(id);
      const Shape& in = shapes[static_cast<std::size_t>(node.inputs[0])].high;
      for (const ConvPath& path : conv_paths(conv)) {
        cost.paths.push_back({path.name(), path_macs(conv, path, in)});
      }
      // Blocks of the weight that no path reads do not count.
      cost.params -= parameters(graph, id)[0].shape.elements() - weight_elements(conv);
    } else if (const auto* linear = std::get_if<Linear>(&node.op)) {
      cost.paths.push_back(
          {"linear", linear->out_channels * graph.node(node.inputs[0]).channels.total()});
    } else if (std::holds_alternative<Attention>(node.op)) {
      // Every position's dot product with every key, and its sum over every value.
      const auto in = [&](std::size_t input) -> const ValueShape& {
        return shapes[static_cast<std::size_t>(node.inputs[input])];
      };
      cost.paths.push_back({"attention", in(0).high.elements() * in(1).high.elements() *
                                             (in(0).channels.high + in(2).channels.high)});
    }
    for (const PathCost& path : cost.paths) cost.macs += path.macs;

    total.macs += cost.macs;
    total.params += cost.params;
    if (!std::holds_alternative<Input>(node.op)) {
      total.activation_elements += cost.high_elements + cost.low_elements;
    }
    total.nodes.push_back(std::move(cost));
  }
  return total;
}

}  // namespace octconv
