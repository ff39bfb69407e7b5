// SPDX-License-Identifier: Apache-2.0
// Stochastic gradient descent with momentum, in one pass over memory.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include "octconv/base/api.h"

namespace octconv::train {

/// A tensor that is trained.
struct Trained {
  std::string name;         ///< for messages
  at::Tensor value;         ///< float or double, on the CPU; its gradient is where autograd puts it
  double weight_decay = 0;  ///< times the value is added to its gradient, >= 0
};

/// Scales the gradients that the tensors hold by min(1, max_norm / norm), where norm is the
/// Euclidean norm of all of them together (Pascanu, Mikolov, Bengio, ICML 2013). Returns norm.
OCTCONV_API double clip_gradients(const std::vector<Trained>& trained, double max_norm);

/// Which way a step goes.
enum class Momentum {
  kPlain,     ///< along the velocity
  kNesterov,  ///< along where the velocity will be
};

/// PyTorch's rule (torch.optim.SGD): g += decay * w; v = momentum * v + g (v = g at first);
/// w -= rate * v, with Nesterov's momentum w -= rate * (g + momentum * v).
///
/// LibTorch's own takes a pass over all weights for each of these operations, and keeps gradients
/// from step to step, which then are zeroed and added to.
class Sgd {
 public:
  /// @throws Unsupported unless the tensors are of type float or double, on the CPU
  OCTCONV_API Sgd(std::vector<Trained> trained, double momentum, Momentum kind);

  /// Takes one step along the gradients that the tensors hold, and drops these. A tensor without a
  /// gradient stays as it is.
  OCTCONV_API void step(double learning_rate);

  /// What must be kept to continue: the velocity of each tensor, undefined before its first step.
  [[nodiscard]] const at::Tensor& velocity(std::size_t i) const { return velocity_[i]; }
  /// Continues with what was kept: a tensor of the value's shape and type.
  void set_velocity(std::size_t i, at::Tensor velocity) { velocity_[i] = std::move(velocity); }
  /// What the constructor was given.
  [[nodiscard]] const std::vector<Trained>& trained() const noexcept { return trained_; }

 private:
  std::vector<Trained> trained_;
  std::vector<at::Tensor> velocity_;
  double momentum_;
  Momentum kind_;
};

}  // namespace octconv::train
