// SPDX-License-Identifier: Apache-2.0
#include "octconv/graph/prune.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace octconv {

Model without_unread(Model model) {
  const Graph& old = model.graph;
  const auto index = [](NodeId id) { return static_cast<std::size_t>(id); };
  std::vector<bool> read(old.nodes().size(), false);
  for (const NodeId id : old.outputs()) read[index(id)] = true;
  for (const NodeId id : old.inputs()) read[index(id)] = true;
  for (std::size_t i = old.nodes().size(); i-- > 0;) {
    if (!read[i]) continue;
    for (const NodeId input : old.nodes()[i].inputs) read[index(input)] = true;
  }
  if (std::all_of(read.begin(), read.end(), [](bool one) { return one; })) return model;

  Graph graph = old.without_nodes();
  std::vector<NodeId> ids(old.nodes().size(), -1);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const Node& node = old.nodes()[i];
    if (!read[i]) {
      for (const Parameter& parameter : parameters(old, static_cast<NodeId>(i)))
        model.weights.erase(parameter.name);
      continue;
    }
    std::vector<NodeId> inputs;
    for (const NodeId input : node.inputs) inputs.push_back(ids[index(input)]);
    ids[i] = graph.add(node.name, node.op, std::move(inputs), node.stage);
    graph.set_channels(ids[i], node.channels);
  }
  for (const NodeId id : old.outputs()) graph.add_output(ids[index(id)]);
  model.graph = std::move(graph);
  return model;
}

}  // namespace octconv
