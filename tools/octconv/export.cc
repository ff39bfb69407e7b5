// SPDX-License-Identifier: Apache-2.0
// octconv export: a network of the zoo, or its octave twin, as an ONNX file: untrained, or with
// weights of a PyTorch state dict.
#include <cstdint>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "commands.h"
#include "export_arguments.h"
#include "network_arguments.h"
#include "octconv/graph/model.h"
#include "octconv/graph/state_dict.h"
#include "octconv/onnx/onnx.h"

namespace octconv::tool {
namespace {

struct Arguments {
  NetworkArguments network;
  std::uint64_t seed = 1;
  std::string weights;
  PixelArguments pixels;
  ExportArguments file;
  std::string output;
};

Model untrained(const Graph& graph, const Shape& extents, std::uint64_t seed) {
  // An untrained network has seen no images whose statistics it could want: pixels go in as they
  // are.
  const NodeId input = graph.inputs().front();
  const auto channels = static_cast<std::size_t>(graph.node(input).channels.total());
  return {.graph = graph,
          .weights = initial_weights(graph, seed),
          .preprocessing = {.mean = std::vector<float>(channels, 0),
                            .deviation = std::vector<float>(channels, 1),
                            .extents = extents,
                            .classes = {}}};
}

void run(const Arguments& arguments) {
  const ChosenNetwork chosen = choose_network(arguments.network);
  const Graph& graph = chosen.octave.graph;
  Model model = arguments.weights.empty()
                    ? untrained(graph, chosen.extents, arguments.seed)
                    : with_state_dict(graph, read_state_dict(arguments.weights));
  model.graph.set_default_extents(chosen.extents);
  set_pixels(arguments.pixels, chosen.extents, model);
  save_onnx(arguments.output, model, export_options(arguments.file, chosen.extents));
}

}  // namespace

void add_export(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("export", "Write a network as an ONNX file");
  command->footer("Example: octconv export resnet20 --alpha 0.5 -o resnet20.onnx");
  add_network_options(*command, arguments->network);
  CLI::Option* seed =
      command->add_option("--seed", arguments->seed, "of the random weights; default: 1");
  command
      ->add_option("--weights", arguments->weights,
                   "weights of a PyTorch state dict, .safetensors or .pth; default: random")
      ->excludes(seed);
  add_pixel_options(*command, arguments->pixels);
  add_export_options(*command, arguments->file);
  command->add_option("-o,--output", arguments->output, "the file to write")->required();
  command->callback([arguments] { run(*arguments); });
}

}  // namespace octconv::tool
