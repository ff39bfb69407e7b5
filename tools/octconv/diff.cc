// SPDX-License-Identifier: Apache-2.0
// octconv diff: whether two models compute the same, and where they part.
#include <cmath>
#include <cstdint>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "commands.h"
#include "octconv/engine/network.h"
#include "octconv/onnx/onnx.h"
#include "tensor_arguments.h"
#include "workflow/diff.h"

namespace octconv::tool {
namespace {

using workflow::Diff;
using workflow::ValueDiff;

struct Arguments {
  std::string first;
  std::string second;
  std::vector<std::string> inputs;
  std::uint64_t seed = 1;
  double tolerance = workflow::kDiffTolerance;
  bool json = false;
};

std::string apart(const ValueDiff& value) {
  if (!value.reason.empty()) return "cannot be compared: " + value.reason;
  std::ostringstream text;
  text << value.absolute << ", which is " << value.relative << " of the range";
  return text.str();
}

void print(const Diff& diff, double tolerance) {
  for (const ValueDiff& output : diff.outputs)
    std::cout << "output '" << output.name
              << "': " << (output.reason.empty() ? "largest difference " : "") << apart(output)
              << "\n";
  std::cout << "nodes: " << diff.first_nodes << " and " << diff.second_nodes << ", of which "
            << diff.shared_nodes << " have the same name\n";
  for (const ValueDiff& value : diff.incomparable)
    std::cout << "  '" << value.name << "' " << apart(value) << "\n";
  if (diff.first_parting) {
    std::cout << "they part at '" << diff.first_parting->name << "': " << apart(*diff.first_parting)
              << "\n";
  } else if (diff.shared_nodes > 0) {
    std::cout << "no shared value that can be compared is further apart than " << tolerance
              << " of its range\n";
  }
  std::cout << (diff.agree ? "they agree" : "they differ") << "\n";
}

nlohmann::ordered_json to_json(const ValueDiff& value) {
  if (!value.reason.empty()) return {{"name", value.name}, {"incomparable", value.reason}};
  const auto number = [](double x) -> nlohmann::ordered_json {
    if (std::isfinite(x)) return x;
    return nullptr;  // JSON has no infinity
  };
  return {{"name", value.name},
          {"absolute", number(value.absolute)},
          {"relative", number(value.relative)}};
}

void print_json(const Diff& diff, double tolerance) {
  nlohmann::ordered_json outputs = nlohmann::ordered_json::array();
  for (const ValueDiff& output : diff.outputs) outputs.push_back(to_json(output));
  nlohmann::ordered_json incomparable = nlohmann::ordered_json::array();
  for (const ValueDiff& value : diff.incomparable) incomparable.push_back(to_json(value));
  nlohmann::ordered_json json{{"agree", diff.agree},
                              {"tolerance", tolerance},
                              {"outputs", outputs},
                              {"nodes", {diff.first_nodes, diff.second_nodes}},
                              {"shared_nodes", diff.shared_nodes},
                              {"incomparable", incomparable},
                              {"first_parting", nullptr}};
  if (diff.first_parting) json["first_parting"] = to_json(*diff.first_parting);
  std::cout << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
}

void run(const Arguments& arguments) {
  const Model first = load_onnx(arguments.first);
  const Model second = load_onnx(arguments.second);
  const std::vector<Tensor> inputs =
      arguments.inputs.empty()
          ? workflow::random_inputs(first, arguments.seed)
          : read_inputs(ports(first.graph, first.graph.inputs()), arguments.inputs);
  const Diff diff = workflow::diff_models(first, second, inputs, arguments.tolerance);
  if (arguments.json) {
    print_json(diff, arguments.tolerance);
  } else {
    print(diff, arguments.tolerance);
  }
  if (!diff.agree) throw Disagreement();
}

}  // namespace

void add_diff(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("diff", "Compare what two models compute");
  command->footer("Example: octconv diff resnet18.onnx resnet18-folded.onnx");
  command->add_option("first", arguments->first, "ONNX file; its names and ranges are used")
      ->required();
  command->add_option("second", arguments->second, "ONNX file")->required();
  CLI::Option* input =
      command
          ->add_option("--input", arguments->inputs,
                       ".npy file of [batch, channels, extents...]; NAME=FILE, for each input, "
                       "where a network has several; default: random")
          ->allow_extra_args(false);
  command->add_option("--seed", arguments->seed, "of the random input; default: 1")
      ->excludes(input);
  command->add_option("--tolerance", arguments->tolerance,
                      "difference that counts, as a share of a value's range; default: 1e-4");
  command->add_flag("--json", arguments->json, "print JSON");
  command->callback([arguments] { run(*arguments); });
}

}  // namespace octconv::tool
