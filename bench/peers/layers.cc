// SPDX-License-Identifier: Apache-2.0
// Writes a network of equal octave layers, so that the time of one is a difference of two networks.
//
// usage: octconv_layer_network KIND ALPHA SIZE LAYERS FILE.onnx
//   KIND  a name of kKinds;  SIZE  extent of every axis, 0: the kind's own
//
// A 1x1 convolution makes octave values of an ordinary input, LAYERS convolutions with rectifiers
// follow, and a 1x1 convolution makes an ordinary output of few channels. Prints the cost as JSON.
#include <array>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>
#include <string_view>

#include "octconv/base/error.h"
#include "octconv/graph/cost.h"
#include "octconv/graph/octavize.h"
#include "octconv/onnx/onnx.h"

namespace {

using octconv::Shape;

struct Kind {
  std::string_view name;
  std::size_t rank;
  std::int64_t channels;
  std::int64_t size;
  std::int64_t kernel;
};

constexpr std::array kKinds{
    Kind{.name = "conv1d", .rank = 1, .channels = 64, .size = 4096, .kernel = 3},
    Kind{.name = "conv1x1", .rank = 2, .channels = 128, .size = 56, .kernel = 1},
    Kind{.name = "conv3x3", .rank = 2, .channels = 64, .size = 56, .kernel = 3},
    Kind{.name = "conv3d", .rank = 3, .channels = 32, .size = 24, .kernel = 3},
};
constexpr std::int64_t kPortChannels = 4;  // of the network's input and output

const Kind& find_kind(std::string_view name) {
  std::string known;
  for (const Kind& kind : kKinds) {
    if (kind.name == name) return kind;
    known += (known.empty() ? "" : ", ") + std::string(kind.name);
  }
  throw octconv::InvalidArgument("unknown layer '" + std::string(name) + "'; known are " + known);
}

octconv::Conv centred(std::size_t rank, std::int64_t out_channels, std::int64_t kernel) {
  return {.out_channels = out_channels,
          .kernel = Shape::filled(rank, kernel),
          .stride = Shape::filled(rank, 1),
          .dilation = Shape::filled(rank, 1),
          .padding_begin = Shape::filled(rank, kernel / 2),
          .padding_end = Shape::filled(rank, kernel / 2),
          .bias = true};
}

octconv::Graph make_graph(const Kind& kind, std::int64_t size, std::int64_t layers) {
  octconv::Graph graph(std::string(kind.name), Shape::filled(kind.rank, 2));
  graph.set_default_extents(Shape::filled(kind.rank, size == 0 ? kind.size : size));
  graph.set_policy({.octave_stages = {true}});
  octconv::NodeId x = graph.add("input", octconv::Input{kPortChannels}, {});
  x = graph.add("first", centred(kind.rank, kind.channels, 1), {x}, 0);
  for (std::int64_t i = 0; i < layers; ++i) {
    const std::string name = "conv" + std::to_string(i);
    x = graph.add(name, centred(kind.rank, kind.channels, kind.kernel), {x}, 0);
    x = graph.add(name + ".relu", octconv::Activation{}, {x}, 0);
  }
  graph.add_output(graph.add("last", centred(kind.rank, kPortChannels, 1), {x}, 0));
  return graph;
}

void write(char** arguments) {
  const Kind& kind = find_kind(arguments[1]);
  const double alpha = std::stod(arguments[2]);
  octconv::Graph graph =
      octconv::octavize(make_graph(kind, std::stoll(arguments[3]), std::stoll(arguments[4])),
                        {.alpha = alpha})
          .graph;
  octconv::Weights weights = octconv::initial_weights(graph, 1);
  const octconv::Model model{.graph = std::move(graph), .weights = std::move(weights)};
  octconv::save_onnx(arguments[5], model);
  std::cout << R"({"macs": )" << octconv::cost(model.graph, model.graph.default_extents()).macs
            << R"(, "extents": [)";
  for (std::size_t axis = 0; axis < kind.rank; ++axis)
    std::cout << (axis == 0 ? "" : ", ") << model.graph.default_extents()[axis];
  std::cout << "]}\n";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: %s KIND ALPHA SIZE LAYERS FILE.onnx\n", argv[0]);
    return 2;
  }
  try {
    write(argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
  return 0;
}
