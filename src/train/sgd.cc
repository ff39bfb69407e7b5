// SPDX-License-Identifier: Apache-2.0
#include "octconv/train/sgd.h"

#include <cmath>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "octconv/base/error.h"
#include "octconv/base/executor.h"
#include "octconv/base/parallel.h"

namespace octconv::train {
namespace {

template <class Number>
struct Rule {
  Number decay;
  Number momentum;
  Number rate;
  bool nesterov;
  bool begins;  // there is no velocity yet
};

template <class Number>
void update(const Rule<Number>& rule, std::int64_t count, Number* __restrict value,
            Number* __restrict velocity, const Number* __restrict gradient) {
  for (std::int64_t i = 0; i < count; ++i) {
    const Number g = gradient[i] + rule.decay * value[i];
    const Number v = rule.begins ? g : rule.momentum * velocity[i] + g;
    velocity[i] = v;
    value[i] -= rule.rate * (rule.nesterov ? g + rule.momentum * v : v);
  }
}

// Of tensors whose elements lie in the same order without gaps.
template <class Number>
void update_all(const Rule<Number>& rule, const at::Tensor& value, const at::Tensor& velocity,
                const at::Tensor& gradient) {
  constexpr std::int64_t kGrain = 16 * 1024;
  const ParallelScope threads(at::get_num_threads());
  parallel_for(value.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    update(rule, end - begin, value.data_ptr<Number>() + begin, velocity.data_ptr<Number>() + begin,
           gradient.data_ptr<Number>() + begin);
  });
}

// The tensor's elements in the order of memory that `like` has.
at::Tensor in_order_of(const at::Tensor& tensor, const at::Tensor& like) {
  return tensor.strides() == like.strides() ? tensor : at::empty_like(like).copy_(tensor);
}

}  // namespace

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

Sgd::Sgd(std::vector<Trained> trained, double momentum, Momentum kind)
    : trained_(std::move(trained)), velocity_(trained_.size()), momentum_(momentum), kind_(kind) {
  for (const Trained& tensor : trained_) {
    const at::ScalarType type = tensor.value.scalar_type();
    if (tensor.value.is_cpu() && (type == at::kFloat || type == at::kDouble)) continue;
    throw Unsupported("SGD: '" + tensor.name + "' is of type " + c10::toString(type) + " on " +
                      tensor.value.device().str() + "; it must be float or double, on the CPU");
  }
}

void Sgd::step(double learning_rate) {
  const at::NoGradGuard guard;
  for (std::size_t i = 0; i < trained_.size(); ++i) {
    at::Tensor value = trained_[i].value;
    at::Tensor gradient = std::exchange(value.mutable_grad(), at::Tensor());
    if (!gradient.defined()) continue;
    const at::Tensor dense = value.is_non_overlapping_and_dense() ? value : value.contiguous();
    gradient = in_order_of(gradient, dense);
    at::Tensor& velocity = velocity_[i];
    const bool begins = !velocity.defined();
    velocity = begins ? at::empty_like(dense) : in_order_of(velocity, dense);
    AT_DISPATCH_FLOATING_TYPES(dense.scalar_type(), "Sgd::step", [&] {
      update_all<scalar_t>({.decay = static_cast<scalar_t>(trained_[i].weight_decay),
                            .momentum = static_cast<scalar_t>(momentum_),
                            .rate = static_cast<scalar_t>(learning_rate),
                            .nesterov = kind_ == Momentum::kNesterov,
                            .begins = begins},
                           dense, velocity, gradient);
    });
    if (!dense.is_same(value)) {
      value.copy_(dense);
    } else {
      // Autograd learns of it as of an operation in place.
      value.unsafeGetTensorImpl()->bump_version();
    }
  }
}

}  // namespace octconv::train
