// SPDX-License-Identifier: Apache-2.0
// octconv octavize: the octave twin of a network in an ONNX file, weights kept.
#include <algorithm>
#include <iomanip>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "commands.h"
#include "export_arguments.h"
#include "octconv/base/error.h"
#include "octconv/base/file.h"
#include "octconv/graph/budget.h"
#include "octconv/graph/cost.h"
#include "octconv/graph/octavize.h"
#include "octconv/graph/permute.h"
#include "octconv/onnx/onnx.h"
#include "report/number.h"
#include "report/table.h"
#include "timed_arguments.h"
#include "workflow/calibrate.h"
#include "workflow/latency_budget.h"
#include "workflow/recognise.h"

namespace octconv::tool {
namespace {

struct Arguments {
  std::string input;
  std::string output;
  std::optional<double> alpha;
  std::optional<double> budget;
  std::optional<double> latency_budget;
  workflow::LatencyOptions latency;
  std::string per_layer;
  PixelArguments pixels;
  ExportArguments file;
  std::string stride_mode;
  std::string policy = "own";
  std::string exchange = "both";
  std::vector<std::int64_t> size;
  std::string choose_channels;
  std::string calibrate;
  std::int64_t images = 1000;
  std::string order;
  bool as_is = false;
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

void make_all_stages_octave(Graph& graph) {
  OctavePolicy policy = graph.policy();
  int last = Node::kNoStage;
  for (const Node& node : graph.nodes()) last = std::max(last, node.stage);
  policy.octave_stages.assign(static_cast<std::size_t>(last + 1), true);
  graph.set_policy(std::move(policy));
}

// What the file says, or --size.
Shape chosen_extents(const std::vector<std::int64_t>& size, Model& model) {
  if (size.empty()) return image_extents(model);
  const std::size_t rank = model.graph.rank();
  if (size.size() != 1 && size.size() != rank)
    throw InvalidArgument("--size has " + std::to_string(size.size()) +
                          " numbers, and the network takes images of " + std::to_string(rank) +
                          " extents");
  Shape extents;
  for (std::size_t axis = 0; axis < rank; ++axis)
    extents.push_back(size[size.size() == 1 ? 0 : axis]);
  model.graph.set_default_extents(extents);
  if (!model.preprocessing.extents.empty()) model.preprocessing.extents = extents;
  static_cast<void>(infer_shapes(model.graph, 1, extents));
  return extents;
}

// What came of the twin, and how it differs from the network.
struct Result {
  Twin twin;
  double alpha = 0;
  Cost before;
  Cost after;
  std::int64_t chosen_on = 0;  // images
  std::optional<workflow::Calibrated> calibrated;
  std::optional<workflow::LatencyChoice> latency;
};

void print_distance(const char* when, const workflow::Distance& distance) {
  std::cout << "  outputs " << when << report::fixed(distance.relative, 4)
            << " of the network's norm away";
  if (distance.same_class)
    std::cout << ", the same class for " << report::fixed(100 * *distance.same_class, 1) << " %";
  std::cout << "\n";
}

// What was given for the time that was saved.
void print_latency(const workflow::LatencyChoice& choice) {
  std::cout << "  time                 " << report::fixed(choice.ms, 2) << " ms ("
            << report::fixed(choice.time_share, 3) << " of " << report::fixed(choice.ordinary_ms, 2)
            << ")\n";
  report::Table table(
      {{"stage", report::Align::kLeft}, {"convolutions"}, {"alpha"}, {"ms before"}, {"ms"}});
  for (const workflow::LatencyStage& stage : choice.stages) {
    table.add_row({stage.extents.to_string(), std::to_string(stage.convs),
                   report::shortest(stage.alpha), report::fixed(stage.ordinary_ms, 2),
                   report::fixed(stage.ms, 2)});
  }
  std::cout << table.text();
  if (choice.uniform)
    std::cout << "One alpha for all, " << report::shortest(choice.uniform->alpha) << ", takes "
              << report::fixed(choice.uniform->time_share, 3) << " of the time and "
              << report::fixed(choice.uniform->macs_share, 3) << " of the multiply-adds.\n";
  else
    std::cout << "No alpha that is the same for all stages is as fast.\n";
}

std::string alpha_text(const Result& result) {
  return result.latency ? "alphas by stage" : "alpha " + report::shortest(result.alpha);
}

void print(const Result& result) {
  const Graph& graph = result.twin.model.graph;
  const Cost& before = result.before;
  const Cost& after = result.after;
  const auto ratio = [](std::int64_t part, std::int64_t whole) {
    return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 1;
  };
  std::cout << graph.name() << " at " << alpha_text(result) << ": " << std::fixed
            << std::setprecision(3) << after.octave_convs << " of " << after.convs
            << " convolutions are octave\n"
            << "  multiply-adds        " << after.macs << " (" << ratio(after.macs, before.macs)
            << " of " << before.macs << ")\n"
            << "  activation elements  " << after.activation_elements << " ("
            << ratio(after.activation_elements, before.activation_elements) << " of "
            << before.activation_elements << ")\n"
            << "  parameters           " << after.params << " (" << before.params << ")\n";
  if (result.latency) print_latency(*result.latency);
  for (const KeptOrdinary& kept : result.twin.kept_ordinary)
    std::cout << "  stays ordinary: " << graph.node(kept.node).name << ", " << kept.reason << "\n";
  if (result.chosen_on > 0)
    std::cout << "  low channels are those that lose least on " << result.chosen_on << " images\n";
  if (result.calibrated) {
    std::cout << "  calibrated on " << result.calibrated->images
              << " images: " << result.calibrated->norms << " batch norms, and scale and bias of "
              << result.calibrated->convs << " convolutions without one\n";
    print_distance("before: ", result.calibrated->before);
    print_distance("after:  ", result.calibrated->after);
  }
  std::cout << "The weights are kept, what they compute is not"
            << (result.calibrated ? " quite" : "")
            << ": accuracy is recovered by training it on (octconv train --model).\n";
}

nlohmann::ordered_json to_json(const workflow::Distance& distance) {
  nlohmann::ordered_json json{{"relative_distance", distance.relative}};
  if (distance.same_class) json["same_class"] = *distance.same_class;
  return json;
}

nlohmann::ordered_json to_json(const workflow::LatencyChoice& choice) {
  nlohmann::ordered_json stages = nlohmann::ordered_json::array();
  for (const workflow::LatencyStage& stage : choice.stages) {
    stages.push_back(
        {{"extents", std::vector<std::int64_t>(stage.extents.begin(), stage.extents.end())},
         {"convs", stage.convs},
         {"alpha", stage.alpha},
         {"ordinary_ms", stage.ordinary_ms},
         {"ms", stage.ms}});
  }
  nlohmann::ordered_json json{
      {"ordinary_ms", choice.ordinary_ms}, {"ms", choice.ms},  {"time_share", choice.time_share},
      {"macs_share", choice.macs_share},   {"stages", stages}, {"uniform", nullptr}};
  if (choice.uniform) {
    json["uniform"] = {{"alpha", choice.uniform->alpha},
                       {"time_share", choice.uniform->time_share},
                       {"macs_share", choice.uniform->macs_share}};
  }
  return json;
}

void print_json(const Result& result) {
  const Graph& graph = result.twin.model.graph;
  nlohmann::ordered_json kept = nlohmann::ordered_json::array();
  for (const KeptOrdinary& one : result.twin.kept_ordinary)
    kept.push_back({{"node", graph.node(one.node).name}, {"reason", one.reason}});
  const auto counts = [](const Cost& cost) {
    return nlohmann::ordered_json{{"macs", cost.macs},
                                  {"activation_elements", cost.activation_elements}};
  };
  nlohmann::ordered_json json{
      {"network", graph.name()},
      {"alpha", result.latency ? nlohmann::ordered_json() : nlohmann::ordered_json(result.alpha)},
      {"convs", result.after.convs},
      {"octave_convs", result.after.octave_convs},
      {"before", counts(result.before)},
      {"after", counts(result.after)},
      {"params", result.after.params},
      {"kept_ordinary", kept}};
  if (result.chosen_on > 0) json["chosen_on_images"] = result.chosen_on;
  if (result.latency) json["latency"] = to_json(*result.latency);
  if (result.calibrated) {
    json["calibration"] = {{"images", result.calibrated->images},
                           {"batch_norms", result.calibrated->norms},
                           {"convolutions", result.calibrated->convs},
                           {"before", to_json(result.calibrated->before)},
                           {"after", to_json(result.calibrated->after)}};
  }
  std::cout << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
}

// For each value whose channels moved: which channel of the network stands at each position.
void write_order(const std::string& path, const Twin& twin) {
  const Numbering unmoved = identity_numbering(twin.model.graph);
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (std::size_t i = 0; i < unmoved.size(); ++i) {
    if (twin.numbering[i] != unmoved[i]) json[twin.model.graph.nodes()[i].name] = twin.numbering[i];
  }
  write_file(path, json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

void run(const Arguments& arguments) {
  Model model = load_onnx(arguments.input);
  OctavizeOptions options{.alpha = arguments.alpha.value_or(0),
                          .exchange = parse_exchange(arguments.exchange)};
  if (!arguments.per_layer.empty()) options.layer_alphas = read_layer_alphas(arguments.per_layer);
  if (!arguments.stride_mode.empty())
    options.stride_mode = parse_stride_mode(arguments.stride_mode);
  const Shape extents = chosen_extents(arguments.size, model);
  const bool all_stages = arguments.policy == "all";
  if (!all_stages && arguments.policy != "own")
    throw InvalidArgument("--policy must be own or all, got '" + arguments.policy + "'");
  if (!arguments.as_is) {
    Raised raised = workflow::recognise(std::move(model), extents);
    if (raised.octave_convs > 0)
      throw InvalidArgument("'" + arguments.input +
                            "' is octave already: its operations spell out " +
                            std::to_string(raised.octave_convs) +
                            " octave convolutions, which `octconv raise` makes of them (--as-is "
                            "takes them for ordinary ones)");
    model = std::move(raised.model);
  }
  set_pixels(arguments.pixels, extents, model);
  if (all_stages) make_all_stages_octave(model.graph);
  if (arguments.budget)
    options.alpha = alpha_for_budget(model.graph, extents, *arguments.budget, options);
  std::optional<workflow::LatencyChoice> latency;
  if (arguments.latency_budget) {
    workflow::LatencyOptions wanted = arguments.latency;
    wanted.budget = *arguments.latency_budget;
    latency = workflow::meet_latency_budget(model, extents, options, wanted, tell_terminal);
    options.layer_alphas = latency->layer_alphas;
  }
  Result result{.twin = {.model = {.graph = model.graph, .weights = {}, .preprocessing = {}}}};
  ChannelScores scores;
  if (!arguments.choose_channels.empty()) {
    const workflow::Samples samples(model, arguments.input, arguments.choose_channels,
                                    arguments.images);
    scores = workflow::lost_energy(model, samples);
    result.chosen_on = samples.count();
  }
  result.twin = make_twin(model, options, scores);
  result.alpha = options.alpha;
  result.latency = std::move(latency);
  result.before = cost(model.graph, extents);
  result.after = cost(result.twin.model.graph, extents);
  if (arguments.budget && static_cast<double>(result.after.macs) >
                              *arguments.budget * static_cast<double>(result.before.macs)) {
    // What must stay ordinary for the weights' sake was not known to the search.
    throw InvalidArgument("the twin at alpha " + std::to_string(options.alpha) +
                          " misses the budget, since the weights need more values to stay "
                          "ordinary; choose a larger --alpha");
  }
  if (!arguments.calibrate.empty()) {
    const workflow::Samples samples(model, arguments.input, arguments.calibrate, arguments.images);
    result.calibrated = workflow::calibrate(model, result.twin, samples);
    result.twin.model = std::move(result.calibrated->model);
    result.after = cost(result.twin.model.graph, extents);  // biases may have come
  }
  save_onnx(arguments.output, result.twin.model, export_options(arguments.file, extents));
  if (!arguments.order.empty()) write_order(arguments.order, result.twin);
  if (arguments.json) {
    print_json(result);
  } else {
    print(result);
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
  CLI::Option* latency = how_much->add_option(
      "--latency-budget", arguments->latency_budget,
      "choose an alpha for every stage by measuring, so that the twin takes at most this share of "
      "the time here, e.g. 0.6");
  how_much->require_option(1);
  command->add_option("--threads", arguments->latency.threads, "that are timed")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024))
      ->needs(latency);
  command
      ->add_option("--rounds", arguments->latency.rounds, "of timing, of which the median counts")
      ->capture_default_str()
      ->check(CLI::PositiveNumber)
      ->needs(latency);
  command->add_flag("--exact", arguments->latency.exact, "time without Winograd")->needs(latency);
  CLI::Option* per_layer = command->add_option(
      "--per-layer", arguments->per_layer,
      "JSON file of alphas by the name of a convolution, in place of the others");
  per_layer->excludes(latency);
  add_pixel_options(*command, arguments->pixels);
  command->add_option("--stride-mode", arguments->stride_mode,
                      "pool, pool_twice, pool_low or strided; default: the network's own, for "
                      "files of others strided");
  command->add_option("--policy", arguments->policy,
                      "own: the stages of the network's family take alpha, of files of others all "
                      "up to a total stride of 16; all: every stage");
  command->add_option("--exchange", arguments->exchange, "both, high_to_low, low_to_high or none");
  add_export_options(*command, arguments->file);
  command
      ->add_option("--size", arguments->size,
                   "pixels of the images that the new file takes along each axis, or along all: "
                   "height, width; default: those of the file, 224 where it leaves them open")
      ->expected(1, 3)
      ->check(CLI::PositiveNumber);
  command->add_option(
      "--choose-channels", arguments->choose_channels,
      "folder of pictures, or a data set: send the channels that lose least of them "
      "to the low grid");
  command->add_option("--calibrate", arguments->calibrate,
                      "folder of pictures, or a data set: give every layer the statistics that it "
                      "has on them");
  command
      ->add_option("--images", arguments->images, "take at most so many of either, evenly spread")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  command->add_option("--order", arguments->order,
                      "JSON file to write: the original number of every channel that moved, by "
                      "value");
  command->add_flag("--as-is", arguments->as_is, kAsIsHelp);
  command->add_flag("--json", arguments->json, "print JSON");
  command->add_option("-o,--output", arguments->output, "the file to write")->required();
  command->callback([arguments] { run(*arguments); });
}

}  // namespace octconv::tool
