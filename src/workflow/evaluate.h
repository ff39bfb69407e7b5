// SPDX-License-Identifier: Apache-2.0
// How well a model does on labelled images, computed by the engine.
#pragma once

#include <cstdint>
#include <span>
#include <string>

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

// Adds one image's outputs. An output that is not a number is never correct, and the loss becomes
// one.
void add_result(std::span<const float> logits, std::int32_t label, Evaluation& evaluation);

// The first `images` test images (0: all) of a data set; `name` stands for the model in errors.
//
// Throws what check_classifier throws; InvalidArgument if the model's channels or classes are not
// the data set's.
Evaluation evaluate(const Model& model, const std::string& name, const Dataset& data,
                    std::int64_t images = 0);

}  // namespace octconv::workflow
