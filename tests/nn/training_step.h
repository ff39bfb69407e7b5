// SPDX-License-Identifier: Apache-2.0
// What one training step of a module comes to.
#pragma once

#include <map>
#include <string>

#include <torch/torch.h>

#include "octconv/nn/graph_module.h"

namespace octconv::nn {

struct TrainingStep {
  at::Tensor scores;
  std::map<std::string, at::Tensor> tensors;  // gradients of parameters, buffers as they are left
};

// On the cross entropy with labels 0, 1, ... again and again.
inline TrainingStep training_step(GraphModule module, const at::Tensor& images,
                                  const Dropout& dropout = {}) {
  TrainingStep step{.scores = module.forward(images, dropout)};
  const at::Tensor labels = at::arange(images.size(0)) % step.scores.size(1);
  at::cross_entropy_loss(step.scores, labels).backward();
  for (const auto& [name, tensor] : module.named_parameters()) step.tensors[name] = tensor.grad();
  for (const auto& [name, tensor] : module.named_buffers()) step.tensors[name] = tensor.clone();
  return step;
}

}  // namespace octconv::nn
