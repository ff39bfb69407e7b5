// SPDX-License-Identifier: Apache-2.0
// octconv inspect: what is in an ONNX file.
#include <iomanip>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "commands.h"
#include "octconv/base/text.h"
#include "octconv/graph/cost.h"
#include "octconv/onnx/onnx.h"
#include "workflow/recognise.h"

namespace octconv::tool {
namespace {

struct Arguments {
  std::string model;
  bool as_is = false;
  bool json = false;
};

// "64", or "48 + 16 low".
std::string show(const ChannelSplit& channels) {
  if (!channels.octave()) return std::to_string(channels.total());
  return std::to_string(channels.high) + " + " + std::to_string(channels.low) + " low";
}

// What there is to say of a file's network.
struct Contents {
  Model model;
  std::vector<std::string> recognised;  // convolutions that the file spells out
  Cost counted;
  std::vector<ValueShape> shapes;
};

void print(const Contents& contents) {
  const auto& [model, recognised, counted, shapes] = contents;
  const Graph& graph = model.graph;
  std::cout << graph.name() << ": " << counted.octave_convs << " of " << counted.convs
            << " convolutions are octave\n";
  if (!recognised.empty())
    std::cout << "  recognised in the file's ordinary operations: " << join(recognised, ", ")
              << "\n";
  std::cout << "  multiply-adds        " << counted.macs << "\n"
            << "  parameters           " << counted.params << "\n"
            << "  activation elements  " << counted.activation_elements << "\n"
            << std::left << std::setw(36) << "layer" << std::setw(12) << "operation"
            << std::setw(20) << "channels" << std::setw(16) << "extents" << std::right
            << std::setw(14) << "multiply-adds" << std::setw(12) << "parameters\n";
  for (const NodeCost& node : counted.nodes) {
    const Node& of = graph.node(node.node);
    const Shape& extents = shapes[static_cast<std::size_t>(node.node)].high;
    std::cout << std::left << std::setw(36) << of.name << std::setw(12) << op_name(of.op)
              << std::setw(20) << show(of.channels) << std::setw(16)
              << (of.spatial ? extents.to_string() : "") << std::right << std::setw(14) << node.macs
              << std::setw(12) << node.params << "\n";
  }
}

void print_json(const Contents& contents) {
  const auto& [model, recognised, counted, shapes] = contents;
  const Graph& graph = model.graph;
  nlohmann::ordered_json layers = nlohmann::ordered_json::array();
  for (const NodeCost& node : counted.nodes) {
    const Node& of = graph.node(node.node);
    const Shape& extents = shapes[static_cast<std::size_t>(node.node)].high;
    nlohmann::ordered_json inputs = nlohmann::ordered_json::array();
    for (const NodeId input : of.inputs) inputs.push_back(graph.node(input).name);
    layers.push_back({{"name", of.name},
                      {"op", op_name(of.op)},
                      {"inputs", inputs},
                      {"high_channels", of.channels.high},
                      {"low_channels", of.channels.low},
                      {"extents", std::vector<std::int64_t>(extents.begin(), extents.end())},
                      {"macs", node.macs},
                      {"params", node.params}});
  }
  const nlohmann::ordered_json json{{"network", graph.name()},
                                    {"convs", counted.convs},
                                    {"octave_convs", counted.octave_convs},
                                    {"recognised", recognised},
                                    {"macs", counted.macs},
                                    {"params", counted.params},
                                    {"activation_elements", counted.activation_elements},
                                    {"classes", model.preprocessing.classes},
                                    {"layers", layers}};
  std::cout << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
}

void run(const Arguments& arguments) {
  Model model = load_onnx(arguments.model);
  const Shape extents = image_extents(model);
  std::vector<std::string> recognised;
  if (!arguments.as_is) {
    Raised raised = workflow::recognise(std::move(model), extents);
    if (raised.octave_convs > 0) recognised = workflow::octave_conv_names(raised.model.graph);
    model = std::move(raised.model);
  }
  const Cost counted = cost(model.graph, extents);
  const std::vector<ValueShape> shapes = infer_shapes(model.graph, 1, extents);
  const Contents contents{std::move(model), std::move(recognised), counted, shapes};
  arguments.json ? print_json(contents) : print(contents);
}

}  // namespace

void add_inspect(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("inspect", "Show what is in an ONNX file");
  command->footer("Example: octconv inspect resnet18.onnx");
  command->add_option("model", arguments->model, "ONNX file")->required();
  command->add_flag("--as-is", arguments->as_is, kAsIsHelp);
  command->add_flag("--json", arguments->json, "print JSON");
  command->callback([arguments] { run(*arguments); });
}

}  // namespace octconv::tool
