// SPDX-License-Identifier: Apache-2.0
// What a model sees in a picture.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "octconv/graph/model.h"
#include "octconv/image/image.h"

namespace octconv::workflow {

struct Prediction {
  std::int64_t index = 0;  // of the output
  std::string label;       // its name, or its number where the model has no names
  double probability = 0;  // softmax
};

// Softmax in double, stable for large values; NaN anywhere makes all of it NaN.
std::vector<double> softmax(std::span<const float> logits);

// A model compiled once for many pictures.
class Predictor {
 public:
  // Keeps a reference to the model; `name` stands for it in errors. Throws what check_classifier
  // throws.
  Predictor(const Model& model, const std::string& name);
  Predictor(const Predictor&) = delete;
  Predictor& operator=(const Predictor&) = delete;
  ~Predictor();

  // The `top` most probable classes (or all, if there are fewer), best first. A network of one
  // channel gets the picture as grey. Throws FileError or FormatError for the picture,
  // InvalidArgument for top < 1.
  [[nodiscard]] std::vector<Prediction> predict(const std::filesystem::path& picture,
                                                std::int64_t top);
  // The same for a picture in memory. Throws InvalidArgument if its channels do not fit.
  [[nodiscard]] std::vector<Prediction> predict(const Image& picture, std::int64_t top);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace octconv::workflow
