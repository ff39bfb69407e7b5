// SPDX-License-Identifier: Apache-2.0
#include "octconv/graph/fold.h"

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "graph/affine.h"

namespace octconv {
namespace {

bool has_bias(const Op& op) {
  if (const auto* conv = std::get_if<Conv>(&op)) return conv->bias;
  const auto* linear = std::get_if<Linear>(&op);
  return linear != nullptr && linear->bias;
}

Op with_bias(Op op) {
  if (auto* conv = std::get_if<Conv>(&op)) conv->bias = true;
  if (auto* linear = std::get_if<Linear>(&op)) linear->bias = true;
  return op;
}

class Folding {
 public:
  explicit Folding(const Model& model)
      : model_(model),
        graph_(model.graph),
        readers_(graph_.nodes().size(), 0),
        norms_(graph_.nodes().size()),
        layer_(graph_.nodes().size(), -1) {
    for (const Node& node : graph_.nodes()) {
      for (const NodeId input : node.inputs) ++readers_[index(input)];
    }
    for (const NodeId output : graph_.outputs()) ++readers_[index(output)];
  }

  Model run() {
    for (std::size_t i = 0; i < graph_.nodes().size(); ++i) find(static_cast<NodeId>(i));
    Graph graph = graph_.without_nodes();
    Weights weights;
    std::vector<NodeId> ids;  // of each old value in the new graph
    for (std::size_t i = 0; i < graph_.nodes().size(); ++i) {
      const Node& node = graph_.nodes()[i];
      if (layer_[i] >= 0) {
        ids.push_back(ids[index(layer_[i])]);
        continue;
      }
      std::vector<NodeId> inputs;
      for (const NodeId input : node.inputs) inputs.push_back(ids[index(input)]);
      const bool folds = norms_[i].has_value();
      ids.push_back(graph.add(node.name, folds ? with_bias(node.op) : node.op, std::move(inputs),
                              node.stage));
      folds ? take_folded(node, *norms_[i], weights) : take(static_cast<NodeId>(i), weights);
    }
    // Graph::add sees ordinary values.
    for (std::size_t i = 0; i < ids.size(); ++i)
      graph.set_channels(ids[i], graph_.nodes()[i].channels);
    for (const NodeId output : graph_.outputs()) graph.add_output(ids[index(output)]);
    graph.check();
    return {.graph = std::move(graph),
            .weights = std::move(weights),
            .preprocessing = model_.preprocessing};
  }

 private:
  static std::size_t index(NodeId id) { return static_cast<std::size_t>(id); }

  // Is the node a batch norm that a layer can take in? Then it has `layer_`, and that has the norm.
  void find(NodeId id) {
    const Node& node = graph_.node(id);
    const auto* norm = std::get_if<BatchNorm>(&node.op);
    if (norm == nullptr || readers_[index(node.inputs[0])] != 1) return;
    // The input may be a norm that has gone into a layer itself.
    const NodeId before = layer_[index(node.inputs[0])];
    const NodeId layer = before >= 0 ? before : node.inputs[0];
    const Op& op = graph_.node(layer).op;
    if (!std::holds_alternative<Conv>(op) && !std::holds_alternative<Linear>(op)) return;
    layer_[index(id)] = layer;
    Affine affine = affine_of(*norm, node.name, model_.weights);
    std::optional<Affine>& all = norms_[index(layer)];
    all = all ? then(*all, affine) : std::move(affine);
  }

  void take(NodeId id, Weights& weights) const {
    for (const Parameter& parameter : parameters(graph_, id))
      weights.emplace(parameter.name, model_.weights.at(parameter.name).clone());
  }

  void take_folded(const Node& node, const Affine& affine, Weights& weights) const {
    std::span<const float> bias;
    if (has_bias(node.op)) bias = model_.weights.at(node.name + ".bias").values();
    FoldedLayer folded = fold(model_.weights.at(node.name + ".weight"), bias, affine);
    weights.emplace(node.name + ".weight", std::move(folded.weight));
    weights.emplace(node.name + ".bias", std::move(folded.bias));
  }

  const Model& model_;
  const Graph& graph_;
  std::vector<int> readers_;                  // by node; to be an output counts
  std::vector<std::optional<Affine>> norms_;  // by layer: what follows it
  std::vector<NodeId> layer_;                 // by batch norm that goes: into which; else -1
};

}  // namespace

Model fold_batch_norms(const Model& model) {
  model.graph.check();
  check_weights(model.graph, model.weights);
  return Folding(model).run();
}

}  // namespace octconv
