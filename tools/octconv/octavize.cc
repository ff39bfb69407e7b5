// SPDX-License-Identifier: Apache-2.0
// octconv octavize: the octave twin of a network in an ONNX file, weights kept.
#include <cmath>
#include <iomanip>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "commands.h"
#include "octconv/base/error.h"
#include "octconv/base/file.h"
#include "octconv/graph/budget.h"
#include "octconv/graph/cost.h"
#include "octconv/graph/octavize.h"
#include "octconv/graph/permute.h"
#include "octconv/onnx/onnx.h"

namespace octconv::tool {
namespace {

struct Arguments {
  std::string input;
  std::string output;
  std::optional<double> alpha;
  std::optional<double> budget;
  std::string per_layer;
  std::vector<float> mean;
  std::vector<float> deviation;
  std::string stride_mode;
  std::string exchange = "both";
  bool json = false;
};

// A JSON object of alphas by the name of a convolution.
std::map<std::string, double> read_layer_alphas(const std::string& path) {
  const nlohmann::json json = nlohmann::json::parse(read_file(path), nullptr, false);
  if (!json.is_object())
    throw FormatError("'" + path + "' is not a JSON object of alphas by layer");
  std::map<std::string, double> alphas;
  for (const auto& [name, alpha] : json.items()) {
    if (!alpha.is_number())
      throw FormatError("'" + path + "': the alpha of '" + name + "' is not a number");
    alphas.emplace(name, alpha.get<double>());
  }
  return alphas;
}

// One number for each channel of the images, or one for all of them.
std::vector<float> per_channel(const std::vector<float>& values, std::size_t channels,
                               const char* option) {
  if (values.size() == 1) return std::vector<float>(channels, values[0]);
  if (values.size() != channels)
    throw InvalidArgument(std::string(option) + " has " + std::to_string(values.size()) +
                          " numbers, and the network takes images of " + std::to_string(channels) +
                          " channels");
  return values;
}

void print(const Twin& octave, const Cost& before, const Cost& after, double alpha) {
  const Graph& graph = octave.model.graph;
  const auto ratio = [](std::int64_t part, std::int64_t whole) {
    return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 1;
  };
  std::cout << graph.name() << " at alpha " << alpha << ": " << std::fixed << std::setprecision(3)
            << after.octave_convs << " of " << after.convs << " convolutions are octave\n"
            << "  multiply-adds        " << after.macs << " (" << ratio(after.macs, before.macs)
            << " of " << before.macs << ")\n"
            << "  activation elements  " << after.activation_elements << " ("
            << ratio(after.activation_elements, before.activation_elements) << " of "
            << before.activation_elements << ")\n"
            << "  parameters           " << after.params << " (" << before.params << ")\n";
  for (const KeptOrdinary& kept : octave.kept_ordinary)
    std::cout << "  stays ordinary: " << graph.node(kept.node).name << ", " << kept.reason << "\n";
  std::cout << "The weights are kept, what they compute is not: train it on before use.\n";
}

void print_json(const Twin& octave, const Cost& before, const Cost& after, double alpha) {
  nlohmann::ordered_json kept = nlohmann::ordered_json::array();
  for (const KeptOrdinary& one : octave.kept_ordinary)
    kept.push_back({{"node", octave.model.graph.node(one.node).name}, {"reason", one.reason}});
  const nlohmann::ordered_json json{
      {"network", octave.model.graph.name()},
      {"alpha", alpha},
      {"convs", after.convs},
      {"octave_convs", after.octave_convs},
      {"before", {{"macs", before.macs}, {"activation_elements", before.activation_elements}}},
      {"after", {{"macs", after.macs}, {"activation_elements", after.activation_elements}}},
      {"params", after.params},
      {"kept_ordinary", kept}};
  std::cout << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
}

void run(const Arguments& arguments) {
  Model model = load_onnx(arguments.input);
  OctavizeOptions options{.alpha = arguments.alpha.value_or(0),
                          .exchange = parse_exchange(arguments.exchange)};
  if (!arguments.per_layer.empty()) options.layer_alphas = read_layer_alphas(arguments.per_layer);
  if (!arguments.stride_mode.empty())
    options.stride_mode = parse_stride_mode(arguments.stride_mode);
  const Shape extents = image_extents(model);
  if (!arguments.mean.empty()) {
    const NodeId input = model.graph.inputs().front();
    const auto channels = static_cast<std::size_t>(model.graph.node(input).channels.total());
    model.preprocessing.mean = per_channel(arguments.mean, channels, "--mean");
    model.preprocessing.deviation = per_channel(arguments.deviation, channels, "--deviation");
    for (const float value : arguments.mean) {
      if (!std::isfinite(value))
        throw InvalidArgument("--mean must be finite, got " + std::to_string(value));
    }
    for (const float value : arguments.deviation) {
      if (!(value > 0 && std::isfinite(value)))
        throw InvalidArgument("--deviation must be positive, got " + std::to_string(value));
    }
  }
  if (arguments.budget)
    options.alpha = alpha_for_budget(model.graph, extents, *arguments.budget, options);
  const Cost before = cost(model.graph, extents);
  if (!arguments.mean.empty()) model.preprocessing.extents = extents;
  const Twin octave = make_twin(model, options);
  const Cost after = cost(octave.model.graph, extents);
  if (arguments.budget &&
      static_cast<double>(after.macs) > *arguments.budget * static_cast<double>(before.macs)) {
    // What must stay ordinary for the weights' sake was not known to the search.
    throw InvalidArgument("the twin at alpha " + std::to_string(options.alpha) +
                          " misses the budget, since the weights need more values to stay "
                          "ordinary; choose a larger --alpha");
  }
  save_onnx(arguments.output, octave.model, {.extents = extents});
  if (arguments.json) {
    print_json(octave, before, after, options.alpha);
  } else {
    print(octave, before, after, options.alpha);
  }
}

}  // namespace

void add_octavize(CLI::App& app) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("octavize", "Make the octave twin of a network in an ONNX file");
  command->footer("Example: octconv octavize resnet18.onnx --alpha 0.25 -o resnet18-octave.onnx");
  command->add_option("model", arguments->input, "ONNX file of an ordinary network")->required();
  CLI::Option_group* how_much = command->add_option_group("how much");
  how_much->add_option("--alpha", arguments->alpha,
                       "fraction of channels at half resolution, 0 to 1");
  how_much->add_option("--budget", arguments->budget,
                       "take the smallest alpha with at most this share of the multiply-adds, e.g. "
                       "0.6");
  how_much->require_option(1);
  command->add_option("--per-layer", arguments->per_layer,
                      "JSON file of alphas by the name of a convolution, in place of the others");
  CLI::Option* mean = command
                          ->add_option("--mean", arguments->mean,
                                       "of the pixels, 0 to 1, that the network was trained on: "
                                       "one number, or one per channel")
                          ->delimiter(',');
  CLI::Option* deviation =
      command->add_option("--deviation", arguments->deviation, "of the same pixels")
          ->delimiter(',');
  mean->needs(deviation);
  deviation->needs(mean);
  command->add_option("--stride-mode", arguments->stride_mode,
                      "pool, pool_twice, pool_low or strided; default: the network's own, for "
                      "files of others strided");
  command->add_option("--exchange", arguments->exchange, "both, high_to_low, low_to_high or none");
  command->add_flag("--json", arguments->json, "print JSON");
  command->add_option("-o,--output", arguments->output, "the file to write")->required();
  command->callback([arguments] { run(*arguments); });
}

}  // namespace octconv::tool
