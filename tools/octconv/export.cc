// SPDX-License-Identifier: Apache-2.0
// octconv export: an untrained network of the zoo, or its octave twin, as an ONNX file.
#include <cstdint>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

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
  const Model model{
      .graph = std::move(chosen.octave.graph), .weights = std::move(weights), .preprocessing = {}};
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
