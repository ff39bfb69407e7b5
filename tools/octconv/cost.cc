// SPDX-License-Identifier: Apache-2.0
// octconv cost: multiply-adds, parameters and activations of a network and its octave twin.
#include <iomanip>
#include <iostream>
#include <memory>

#include <nlohmann/json.hpp>

#include "commands.h"
#include "octconv/graph/cost.h"
#include "octconv/graph/octavize.h"
#include "octconv/graph/zoo.h"

namespace octconv::tool {
namespace {

struct Arguments {
  std::string network;
  double alpha = 0;
  std::string stride_mode;
  std::string exchange = "both";
  std::int64_t size = 0;
  std::int64_t in_channels = 0;
  std::int64_t classes = 0;
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
  NetworkOptions network;
  if (arguments.in_channels != 0) network.in_channels = arguments.in_channels;
  if (arguments.classes != 0) network.classes = arguments.classes;
  const Graph ordinary = make_network(arguments.network, network);
  OctavizeOptions options{.alpha = arguments.alpha, .exchange = parse_exchange(arguments.exchange)};
  if (!arguments.stride_mode.empty())
    options.stride_mode = parse_stride_mode(arguments.stride_mode);
  const Octavized octave = octavize(ordinary, options);
  const Shape extents = arguments.size == 0 ? ordinary.default_extents()
                                            : Shape::filled(ordinary.rank(), arguments.size);
  const Cost before = cost(ordinary, extents);
  const Cost after = cost(octave.graph, extents);
  const double ratio = static_cast<double>(after.macs) / static_cast<double>(before.macs);

  if (arguments.json) {
    nlohmann::ordered_json json = {
        {"network", arguments.network},
        {"alpha", arguments.alpha},
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
  std::cout << arguments.network << " alpha " << arguments.alpha << " at " << extents.to_string()
            << "\n"
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
  command->add_option("network", arguments->network, "name from `octconv zoo`")->required();
  command->add_option("--alpha", arguments->alpha,
                      "fraction of channels at half resolution, 0 to 1");
  command->add_option(
      "--stride-mode", arguments->stride_mode,
      "pool, pool_twice, pool_low or strided; default: the family's own where alpha > 0");
  command->add_option("--exchange", arguments->exchange, "both, high_to_low, low_to_high or none");
  command
      ->add_option("--size", arguments->size, "input height and width; default: the network's own")
      ->check(CLI::PositiveNumber);
  command
      ->add_option("--in-channels", arguments->in_channels,
                   "input channels; default: the network's own")
      ->check(CLI::PositiveNumber);
  command->add_option("--classes", arguments->classes, "outputs; default: the network's own")
      ->check(CLI::PositiveNumber);
  command->add_flag("--layers", arguments->layers, "one line per layer, with its paths");
  command->add_flag("--json", arguments->json, "print JSON");
  command->callback([arguments] { run(*arguments); });
}

}  // namespace octconv::tool
