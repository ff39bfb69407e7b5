// SPDX-License-Identifier: Apache-2.0
#include "workflow/compare.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <deque>

#include "base/processor.h"
#include "octconv/base/error.h"
#include "octconv/base/file.h"
#include "octconv/base/parallel.h"
#include "octconv/engine/network.h"
#include "octconv/graph/cost.h"
#include "octconv/graph/zoo.h"
#include "octconv/octave/channel_split.h"
#include "octconv/onnx/onnx.h"
#include "report/number.h"
#include "workflow/compare_report.h"
#include "workflow/preprocess.h"
#include "workflow/training_lines.h"

namespace octconv::workflow {
namespace {

// Rounds of timing: medians of fewer move by several percent on a machine that does other things
// too.
constexpr std::int64_t kBatchRounds = 15;
constexpr std::int64_t kSingleRounds = 51;
constexpr std::size_t kShownNodes = 3;
constexpr std::size_t kShownMaps = 5;
constexpr std::int64_t kShownImage = 0;
constexpr std::int64_t kShownPredictions = 3;

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::array<char, 32> buffer;
  return {buffer.data(), std::strftime(buffer.data(), buffer.size(), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

Graph variant_graph(const CompareOptions& options, const Dataset& data, double alpha) {
  const Graph ordinary =
      make_network(options.network, {.in_channels = data.train.channels,
                                     .classes = static_cast<std::int64_t>(data.classes.size())});
  return octavize(ordinary, {.alpha = alpha, .stride_mode = options.stride_mode}).graph;
}

void check_alphas(const std::vector<double>& alphas) {
  if (alphas.empty()) throw InvalidArgument("compare: needs at least one alpha");
  for (std::size_t i = 0; i < alphas.size(); ++i) {
    check_alpha(alphas[i], "compare");
    if (std::find(alphas.begin(), alphas.begin() + static_cast<std::ptrdiff_t>(i), alphas[i]) !=
        alphas.begin() + static_cast<std::ptrdiff_t>(i)) {
      throw InvalidArgument("compare: alpha " + report::shortest(alphas[i]) + " is listed twice");
    }
  }
}

void check_output(const CompareOptions& options) {
  make_folder(options.out);
  std::vector<std::string> names{kResultsName, kReportName};
  for (const double alpha : options.alphas) {
    names.push_back(variant_file_name(options.network, alpha));
  }
  for (const std::string& name : names) {
    std::error_code error;
    if (std::filesystem::is_directory(options.out / name, error)) {
      throw FileError("cannot write '" + (options.out / name).string() + "': it is a folder");
    }
  }
}

// Times all variants in turns, on test images.
void measure(const std::vector<Model>& models, const Dataset& data,
             std::vector<Variant>& variants) {
  std::deque<Network> networks;
  for (const Model& model : models) networks.push_back(compile(model));
  const auto time_batch = [&](std::int64_t size, std::int64_t rounds) {
    const Tensor input = Preprocessor(models.front()).batch_of(data.test, 0, size);
    std::deque<Session> sessions;
    for (const Network& network : networks) sessions.emplace_back(network);
    Tensor output = sessions.front().run(input);
    std::vector<std::function<void()>> bodies;
    for (Session& session : sessions) bodies.emplace_back([&] { session.run(input, output); });
    return measure_in_turns(bodies, rounds);
  };
  const std::int64_t size = std::min(kTimedBatch, data.test.count());
  const std::vector<Timing> batches = time_batch(size, kBatchRounds);
  const std::vector<Timing> singles = time_batch(1, kSingleRounds);
  for (std::size_t i = 0; i < variants.size(); ++i) {
    variants[i].batch = {.median_ns = batches[i].median_ns / static_cast<double>(size),
                         .ratio = batches[i].ratio};
    variants[i].single = singles[i];
  }
}

std::optional<InsideView> look_inside(const std::vector<Model>& models, const Dataset& data,
                                      const std::vector<Variant>& variants) {
  for (std::size_t i = 0; i < models.size(); ++i) {
    const std::vector<NodeId> nodes = octave_nodes(models[i].graph, kShownNodes);
    if (nodes.empty()) continue;
    const Tensor input = Preprocessor(models[i]).batch_of(data.test, kShownImage, 1);
    Predictor predictor(models[i], variants[i].file.string());
    return InsideView{
        .alpha = variants[i].alpha,
        .image = kShownImage,
        .predictions = predictor.predict(image_at(data.test, kShownImage), kShownPredictions),
        .maps = frequency_maps(models[i], input, nodes, kShownMaps)};
  }
  return std::nullopt;
}

}  // namespace

std::string variant_file_name(const std::string& network, double alpha) {
  return network + "-alpha" + report::shortest(alpha) + ".onnx";
}

Dataset check_compare(const CompareOptions& options) {
  check_plan(options.plan);
  check_alphas(options.alphas);
  static_cast<void>(make_network(options.network));
  Dataset data = open_dataset(options.data);
  if (data.train.are_clips()) {
    throw Unsupported("compare: data set '" + data.name +
                      "' holds videos, and the report shows pictures");
  }
  for (const double alpha : options.alphas) {
    static_cast<void>(
        cost(variant_graph(options, data, alpha), {data.train.height, data.train.width}));
  }
  check_output(options);
  return data;
}

Comparison compare(const CompareOptions& options, const Progress& progress) {
  const Dataset data = check_compare(options);
  const std::int64_t wanted = options.plan.train_images;
  Comparison comparison{
      .options = options,
      .data_name = data.name,
      .train_images = wanted == 0 ? data.train.count() : std::min(wanted, data.train.count()),
      .test_images = data.test.count(),
      .height = data.train.height,
      .width = data.train.width,
      .channels = data.train.channels,
      .classes = static_cast<std::int64_t>(data.classes.size()),
      .threads = thread_count(),
      .processor = processor_name(),
      .started = utc_now(),
      .picture = image_at(data.test, kShownImage),
      .picture_class = data.classes[static_cast<std::size_t>(data.test.labels[kShownImage])]};
  std::vector<Model> reloaded;
  for (const double alpha : options.alphas) {
    const Graph graph = variant_graph(options, data, alpha);
    const Cost counted = cost(graph, {data.train.height, data.train.width});
    Variant variant{.alpha = alpha,
                    .file = options.out / variant_file_name(options.network, alpha),
                    .params = counted.params,
                    .macs = counted.macs};
    TrainingResult trained = train_network(
        graph, data, options.plan,
        tell_lines("alpha " + report::shortest(alpha), options.plan.epochs, progress));
    variant.epochs = std::move(trained.epochs);
    save_onnx(variant.file, trained.model);
    reloaded.push_back(load_onnx(variant.file));
    variant.evaluation = evaluate(reloaded.back(), variant.file.string(), data);
    comparison.variants.push_back(std::move(variant));
  }
  progress("timing in the engine");
  measure(reloaded, data, comparison.variants);
  comparison.inside = look_inside(reloaded, data, comparison.variants);
  write_file(options.out / kResultsName, compare_json(comparison));
  write_file(options.out / kReportName, compare_html(comparison));
  return comparison;
}

}  // namespace octconv::workflow
