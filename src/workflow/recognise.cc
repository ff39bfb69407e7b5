// SPDX-License-Identifier: Apache-2.0
#include "workflow/recognise.h"

#include <algorithm>
#include <utility>
#include <variant>

namespace octconv::workflow {
namespace {

Shape extents_of(const Tensor& image) {
  Shape extents;
  for (std::size_t axis = 2; axis < image.shape().rank(); ++axis)
    extents.push_back(image.shape()[axis]);
  return extents;
}

// Does every input have the extents that the graph says, with `first` for those of the first?
bool as_told(const Graph& graph, std::span<const Tensor> inputs, const Shape& first) {
  if (inputs.size() != graph.inputs().size() || first.rank() != graph.rank() ||
      std::any_of(first.begin(), first.end(), [](auto extent) { return extent < 1; }))
    return false;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Shape& own = std::get<Input>(graph.node(graph.inputs()[i]).op).extents;
    if (extents_of(inputs[i]) != (own.empty() ? first : own)) return false;
  }
  return true;
}

}  // namespace

Raised recognise(Model model, const Shape& extents) {
  const auto& nodes = model.graph.nodes();
  if (std::any_of(nodes.begin(), nodes.end(),
                  [](const Node& node) { return node.channels.octave(); }))
    return {.model = std::move(model), .octave_convs = 0};
  model.graph.set_default_extents(extents);
  return raise(std::move(model));
}

Raised recognise_for(Model model, std::span<const Tensor> inputs) {
  const Shape first = inputs.empty() ? Shape() : extents_of(inputs[0]);
  if (!as_told(model.graph, inputs, first)) return {.model = std::move(model), .octave_convs = 0};
  return recognise(std::move(model), first);
}

std::vector<std::string> octave_conv_names(const Graph& graph) {
  std::vector<std::string> names;
  for (const Node& node : graph.nodes()) {
    if (!std::holds_alternative<Conv>(node.op)) continue;
    if (node.channels.octave() || graph.node(node.inputs[0]).channels.octave())
      names.push_back(node.name);
  }
  return names;
}

}  // namespace octconv::workflow
