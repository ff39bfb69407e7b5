// SPDX-License-Identifier: Apache-2.0
#include "workflow/evaluate.h"

#include <algorithm>
#include <cmath>

#include "octconv/base/error.h"
#include "octconv/engine/network.h"
#include "octconv/graph/cost.h"
#include "workflow/preprocess.h"

namespace octconv::workflow {
namespace {

// Enough to keep the engine busy, little memory; of large images fewer.
constexpr std::int64_t kBatch = 100;
constexpr std::int64_t kPixels = kBatch * 224 * 224;
constexpr std::int64_t kTop = 5;
constexpr std::int64_t kMaxSize = std::int64_t{1} << 14;

void check_fits(const Model& model, const std::string& name, const Dataset& data) {
  const auto refuse = [&](const char* what, std::int64_t of_model, std::int64_t of_data) {
    if (of_model == of_data) return;
    throw InvalidArgument("'" + name + "' has " + std::to_string(of_model) + " " + what +
                          ", but data set '" + data.name + "' has " + std::to_string(of_data));
  };
  refuse("input channels", input_channels(model), data.test.channels);
  refuse("classes", output_classes(model), static_cast<std::int64_t>(data.classes.size()));
}

}  // namespace

void add_result(std::span<const float> logits, std::int32_t label, Evaluation& evaluation) {
  const double own = logits[static_cast<std::size_t>(label)];
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  std::int64_t better = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    sum += std::exp(logits[i] - largest);
    // Of equal outputs the first class is taken, as by a search for the maximum.
    const bool earlier = i < static_cast<std::size_t>(label);
    if (logits[i] > own || (logits[i] == own && earlier)) ++better;
  }
  const double loss = largest + std::log(sum) - own;
  ++evaluation.images;
  if (std::isfinite(loss)) {
    if (better == 0) ++evaluation.top1_correct;
    if (better < kTop) ++evaluation.top5_correct;
  }
  evaluation.loss += (loss - evaluation.loss) / static_cast<double>(evaluation.images);
}

std::int64_t DetailedEvaluation::confused_with(std::int64_t label) const {
  const auto count = static_cast<std::int64_t>(classes.size());
  std::int64_t most = 0;
  std::int64_t found = -1;
  for (std::int64_t other = 0; other < count; ++other) {
    const std::int64_t images = taken_for[static_cast<std::size_t>(label * count + other)];
    if (other == label || images <= most) continue;
    most = images;
    found = other;
  }
  return found;
}

Evaluation evaluate(const Model& model, const std::string& name, const Dataset& data,
                    std::int64_t images) {
  return evaluate_in_detail(model, name, data, {.images = images}).total;
}

DetailedEvaluation evaluate_in_detail(const Model& model, const std::string& name,
                                      const Dataset& data, const EvaluateOptions& options) {
  check_classifier(model, name);
  check_fits(model, name, data);
  if (options.size < 0 || options.size > kMaxSize) {
    throw InvalidArgument("eval: size must be in [1, " + std::to_string(kMaxSize) + "], got " +
                          std::to_string(options.size));
  }
  const Shape extents =
      options.size == 0 ? model.preprocessing.extents : Shape{options.size, options.size};
  const std::int64_t available = data.test.count();
  const std::int64_t count = options.images == 0 ? available : std::min(options.images, available);
  const auto classes = static_cast<std::size_t>(output_classes(model));
  DetailedEvaluation result{.height = extents[0],
                            .width = extents[1],
                            .macs = cost(model.graph, extents).macs,
                            .classes = std::vector<Evaluation>(classes),
                            .taken_for = std::vector<std::int64_t>(classes * classes)};
  // Files are cut for the network; what is in memory is resized.
  LabelledImages cut;
  if (data.test.are_files()) {
    cut = data.test;
    cut.height = extents[0];
    cut.width = extents[1];
  }
  const LabelledImages& test = data.test.are_files() ? cut : data.test;
  const std::int64_t most =
      std::clamp(kPixels / (extents[0] * extents[1]), std::int64_t{1}, kBatch);
  const Preprocessor preprocessor(model, extents);
  const Network network = compile(model);
  Session session(network);
  for (std::int64_t first = 0; first < count; first += most) {
    const std::int64_t batch = std::min(most, count - first);
    const Tensor logits = session.run(preprocessor.batch_of(test, first, batch));
    for (std::int64_t i = 0; i < batch; ++i) {
      const std::span<const float> own =
          logits.values().subspan(static_cast<std::size_t>(i) * classes, classes);
      const std::int32_t label = test.labels[static_cast<std::size_t>(first + i)];
      add_result(own, label, result.total);
      add_result(own, label, result.classes[static_cast<std::size_t>(label)]);
      if (std::all_of(own.begin(), own.end(), [](float value) { return std::isfinite(value); })) {
        const auto taken = std::max_element(own.begin(), own.end()) - own.begin();
        ++result.taken_for[static_cast<std::size_t>(label) * classes +
                           static_cast<std::size_t>(taken)];
      }
    }
  }
  return result;
}

}  // namespace octconv::workflow
