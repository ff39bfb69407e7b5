// SPDX-License-Identifier: Apache-2.0
// A network with the operations that the octave networks of the zoo do not have: what decoders,
// mobile networks and imported files bring.
#pragma once

#include <cstdint>
#include <string>

#include "octconv/graph/graph.h"
#include "octconv/graph/octavize.h"

namespace octconv::examples {

/// `rank` axes, two input channels, an input of at least 4 pixels along each axis.
inline Graph decoder_graph(std::size_t rank) {
  Graph graph("decoder", Shape::filled(rank, 2));
  graph.set_default_extents(Shape::filled(rank, 11));
  graph.set_policy({.stride_mode = StrideMode::kPool, .octave_stages = {true}});
  const auto conv = [&](const std::string& name, NodeId in, std::int64_t channels,
                        std::int64_t kernel, int stage) {
    return graph.add(name,
                     Conv{.out_channels = channels,
                          .kernel = Shape::filled(rank, kernel),
                          .stride = Shape::filled(rank, 1),
                          .dilation = Shape::filled(rank, 1),
                          .padding_begin = Shape::filled(rank, kernel / 2),
                          .padding_end = Shape::filled(rank, kernel / 2),
                          .bias = true},
                     {in}, stage);
  };
  const auto act = [&](const std::string& name, NodeId in, const Activation& activation) {
    return graph.add(name, activation, {in});
  };
  const auto enlarge = [&](const std::string& name, NodeId in, ResizeMode mode, std::int64_t factor,
                           std::int64_t crop) {
    return graph.add(
        name,
        Resize{
            .mode = mode, .factor = Shape::filled(rank, factor), .crop = Shape::filled(rank, crop)},
        {in});
  };
  NodeId x = graph.add("image", Input{2}, {});
  x = act("silu", conv("stem", x, 6, 3, 0), {ActivationKind::kSilu});
  const NodeId swish = act("swish", conv("a", x, 6, 3, 0), {ActivationKind::kHardSwish});
  const NodeId leaky = act("leaky", conv("b", x, 6, 1, 0), {ActivationKind::kLeakyRelu, 0.125F});
  x = graph.add("product", Multiply{}, {swish, leaky});
  x = act("rectified", graph.add("square", Multiply{}, {x, x}), {ActivationKind::kRelu6});
  x = enlarge("near", x, ResizeMode::kNearest, 3, 0);
  x = enlarge("linear", x, ResizeMode::kLinear, 2, 1);
  x = act("hard", x, {ActivationKind::kHardSigmoid, 0.2F, 0.5F});
  x = conv("ordinary", x, 6, 1, Node::kNoStage);
  x = graph.add("mixed", Select{{5, 0, 3, 3, 1, 2}}, {x});
  const auto transpose = [&](const std::string& name, NodeId in, std::int64_t kernel,
                             std::int64_t stride, std::int64_t dilation, std::int64_t begin,
                             std::int64_t end, std::int64_t groups, bool bias) {
    return graph.add(name,
                     ConvTranspose{.out_channels = 4,
                                   .kernel = Shape::filled(rank, kernel),
                                   .stride = Shape::filled(rank, stride),
                                   .dilation = Shape::filled(rank, dilation),
                                   .padding_begin = Shape::filled(rank, begin),
                                   .padding_end = Shape::filled(rank, end),
                                   .groups = groups,
                                   .bias = bias},
                     {in});
  };
  const NodeId up = transpose("up", x, 3, 2, 1, 1, 0, 2, true);
  NodeId y = graph.add("norm", BatchNorm{}, {transpose("wide", x, 2, 3, 1, 0, -2, 1, false)});
  y = act("open", y, {ActivationKind::kSigmoid});
  const NodeId far = transpose("far", x, 3, 1, 2, 3, 1, 2, true);
  const auto mean = [&](const std::string& name, NodeId in) {
    return graph.add(name, GlobalPool{}, {in});
  };
  x = graph.add("shares", Softmax{}, {up});
  x = graph.add("means", Concat{}, {mean("of_shares", x), mean("of_wide", y), mean("of_far", far)});
  x = graph.add("classes", Softmax{}, {graph.add("fc", Linear{.out_channels = 5}, {x})});
  graph.add_output(x);
  return graph;
}

inline Graph octave_decoder_graph(std::size_t rank) {
  return octavize(decoder_graph(rank), {.alpha = 0.5}).graph;
}

}  // namespace octconv::examples
