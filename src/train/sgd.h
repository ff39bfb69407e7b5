// SPDX-License-Identifier: Apache-2.0
// Stochastic gradient descent with Nesterov momentum.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

namespace octconv::train {

/// A tensor that is trained.
struct Trained {
  std::string name;
  at::Tensor value;
  double weight_decay = 0;
};

/// Scales the gradients that the tensors hold by min(1, max_norm / norm), where norm is the
/// Euclidean norm of all of them together (Pascanu, Mikolov, Bengio, ICML 2013). Returns norm.
double clip_gradients(const std::vector<Trained>& trained, double max_norm);

/// PyTorch's rule (torch.optim.SGD with nesterov): g += decay * w; v = momentum * v + g (v = g at
/// first); w -= rate * (g + momentum * v).
class Sgd {
 public:
  Sgd(std::vector<Trained> trained, double momentum);

  /// Takes one step along the gradients that the tensors hold, and drops these.
  void step(double learning_rate);

  /// What must be kept to continue: the velocity of each tensor, undefined before its first step.
  [[nodiscard]] const at::Tensor& velocity(std::size_t i) const { return velocity_[i]; }
  void set_velocity(std::size_t i, at::Tensor velocity) { velocity_[i] = std::move(velocity); }
  [[nodiscard]] const std::vector<Trained>& trained() const noexcept { return trained_; }

 private:
  std::vector<Trained> trained_;
  std::vector<at::Tensor> velocity_;
  double momentum_;
};

}  // namespace octconv::train
