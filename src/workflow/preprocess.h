// SPDX-License-Identifier: Apache-2.0
// From pictures and clips to what a network takes.
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

// What a network classifies.
enum class Subject {
  kPicture,  // two-dimensional
  kClip,     // three-dimensional: frames, height, width
};

// What classification commands need of a model: one input of so many dimensions and 1 or 3
// channels, one output of classes, known preprocessing. Throws Unsupported naming what is missing;
// `name` stands for the model.
void check_classifier(const Model& model, const std::string& name,
                      Subject subject = Subject::kPicture);

// The part of it that is about the input.
void check_takes(const Model& model, const std::string& name, Subject subject);
inline void check_takes_pictures(const Model& model, const std::string& name) {
  check_takes(model, name, Subject::kPicture);
}

// Of a model that passed check_takes, or check_classifier.
std::int64_t input_channels(const Model& model);
std::int64_t output_classes(const Model& model);

// Makes inputs for one model.
class Preprocessor {
 public:
  // Requires check_takes(model) of either subject.
  explicit Preprocessor(const Model& model) : Preprocessor(model, model.preprocessing.extents) {}
  // For inputs of other extents than the model's own, of the same rank.
  Preprocessor(const Model& model, const Shape& extents);

  // [batch, channels, extents...], to be filled image by image, or clip by clip.
  [[nodiscard]] Tensor make_batch(std::int64_t batch) const;
  // Resizes to the model's extents where they differ, then (pixel / 255 - mean) / deviation per
  // channel. Throws InvalidArgument if the image has another number of channels.
  void fill(const Image& image, Tensor& batch, std::int64_t position) const;
  // A clip of the extents that inputs have. Throws InvalidArgument for one of others.
  void fill(const Clip& clip, Tensor& batch, std::int64_t position) const;
  // Images [first, first + count) of a set as one batch.
  [[nodiscard]] Tensor batch_of(const LabelledImages& images, std::int64_t first,
                                std::int64_t count) const;

 private:
  void write(const std::uint8_t* src, Tensor& batch, std::int64_t position) const;

  std::int64_t channels_;
  Shape extents_;
  std::vector<std::array<float, 256>> levels_;  // per channel: what each pixel value becomes
};

}  // namespace octconv::workflow
