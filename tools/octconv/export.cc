// SPDX-License-Identifier: Apache-2.0
// octconv export: an untrained network of the zoo, or its octave twin, as an ONNX file.
#include <cstdint>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "commands.h"
#include "network_arguments.h"
#include "octconv/graph/model.h"
#include "octconv/onnx/onnx.h"

namespace octconv::tool {
namespace {

struct Arguments {
  NetworkArguments network;
  std::uint64_t seed = 1;
  std::string output;
};

void run(const Arguments& arguments) {
  ChosenNetwork chosen = choose_network(arguments.network);
  Weights weights = initial_weights(chosen.octave.graph, arguments.seed);
  // An untrained network has seen no images whose statistics it could want: pixels go in as they
  // are.
  const NodeId input = chosen.ordinary.inputs().front();
  const auto channels = static_cast<std::size_t>(chosen.ordinary.node(input).channels.total());
  const Model model{.graph = std::move(chosen.octave.graph),
                    .weights = std::move(weights),
                    .preprocessing = {.mean = std::vector<float>(channels, 0),
                                      .deviation = std::vector<float>(channels, 1),
                                      .extents = chosen.extents,
                                      .classes = {}}};
  save_onnx(arguments.output, model, {.extents = chosen.extents});
}

}  // namespace

void add_export(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("export", "Write an untrained network as an ONNX file");
  command->footer("Example: octconv export resnet20 --alpha 0.5 -o resnet20.onnx");
  add_network_options(*command, arguments->network);
  command->add_option("--seed", arguments->seed, "of the random weights; default: 1");
  command->add_option("-o,--output", arguments->output, "the file to write")->required();
  command->callback([arguments] { run(*arguments); });
}

}  // namespace octconv::tool
