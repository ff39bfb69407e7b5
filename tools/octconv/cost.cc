// SPDX-License-Identifier: Apache-2.0
// octconv cost: multiply-adds, parameters and activations of a network and its octave twin.
#include <iomanip>
#include <iostream>
#include <memory>

#include <nlohmann/json.hpp>

#include "commands.h"
#include "network_arguments.h"
#include "octconv/base/file.h"
#include "octconv/graph/cost.h"

namespace octconv::tool {
namespace {

struct Arguments {
  NetworkArguments network;
  std::string dot;
  bool dump = false;
  bool json = false;
  bool layers = false;
};

void print_layers(const Graph& graph, const Cost& counted) {
  for (const NodeCost& node : counted.nodes) {
    if (node.macs == 0) continue;
    std::cout << std::left << std::setw(28) << graph.node(node.node).name << std::right
              << std::setw(16) << node.macs << std::setw(12) << node.params;
    for (const PathCost& path : node.paths) std::cout << "  " << path.path << " " << path.macs;
    std::cout << "\n";
  }
}

void run(const Arguments& arguments) {
  const auto [ordinary, octave, extents] = choose_network(arguments.network);
  if (!arguments.dot.empty()) write_file(arguments.dot, to_dot(octave.graph));
  if (arguments.dump) {
    std::cout << dump(octave.graph, extents);
    return;
  }
  const Cost before = cost(ordinary, extents);
  const Cost after = cost(octave.graph, extents);
  const double ratio = static_cast<double>(after.macs) / static_cast<double>(before.macs);

  if (arguments.json) {
    nlohmann::ordered_json json = {
        {"network", arguments.network.network},
        {"alpha", arguments.network.alpha},
        {"extents", std::vector<std::int64_t>(extents.begin(), extents.end())},
        {"macs", after.macs},
        {"params", after.params},
        {"activation_elements", after.activation_elements},
        {"vanilla_macs", before.macs},
        {"macs_ratio", ratio}};
    if (arguments.layers) {
      for (const NodeCost& node : after.nodes) {
        nlohmann::ordered_json layer = {{"name", octave.graph.node(node.node).name},
                                        {"op", op_name(octave.graph.node(node.node).op)},
                                        {"macs", node.macs},
                                        {"params", node.params},
                                        {"high_elements", node.high_elements},
                                        {"low_elements", node.low_elements}};
        for (const PathCost& path : node.paths) layer["paths"][std::string(path.path)] = path.macs;
        json["layers"].push_back(std::move(layer));
      }
    }
    std::cout << json.dump(2) << "\n";
    return;
  }
  if (arguments.layers) print_layers(octave.graph, after);
  std::cout << arguments.network.network << " alpha " << arguments.network.alpha << " at "
            << extents.to_string() << "\n"
            << "  multiply-adds        " << after.macs << " (" << std::fixed << std::setprecision(3)
            << ratio << " of " << before.macs << ")\n"
            << "  parameters           " << after.params << "\n"
            << "  activation elements  " << after.activation_elements << " ("
            << before.activation_elements << " ordinary)\n";
  for (const KeptOrdinary& kept : octave.kept_ordinary) {
    std::cout << "  ordinary: " << octave.graph.node(kept.node).name << ": " << kept.reason << "\n";
  }
}

}  // namespace

void add_cost(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("cost", "Count multiply-adds, parameters and activations of a network");
  command->footer("Example: octconv cost resnet50v2 --alpha 0.5 --json");
  add_network_options(*command, arguments->network);
  CLI::Option* layers =
      command->add_flag("--layers", arguments->layers, "one line per layer, with its paths");
  CLI::Option* json = command->add_flag("--json", arguments->json, "print JSON");
  command->add_flag("--dump", arguments->dump, "print the graph instead, one line per node")
      ->excludes(layers)
      ->excludes(json);
  command->add_option("--dot", arguments->dot, "also write the graph to this file, for Graphviz");
  command->callback([arguments] { run(*arguments); });
}

}  // namespace octconv::tool
