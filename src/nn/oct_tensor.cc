// SPDX-License-Identifier: Apache-2.0
#include "octconv/nn/oct_tensor.h"

#include <algorithm>

#include <ATen/ATen.h>

#include "nn/norm.h"
#include "nn/spatial.h"
#include "octconv/base/error.h"
#include "octconv/octave/conv.h"

namespace octconv::nn {
namespace {

at::Tensor activate_tensor(const at::Tensor& x, const Activation& activation) {
  if (!x.defined()) return x;
  switch (activation.kind) {
    case ActivationKind::kNone:
      return x;
    case ActivationKind::kRelu:
      return at::relu(x);
    case ActivationKind::kRelu6:
      return at::clamp(x, 0, 6);
    case ActivationKind::kSigmoid:
      return at::sigmoid(x);
    case ActivationKind::kLeakyRelu:
      return at::leaky_relu(x, activation.slope);
    case ActivationKind::kHardSigmoid:
      return at::clamp(x * activation.slope + activation.offset, 0, 1);
    case ActivationKind::kHardSwish:
      return at::hardswish(x);
    case ActivationKind::kSilu:
      return at::silu(x);
  }
  throw InvalidArgument("activation of unknown kind " +
                        std::to_string(static_cast<int>(activation.kind)));
}

at::Tensor add_tensors(const at::Tensor& a, const at::Tensor& b) {
  if (a.defined() != b.defined())
    throw InvalidArgument("add: one value has a frequency that the other has not");
  return a.defined() ? at::add(a, b) : a;
}

}  // namespace

const at::Tensor& OctTensor::tensor() const {
  if (high.defined() == low.defined()) {
    throw InvalidArgument(std::string("a value with ") +
                          (high.defined() ? "both frequencies" : "no frequency") +
                          " is not one tensor");
  }
  return high.defined() ? high : low;
}

Shape full_extents(const OctTensor& value, const Shape& octave, OddLow odd_low) {
  if (!value.high.defined() && !value.low.defined()) {
    throw InvalidArgument("an octave value needs at least one frequency");
  }
  Shape extents = value.extents;
  if (value.high.defined()) {
    extents = spatial_extents(value.high);
  } else if (extents.empty()) {
    extents = spatial_extents(value.low);
    if (extents.rank() == octave.rank()) {
      for (std::size_t axis = 0; axis < octave.rank(); ++axis) extents[axis] *= octave[axis];
    }
  }
  if (extents.rank() != octave.rank()) {
    throw InvalidArgument("a value of extents " + extents.to_string() + " does not have " +
                          std::to_string(octave.rank()) + " axes");
  }
  if (value.low.defined() && spatial_extents(value.low) != low_extents(extents, octave, odd_low)) {
    throw InvalidArgument("low extents " + spatial_extents(value.low).to_string() +
                          " do not belong to high extents " + extents.to_string());
  }
  return extents;
}

OctTensor activate(const OctTensor& value, const Activation& activation) {
  return {activate_tensor(value.high, activation), activate_tensor(value.low, activation),
          value.extents};
}

OctTensor multiply(const OctTensor& a, const OctTensor& b) {
  const auto product = [](const at::Tensor& x, const at::Tensor& y) {
    if (x.defined() != y.defined())
      throw InvalidArgument("multiply: one value has a frequency that the other has not");
    return x.defined() ? at::mul(x, y) : x;
  };
  return {product(a.high, b.high), product(a.low, b.low), a.extents};
}

OctTensor add(const OctTensor& a, const OctTensor& b) {
  return {add_tensors(a.high, b.high), add_tensors(a.low, b.low), a.extents};
}

OctTensor norm_add_relu(const OctTensor& value, const NormTensors& tensors, const OctNormTail& tail,
                        const BatchNorm& options, bool training, OctNormAside* aside) {
  std::int64_t first = 0;
  const auto norm = [&](const at::Tensor& x, NormTail own_tail, NormAside* own_aside) {
    if (!x.defined()) return x;
    const std::int64_t channels = x.size(1);
    const auto part = [&](const at::Tensor& all) {
      return all.defined() ? all.narrow(0, first, channels) : all;
    };
    const NormTensors own{part(tensors.weight), part(tensors.bias), part(tensors.running_mean),
                          part(tensors.running_var)};
    first += channels;
    own_tail.rectified = tail.rectified;
    own_tail.sum = tail.sum;
    own_tail.other_gradient = tail.other_gradient;
    return norm_add_relu(x, own, own_tail, options, training, own_aside);
  };
  OctTensor result(at::Tensor(), at::Tensor(), value.extents);
  NormAside low;
  NormAside high;
  result.low = norm(value.low,
                    {.residual = tail.residual.low,
                     .residual_remade = tail.residual_remade.low,
                     .memory = tail.memory != nullptr ? &tail.memory->low : nullptr,
                     .frequency = &OctOtherGradient::low},
                    aside != nullptr ? &low : nullptr);
  result.high = norm(value.high,
                     {.residual = tail.residual.high,
                      .residual_remade = tail.residual_remade.high,
                      .memory = tail.memory != nullptr ? &tail.memory->high : nullptr,
                      .cell = tail.cell,
                      .diff_sums = tail.diff_sums},
                     aside != nullptr ? &high : nullptr);
  if (aside != nullptr) {
    *aside = {{std::move(high.remade), std::move(low.remade)}, std::move(high.averages)};
  }
  return result;
}

OctTensor batch_norm(const OctTensor& value, const at::Tensor& weight, const at::Tensor& bias,
                     const at::Tensor& running_mean, const at::Tensor& running_var,
                     const BatchNorm& options, bool training) {
  return norm_add_relu(value, {weight, bias, running_mean, running_var}, {}, options, training);
}

}  // namespace octconv::nn
