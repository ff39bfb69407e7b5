// SPDX-License-Identifier: Apache-2.0
#include "train/sgd.h"

#include <cmath>

#include <ATen/ATen.h>

namespace octconv::train {

double clip_gradients(const std::vector<Trained>& trained, double max_norm) {
  const at::NoGradGuard guard;
  double squares = 0;
  for (const Trained& tensor : trained) {
    const at::Tensor& gradient = tensor.value.grad();
    if (gradient.defined()) squares += std::pow(gradient.norm().item<double>(), 2);
  }
  const double norm = std::sqrt(squares);
  if (norm <= max_norm) return norm;
  for (const Trained& tensor : trained) {
    at::Tensor gradient = tensor.value.grad();
    if (gradient.defined()) gradient.mul_(max_norm / norm);
  }
  return norm;
}

Sgd::Sgd(std::vector<Trained> trained, double momentum)
    : trained_(std::move(trained)), velocity_(trained_.size()), momentum_(momentum) {}

void Sgd::step(double learning_rate) {
  const at::NoGradGuard guard;
  for (std::size_t i = 0; i < trained_.size(); ++i) {
    at::Tensor value = trained_[i].value;
    at::Tensor gradient = std::exchange(value.mutable_grad(), at::Tensor());
    if (!gradient.defined()) continue;
    if (trained_[i].weight_decay != 0) gradient = gradient.add(value, trained_[i].weight_decay);
    at::Tensor& velocity = velocity_[i];
    if (velocity.defined()) {
      velocity.mul_(momentum_).add_(gradient);
    } else {
      velocity = gradient.clone();
    }
    value.add_(gradient.add(velocity, momentum_), -learning_rate);
  }
}

}  // namespace octconv::train
