// SPDX-License-Identifier: Apache-2.0
#include "workflow/evaluate.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <vector>

#include "octconv/base/error.h"
#include "octconv/base/parallel.h"
#include "octconv/engine/network.h"
#include "octconv/graph/cost.h"
#include "workflow/predict.h"
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

void check_options(const EvaluateOptions& options, const Dataset& data) {
  if (options.size < 0 || options.size > kMaxSize) {
    throw InvalidArgument("eval: size must be in [1, " + std::to_string(kMaxSize) + "], got " +
                          std::to_string(options.size));
  }
  if (data.test.are_clips()) return;
  const auto refuse = [&](const char* option, std::int64_t value) {
    if (value == 0) return;
    throw InvalidArgument("eval: " + std::string(option) + " " + std::to_string(value) +
                          " is for videos, and data set '" + data.name + "' holds pictures");
  };
  refuse("views", options.views);
  refuse("frame stride", options.frame_stride);
}

// Files as they are cut for a network.
LabelledImages cut_for(const Model& model, const Shape& extents, const LabelledImages& files,
                       const EvaluateOptions& options) {
  LabelledImages cut = files;
  cut.width = extents[extents.rank() - 1];
  cut.height = extents[extents.rank() - 2];
  if (!files.are_clips()) return cut;
  cut.frames = extents[0];
  const std::int64_t own = model.preprocessing.frame_stride;
  cut.frame_stride = own != 0 ? own : ClipTiming().stride;
  if (options.frame_stride != 0) cut.frame_stride = options.frame_stride;
  check(cut.timing());
  return cut;
}

// A network, and what it says of images and clips.
class Classifier {
 public:
  Classifier(const Model& model, const Shape& extents)
      : most_(std::clamp(kPixels / extents.elements(), std::int64_t{1}, kBatch)),
        classes_(static_cast<std::size_t>(output_classes(model))),
        preprocessor_(model, extents),
        network_(compile(model)),
        session_(network_) {}

  // Inputs of a batch at most.
  [[nodiscard]] std::int64_t most() const noexcept { return most_; }

  // The outputs for images [first, first + count).
  Tensor answers(const LabelledImages& images, std::int64_t first, std::int64_t count) {
    return session_.run(preprocessor_.batch_of(images, first, count));
  }

  // The logarithms of the probabilities, averaged over the clips.
  std::vector<float> answer(const std::vector<Clip>& clips) {
    const auto count = static_cast<std::int64_t>(clips.size());
    std::vector<double> sums(classes_);
    for (std::int64_t first = 0; first < count; first += most_) {
      const std::int64_t batch = std::min(most_, count - first);
      Tensor input = preprocessor_.make_batch(batch);
      for (std::int64_t i = 0; i < batch; ++i)
        preprocessor_.fill(clips[static_cast<std::size_t>(first + i)], input, i);
      const Tensor logits = session_.run(input);
      for (std::size_t i = 0; i < static_cast<std::size_t>(batch); ++i) {
        const std::vector<double> own = softmax(logits.values().subspan(i * classes_, classes_));
        for (std::size_t c = 0; c < classes_; ++c) sums[c] += own[c];
      }
    }
    constexpr double kLeast = 1e-300;  // what rounds to 0 is still a number
    std::vector<float> result;
    for (const double sum : sums)
      result.push_back(
          static_cast<float>(std::log(std::max(sum / static_cast<double>(count), kLeast))));
    return result;
  }

 private:
  std::int64_t most_;
  std::size_t classes_;
  Preprocessor preprocessor_;
  Network network_;
  Session session_;
};

void add(std::span<const float> logits, std::int32_t label, DetailedEvaluation& result) {
  const auto row = static_cast<std::size_t>(label);
  add_result(logits, label, result.total);
  add_result(logits, label, result.classes[row]);
  if (!std::all_of(logits.begin(), logits.end(), [](float value) { return std::isfinite(value); }))
    return;
  const auto taken = std::max_element(logits.begin(), logits.end()) - logits.begin();
  ++result.taken_for[row * logits.size() + static_cast<std::size_t>(taken)];
}

}  // namespace

Views views_of(std::int64_t views) {
  if (views != 1 && views != 3 && views != 10 && views != 30) {
    throw InvalidArgument("views must be 1, 3, 10 or 30, got " + std::to_string(views));
  }
  return {.clips = views >= 10 ? 10 : 1, .three_crops = views % 3 == 0};
}

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

namespace {

// Calls body(i, clips of video i) for one video after the other, of which one for each thread is
// decoded at a time.
template <class Body>
void for_videos(const LabelledImages& files, std::int64_t count, const Views& views,
                const Body& body) {
  const std::int64_t most = thread_count();
  for (std::int64_t first = 0; first < count; first += most) {
    const std::int64_t videos = std::min(most, count - first);
    std::vector<std::vector<Clip>> clips(static_cast<std::size_t>(videos));
    std::vector<std::exception_ptr> failures(clips.size());
    parallel_for(videos, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const auto at = static_cast<std::size_t>(i);
        try {
          clips[at] = views_at(files, first + i, views);
        } catch (...) {
          failures[at] = std::current_exception();
        }
      }
    });
    for (std::size_t i = 0; i < clips.size(); ++i) {
      if (failures[i]) std::rethrow_exception(failures[i]);
      body(first + static_cast<std::int64_t>(i), clips[i]);
    }
  }
}

}  // namespace

Evaluation evaluate(const Model& model, const std::string& name, const Dataset& data,
                    std::int64_t images) {
  return evaluate_in_detail(model, name, data, {.images = images}).total;
}

DetailedEvaluation evaluate_in_detail(const Model& model, const std::string& name,
                                      const Dataset& data, const EvaluateOptions& options) {
  const bool clips = data.test.are_clips();
  check_classifier(model, name, clips ? Subject::kClip : Subject::kPicture);
  check_fits(model, name, data);
  check_options(options, data);
  Shape extents = model.preprocessing.extents;
  for (std::size_t axis = clips ? 1 : 0; axis < extents.rank() && options.size > 0; ++axis)
    extents[axis] = options.size;
  LabelledImages cut;
  if (data.test.are_files()) cut = cut_for(model, extents, data.test, options);
  const LabelledImages& test = data.test.are_files() ? cut : data.test;
  const std::int64_t available = test.count();
  const std::int64_t count = options.images == 0 ? available : std::min(options.images, available);
  const auto classes = static_cast<std::size_t>(output_classes(model));
  DetailedEvaluation result{.height = extents[clips ? 1 : 0],
                            .width = extents[clips ? 2 : 1],
                            .macs = cost(model.graph, extents).macs,
                            .classes = std::vector<Evaluation>(classes),
                            .taken_for = std::vector<std::int64_t>(classes * classes)};
  Classifier classifier(model, extents);
  if (clips) {
    const Views views = views_of(options.views == 0 ? 1 : options.views);
    result.frames = test.frames;
    result.frame_stride = test.frame_stride;
    result.views = views.clips * (views.three_crops ? 3 : 1);
    for_videos(test, count, views, [&](std::int64_t i, const std::vector<Clip>& seen) {
      add(classifier.answer(seen), test.labels[static_cast<std::size_t>(i)], result);
    });
    return result;
  }
  for (std::int64_t first = 0; first < count; first += classifier.most()) {
    const std::int64_t batch = std::min(classifier.most(), count - first);
    const Tensor logits = classifier.answers(test, first, batch);
    for (std::int64_t i = 0; i < batch; ++i) {
      add(logits.values().subspan(static_cast<std::size_t>(i) * classes, classes),
          test.labels[static_cast<std::size_t>(first + i)], result);
    }
  }
  return result;
}

}  // namespace octconv::workflow
