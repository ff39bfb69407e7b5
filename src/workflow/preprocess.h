// SPDX-License-Identifier: Apache-2.0
// From pictures to what a network takes.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "octconv/graph/model.h"
#include "octconv/image/dataset.h"
#include "octconv/image/image.h"
#include "octconv/tensor/tensor.h"

namespace octconv::workflow {

// What image-classification commands need of a model: one two-dimensional input of 1 or 3 channels,
// one output of classes, known preprocessing. Throws Unsupported naming what is missing; `name`
// stands for the model.
void check_classifier(const Model& model, const std::string& name);

// The part of it that is about the input.
void check_takes_pictures(const Model& model, const std::string& name);

// Of a model that passed check_takes_pictures, or check_classifier.
std::int64_t input_channels(const Model& model);
std::int64_t output_classes(const Model& model);

// Makes inputs for one model.
class Preprocessor {
 public:
  // Requires check_takes_pictures(model).
  explicit Preprocessor(const Model& model) : Preprocessor(model, model.preprocessing.extents) {}
  // For inputs of other extents than the model's own.
  Preprocessor(const Model& model, const Shape& extents);

  // [batch, channels, height, width], to be filled image by image.
  [[nodiscard]] Tensor make_batch(std::int64_t batch) const;
  // Resizes to the model's extents where they differ, then (pixel / 255 - mean) / deviation per
  // channel. Throws InvalidArgument if the image has another number of channels.
  void fill(const Image& image, Tensor& batch, std::int64_t position) const;
  // Images [first, first + count) of a set as one batch.
  [[nodiscard]] Tensor batch_of(const LabelledImages& images, std::int64_t first,
                                std::int64_t count) const;

 private:
  std::int64_t channels_;
  Shape extents_;
  std::vector<std::array<float, 256>> levels_;  // per channel: what each pixel value becomes
};

}  // namespace octconv::workflow
