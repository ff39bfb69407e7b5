// SPDX-License-Identifier: Apache-2.0
// Batch norm with the residual and the rectifier that follow it, as one operation.
#pragma once

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

/// relu(batch_norm(x) + residual), with gradients.
///
/// Float maps in channels-last order on the CPU take three passes over memory forward and two
/// back; others are composed of LibTorch's operations.
/// @param residual   of x's shape, or undefined
/// @param rectified  false: without the relu
[[nodiscard]] at::Tensor norm_add_relu(const at::Tensor& x, const NormTensors& tensors,
                                       const at::Tensor& residual, bool rectified,
                                       const BatchNorm& options, bool training);

/// The same for each frequency; the tensors hold the low channels first. `residual` may be empty.
[[nodiscard]] OctTensor norm_add_relu(const OctTensor& value, const NormTensors& tensors,
                                      const OctTensor& residual, bool rectified,
                                      const BatchNorm& options, bool training);

}  // namespace octconv::nn
