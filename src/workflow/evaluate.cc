// SPDX-License-Identifier: Apache-2.0
#include "workflow/evaluate.h"

#include <algorithm>
#include <cmath>

#include "octconv/base/error.h"
#include "octconv/engine/network.h"
#include "workflow/preprocess.h"

namespace octconv::workflow {
namespace {

// Enough to keep the engine busy, little memory.
constexpr std::int64_t kBatch = 100;
constexpr std::int64_t kTop = 5;

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

Evaluation evaluate(const Model& model, const std::string& name, const Dataset& data,
                    std::int64_t images) {
  check_classifier(model, name);
  check_fits(model, name, data);
  const std::int64_t count = images == 0 ? data.test.count() : std::min(images, data.test.count());
  const Preprocessor preprocessor(model);
  const Network network = compile(model);
  Session session(network);
  const auto classes = static_cast<std::size_t>(output_classes(model));
  Evaluation evaluation;
  for (std::int64_t first = 0; first < count; first += kBatch) {
    const std::int64_t batch = std::min(kBatch, count - first);
    const Tensor logits = session.run(preprocessor.batch_of(data.test, first, batch));
    for (std::int64_t i = 0; i < batch; ++i) {
      add_result(logits.values().subspan(static_cast<std::size_t>(i) * classes, classes),
                 data.test.labels[static_cast<std::size_t>(first + i)], evaluation);
    }
  }
  return evaluation;
}

}  // namespace octconv::workflow
