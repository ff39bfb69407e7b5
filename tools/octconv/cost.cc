// SPDX-License-Identifier: Apache-2.0
// octconv cost: multiply-adds, parameters and activations of a network and its octave twin.
#include <array>
#include <iomanip>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "commands.h"
#include "network_arguments.h"
#include "octconv/base/file.h"
#include "octconv/graph/cost.h"
#include "octconv/graph/receptive_field.h"
#include "workflow/layer_share.h"

namespace octconv::tool {
namespace {

constexpr std::int64_t kBytes = sizeof(float);

struct Arguments {
  NetworkArguments network;
  std::string dot;
  bool dump = false;
  bool json = false;
  bool layers = false;
  bool csv = false;
  bool table1 = false;
};

// "7x7", with the low grid's after a slash; "all" for the whole image.
std::string show(const ReceptiveField& field) {
  if (field.whole) return "all";
  std::string text;
  for (const std::int64_t extent : field.extent) {
    text += (text.empty() ? "" : "x") + std::to_string(extent);
  }
  return text;
}

std::string show(const ValueReceptiveField& field) {
  const std::string high = show(field.high);
  const std::string low = show(field.low);
  return high.empty() || low.empty() ? high + low : high + "/" + low;
}

void print_layers(const Graph& graph, const Cost& counted) {
  const std::vector<ValueReceptiveField> fields = receptive_fields(graph);
  std::cout << std::left << std::setw(28) << "layer" << std::right << std::setw(16)
            << "multiply-adds" << std::setw(12) << "parameters" << std::setw(18)
            << "receptive field"
            << "  paths\n";
  for (const NodeCost& node : counted.nodes) {
    if (node.macs == 0) continue;
    std::cout << std::left << std::setw(28) << graph.node(node.node).name << std::right
              << std::setw(16) << node.macs << std::setw(12) << node.params << std::setw(18)
              << show(fields[static_cast<std::size_t>(node.node)]);
    for (const PathCost& path : node.paths) std::cout << "  " << path.path << " " << path.macs;
    std::cout << "\n";
  }
}

constexpr std::array<std::string_view, 6> kPaths{"high_to_high", "low_to_high", "low_to_low",
                                                 "high_to_low",  "linear",      "attention"};

void print_csv(const Graph& graph, const Cost& counted) {
  const std::vector<ValueReceptiveField> fields = receptive_fields(graph);
  std::cout << "layer,op,high_channels,low_channels,macs,authors_flops,params,high_elements,"
               "low_elements,high_receptive_field,low_receptive_field";
  for (const std::string_view path : kPaths) std::cout << "," << path;
  std::cout << "\n";
  for (const NodeCost& node : counted.nodes) {
    const Node& of = graph.node(node.node);
    const ValueReceptiveField& field = fields[static_cast<std::size_t>(node.node)];
    std::cout << of.name << "," << op_name(of.op) << "," << of.channels.high << ","
              << of.channels.low << "," << node.macs << "," << node.authors_flops << ","
              << node.params << "," << node.high_elements << "," << node.low_elements << ","
              << show(field.high) << "," << show(field.low);
    for (const std::string_view name : kPaths) {
      std::int64_t macs = 0;
      for (const PathCost& path : node.paths) macs += path.path == name ? path.macs : 0;
      std::cout << "," << macs;
    }
    std::cout << "\n";
  }
}

// The article's table 1: what one layer with the same alpha on both sides costs, as a share of the
// ordinary layer.
void print_table1() {
  std::cout << "alpha   multiply-adds %   1 - 3/4 a (2 - a)   activations %   1 - 3/4 a\n"
            << std::fixed << std::setprecision(3);
  for (const double alpha : {0.0, 0.125, 0.25, 0.5, 0.75, 0.875, 1.0}) {
    const workflow::LayerShare share = workflow::layer_share(alpha);
    std::cout << alpha << std::setw(18) << 100 * share.macs << std::setw(20)
              << 100 * (1 - 0.75 * alpha * (2 - alpha)) << std::setw(16) << 100 * share.elements
              << std::setw(12) << 100 * (1 - 0.75 * alpha) << "\n";
  }
}

void run(const Arguments& arguments) {
  if (arguments.table1) {
    print_table1();
    return;
  }
  if (arguments.network.network.empty()) throw CLI::RequiredError("network");
  const auto [ordinary, octave, extents] = choose_network(arguments.network);
  if (!arguments.dot.empty()) write_file(arguments.dot, to_dot(octave.graph));
  if (arguments.dump) {
    std::cout << dump(octave.graph, extents);
    return;
  }
  const Cost after = cost(octave.graph, extents);
  if (arguments.csv) {
    print_csv(octave.graph, after);
    return;
  }
  const Cost before = cost(ordinary, extents);
  const double ratio = static_cast<double>(after.macs) / static_cast<double>(before.macs);

  if (arguments.json) {
    nlohmann::ordered_json json = {
        {"network", arguments.network.network},
        {"alpha", arguments.network.alpha},
        {"extents", std::vector<std::int64_t>(extents.begin(), extents.end())},
        {"macs", after.macs},
        {"authors_flops", after.authors_flops},
        {"params", after.params},
        {"activation_elements", after.activation_elements},
        {"activation_bytes", kBytes * after.activation_elements},
        {"peak_live_bytes", kBytes * after.peak_live_elements},
        {"vanilla_macs", before.macs},
        {"macs_ratio", ratio}};
    if (arguments.layers) {
      const std::vector<ValueReceptiveField> fields = receptive_fields(octave.graph);
      for (const NodeCost& node : after.nodes) {
        nlohmann::ordered_json layer = {{"name", octave.graph.node(node.node).name},
                                        {"op", op_name(octave.graph.node(node.node).op)},
                                        {"macs", node.macs},
                                        {"authors_flops", node.authors_flops},
                                        {"params", node.params},
                                        {"high_elements", node.high_elements},
                                        {"low_elements", node.low_elements}};
        const ValueReceptiveField& field = fields[static_cast<std::size_t>(node.node)];
        layer["receptive_field"] = {{"high", show(field.high)}, {"low", show(field.low)}};
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
            << "  as the authors count " << after.authors_flops << "\n"
            << "  parameters           " << after.params << "\n"
            << "  activation elements  " << after.activation_elements << " ("
            << before.activation_elements << " ordinary)\n"
            << "  most bytes at once   " << kBytes * after.peak_live_elements << " ("
            << kBytes * before.peak_live_elements << " ordinary)\n";
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
  command->get_option("network")->required(false);
  CLI::Option* layers = command->add_flag("--layers", arguments->layers,
                                          "one line per layer, with receptive field and paths");
  CLI::Option* json = command->add_flag("--json", arguments->json, "print JSON");
  CLI::Option* csv =
      command->add_flag("--csv", arguments->csv, "print every node as comma-separated values")
          ->excludes(layers)
          ->excludes(json);
  command
      ->add_flag("--table1", arguments->table1,
                 "print the article's table 1 instead: the cost of one layer for each alpha")
      ->excludes(command->get_option("network"))
      ->excludes(layers)
      ->excludes(json)
      ->excludes(csv);
  command->add_flag("--dump", arguments->dump, "print the graph instead, one line per node")
      ->excludes(layers)
      ->excludes(json)
      ->excludes(csv);
  command->add_option("--dot", arguments->dot, "also write the graph to this file, for Graphviz");
  command->callback([arguments] { run(*arguments); });
}

}  // namespace octconv::tool
