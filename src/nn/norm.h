// SPDX-License-Identifier: Apache-2.0
// Batch norm with the residual and the rectifier that follow it, as one operation.
#pragma once

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
/// relu(source * scale + shift). Whoever saves this instead of the result saves nothing new, since
/// the batch norm saves its source anyway.
struct Remade {
  at::Tensor source;         ///< undefined: cannot be made again
  std::vector<float> scale;  ///< [channels]
  std::vector<float> shift;  ///< [channels]
  bool rectified = false;

  [[nodiscard]] bool possible() const { return source.defined(); }
  [[nodiscard]] at::Tensor make() const;
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
