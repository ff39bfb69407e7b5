// SPDX-License-Identifier: Apache-2.0
// How well a model does on labelled images or clips, computed by the engine.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "octconv/graph/model.h"
#include "octconv/image/dataset.h"

namespace octconv::workflow {

struct Evaluation {
  std::int64_t images = 0;
  std::int64_t top1_correct = 0;
  std::int64_t top5_correct = 0;  // of at most five best classes
  double loss = 0;                // mean cross-entropy, in nats

  [[nodiscard]] double top1() const {
    return static_cast<double>(top1_correct) / static_cast<double>(images);
  }
  [[nodiscard]] double top5() const {
    return static_cast<double>(top5_correct) / static_cast<double>(images);
  }
};

struct EvaluateOptions {
  std::int64_t images = 0;  // the first so many test images; 0: all
  std::int64_t size = 0;    // height and width of the network's input; 0: the model's own
  // Of clips, refused for images.
  std::int64_t views = 0;         // that an answer is the mean of, as views_of takes them; 0: 1
  std::int64_t frame_stride = 0;  // 0: the model's own, or 8 where it does not say
};

// Clips of a video, and three crops of each or one: 1, 3 (1 clip), 10 or 30 (10 clips). Source:
// Wang et al., "Non-local Neural Networks", CVPR 2018, section 5.1. Throws InvalidArgument for
// another number.
Views views_of(std::int64_t views);

// The same, and how each class does.
struct DetailedEvaluation {
  std::int64_t height = 0;  // of the network's input
  std::int64_t width = 0;
  std::int64_t macs = 0;  // multiply-adds for one image, or for one view of a video
  // Of clips; else 0.
  std::int64_t frames = 0;
  std::int64_t frame_stride = 0;
  std::int64_t views = 0;
  Evaluation total;
  std::vector<Evaluation> classes;  // of each class's own images
  // Images of a class (the rows) that were taken for each class (the columns): classes * classes.
  // One whose outputs are not all numbers was taken for none.
  std::vector<std::int64_t> taken_for;

  // The class other than its own that most of a class's images were taken for, the first of
  // several; -1 if there is none.
  [[nodiscard]] std::int64_t confused_with(std::int64_t label) const;
};

// Adds one image's outputs. An output that is not a number is never correct, and the loss becomes
// one.
void add_result(std::span<const float> logits, std::int32_t label, Evaluation& evaluation);

// The first `images` test images (0: all) of a data set; `name` stands for the model in errors.
//
// Images in memory are resized to what the network takes. Of files the middle is cut out for it. Of
// several views of a video the probabilities are averaged.
//
// Throws what check_classifier throws; InvalidArgument if the model's channels or classes are not
// the data set's, or a size is outside [1, 2^14] or too small for the network.
Evaluation evaluate(const Model& model, const std::string& name, const Dataset& data,
                    std::int64_t images = 0);
DetailedEvaluation evaluate_in_detail(const Model& model, const std::string& name,
                                      const Dataset& data, const EvaluateOptions& options = {});

}  // namespace octconv::workflow
