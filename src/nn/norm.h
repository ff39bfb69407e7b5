// SPDX-License-Identifier: Apache-2.0
// Batch norm with the residual and the rectifier that follow it, as one operation.
#pragma once

#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include "octconv/graph/ops.h"
#include "octconv/nn/oct_tensor.h"

namespace octconv::nn {

/// Tensors of a batch norm, each [channels].
struct NormTensors {
  at::Tensor weight;
  at::Tensor bias;
  at::Tensor running_mean;
  at::Tensor running_var;
};

/// How the result of a batch norm in training is made again from what it read, to the bit:
/// relu(source * scale + shift). Whoever saves the source instead of the result saves nothing new,
/// since the batch norm saves it anyway.
///
/// Tensors that autograd saves are kept apart from the rest: `saved` for autograd, and `recipe`.
class Remade {
 public:
  /// What is made again, without the tensor that it is made from.
  struct Recipe {
    std::vector<float> scale;  ///< [channels]; empty: the tensor itself is what was saved
    std::vector<float> shift;  ///< [channels]
    bool rectified = false;

    /// The value, from what was saved.
    [[nodiscard]] at::Tensor make(const at::Tensor& saved) const;
  };

  /// Nothing can be made again.
  Remade() = default;
  Remade(at::Tensor source, Recipe recipe)
      : source_(std::move(source)), recipe_(std::move(recipe)) {}

  [[nodiscard]] bool possible() const { return source_.defined(); }
  /// What to save for `value`: the source, or the value itself if it cannot be made again.
  [[nodiscard]] const at::Tensor& saved(const at::Tensor& value) const {
    return possible() ? source_ : value;
  }
  [[nodiscard]] const Recipe& recipe() const { return recipe_; }

 private:
  at::Tensor source_;
  Recipe recipe_;
};

/// The same for each frequency.
struct OctRemade {
  Remade high;
  Remade low;
};

/// relu(batch_norm(x) + residual), with gradients.
///
/// Float maps in channels-last order on the CPU take three passes over memory forward and two
/// back; others are composed of LibTorch's operations.
/// @param residual   of x's shape, or undefined
/// @param rectified  false: without the relu
/// @param remade     if not null and possible, set to how the result is made again
[[nodiscard]] at::Tensor norm_add_relu(const at::Tensor& x, const NormTensors& tensors,
                                       const at::Tensor& residual, bool rectified,
                                       const BatchNorm& options, bool training,
                                       Remade* remade = nullptr);

/// The same for each frequency; the tensors hold the low channels first. `residual` may be empty.
[[nodiscard]] OctTensor norm_add_relu(const OctTensor& value, const NormTensors& tensors,
                                      const OctTensor& residual, bool rectified,
                                      const BatchNorm& options, bool training,
                                      OctRemade* remade = nullptr);

}  // namespace octconv::nn
