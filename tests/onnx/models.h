// SPDX-License-Identifier: Apache-2.0
// Models for the tests of the onnx layer.
#pragma once

#include <cstdint>
#include <utility>

#include "octconv/graph/model.h"
#include "octconv/graph/octavize.h"
#include "octconv/graph/zoo.h"

namespace octconv::onnx_test {

/// Weights in which neighbours differ: a value in the wrong place shows.
inline Weights numbered_weights(const Graph& graph) {
  Weights weights;
  std::int64_t next = 1;
  for (const Parameter& parameter : parameters(graph)) {
    Tensor tensor(parameter.shape);
    for (float& value : tensor.values()) value = static_cast<float>(next++ % 16777213);
    weights.emplace(parameter.name, std::move(tensor));
  }
  return weights;
}

inline Model model_of(Graph graph) {
  Weights weights = numbered_weights(graph);
  return {.graph = std::move(graph), .weights = std::move(weights), .preprocessing = {}};
}

inline Model octave_model(std::string_view network, const OctavizeOptions& options,
                          const NetworkOptions& size = {}) {
  return model_of(octavize(make_network(network, size), options).graph);
}

/// An octave network of a few hundred weights with every operation in it: `rank` axes, all halved.
inline Graph small_graph(std::size_t rank = 2) {
  const auto conv = [&](std::int64_t channels, std::int64_t kernel, std::int64_t stride,
                        bool bias) {
    return Conv{.out_channels = channels,
                .kernel = Shape::filled(rank, kernel),
                .stride = Shape::filled(rank, stride),
                .dilation = Shape::filled(rank, 1),
                .padding_begin = Shape::filled(rank, kernel / 2),
                .padding_end = Shape::filled(rank, kernel / 2),
                .bias = bias};
  };
  const auto pool = [&](PoolKind kind, std::int64_t kernel, std::int64_t padding) {
    return Pool{.kind = kind,
                .kernel = Shape::filled(rank, kernel),
                .stride = Shape::filled(rank, 2),
                .padding_begin = Shape::filled(rank, padding),
                .padding_end = Shape::filled(rank, padding)};
  };
  Graph graph("small", Shape::filled(rank, 2));
  graph.set_default_extents(Shape::filled(rank, 19));
  graph.set_policy({.stride_mode = StrideMode::kPool, .octave_stages = {true}});
  NodeId x = graph.add("in", Input{2}, {});
  x = graph.add("stem", conv(4, 3, 1, true), {x}, 0);
  const NodeId a = graph.add("norm", BatchNorm{}, {x});
  const NodeId b = graph.add("mix", conv(4, 3, 1, true), {a}, 0);
  x = graph.add("sum", Add{}, {a, b});
  x = graph.add("relu6", Activation{ActivationKind::kRelu6}, {x});
  x = graph.add("max", pool(PoolKind::kMax, 3, 1), {x});
  x = graph.add("mean", pool(PoolKind::kAverage, 2, 0), {x});
  x = graph.add("down", conv(4, 3, 2, false), {x}, 0);
  Conv wise = conv(4, 3, 1, true);
  wise.groups = 4;
  x = graph.add("wise", wise, {x}, 0);
  x = graph.add("sigmoid", Activation{ActivationKind::kSigmoid}, {x});
  x = graph.add("relu", Activation{ActivationKind::kRelu}, {x});
  NodeId gate = graph.add("squeeze", GlobalPool{}, {x});
  gate = graph.add("excite", Linear{.out_channels = 4}, {gate});
  gate = graph.add("gate", Activation{ActivationKind::kSigmoid}, {gate});
  const NodeId scaled = graph.add("scaled", Scale{}, {x, gate});
  x = graph.add("joined", Concat{}, {scaled, x, scaled});
  const NodeId queries = graph.add("queries", conv(2, 1, 1, true), {x});
  const NodeId keys = graph.add("keys", conv(2, 1, 1, false), {x});
  const NodeId values = graph.add("values", conv(3, 1, 1, false), {x});
  const NodeId attended = graph.add("attended", Attention{0.5}, {queries, keys, values});
  const NodeId plain =
      graph.add("plain", BatchNorm{.affine = false, .initial_scale = 0.25}, {attended});
  x = graph.add("all", Concat{}, {x, graph.add("back", conv(4, 3, 1, false), {plain}, 0)});
  x = graph.add("global", GlobalPool{}, {x});
  x = graph.add("fc", Linear{.out_channels = 3}, {x});
  graph.add_output(x);
  return graph;
}

inline Model small_model(const OctavizeOptions& options = {.alpha = 0.5}, std::size_t rank = 2) {
  Model model = model_of(octavize(small_graph(rank), options).graph);
  model.preprocessing = {.mean = {0.485F, 0.456F},
                         .deviation = {0.229F, 0.224F},
                         .extents = Shape::filled(rank, 19),
                         .classes = {"cat", "a \"dog\"", "caf\xc3\xa9"}};
  return model;
}

}  // namespace octconv::onnx_test
