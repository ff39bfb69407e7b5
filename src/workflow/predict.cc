// SPDX-License-Identifier: Apache-2.0
#include "workflow/predict.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "octconv/base/error.h"
#include "octconv/engine/network.h"
#include "workflow/preprocess.h"

namespace octconv::workflow {
namespace {

const Model& checked(const Model& model, const std::string& name) {
  check_classifier(model, name);
  return model;
}

}  // namespace

std::vector<double> softmax(std::span<const float> logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  std::vector<double> probabilities;
  for (const float logit : logits) probabilities.push_back(std::exp(logit - largest));
  const double sum = std::accumulate(probabilities.begin(), probabilities.end(), 0.0);
  for (double& probability : probabilities) probability /= sum;
  return probabilities;
}

struct Predictor::Impl {
  Impl(const Model& made, const std::string& name)
      : model(checked(made, name)),
        preprocessor(model),
        network(compile(model)),
        session(network) {}

  const Model& model;
  Preprocessor preprocessor;
  Network network;
  Session session;
};

Predictor::Predictor(const Model& model, const std::string& name)
    : impl_(std::make_unique<Impl>(model, name)) {}

Predictor::~Predictor() = default;

std::vector<Prediction> Predictor::predict(const std::filesystem::path& picture, std::int64_t top) {
  return predict(read_image(picture, input_channels(impl_->model)), top);
}

std::vector<Prediction> Predictor::predict(const Image& picture, std::int64_t top) {
  if (top < 1) throw InvalidArgument("predict: top must be at least 1, got " + std::to_string(top));
  Tensor input = impl_->preprocessor.make_batch(1);
  impl_->preprocessor.fill(picture, input, 0);
  const Tensor logits = impl_->session.run(input);
  const std::vector<double> probabilities = softmax(logits.values());
  std::vector<std::size_t> order(probabilities.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return probabilities[a] > probabilities[b];
  });
  order.resize(std::min(order.size(), static_cast<std::size_t>(top)));
  const std::vector<std::string>& names = impl_->model.preprocessing.classes;
  std::vector<Prediction> predictions;
  for (const std::size_t index : order) {
    predictions.push_back({.index = static_cast<std::int64_t>(index),
                           .label = names.empty() ? std::to_string(index) : names[index],
                           .probability = probabilities[index]});
  }
  return predictions;
}

}  // namespace octconv::workflow
