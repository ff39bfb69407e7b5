// SPDX-License-Identifier: Apache-2.0
#include "train/gradient_sums.h"

#include <functional>

#include <ATen/ATen.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

namespace octconv::train {
namespace {

// Long enough that what each sum costs beside its bytes does not matter, short enough that the
// first is on its way early.
constexpr std::int64_t kBucketBytes = std::int64_t{4} << 20;

class WhenAccumulated : public torch::autograd::FunctionPostHook {
 public:
  explicit WhenAccumulated(std::function<void()> act) : act_(std::move(act)) {}

  torch::autograd::variable_list operator()(
      const torch::autograd::variable_list& outputs,
      const torch::autograd::variable_list& /*inputs*/) override {
    act_();
    return outputs;
  }

 private:
  std::function<void()> act_;
};

}  // namespace

GradientSums::GradientSums(Group& group, const std::vector<at::Tensor>& parameters)
    : group_(group) {
  std::int64_t filled = 0;
  const auto close = [&] {
    if (filled == 0) return;
    buckets_.back().values = at::zeros({filled}, at::kFloat);
    filled = 0;
  };
  for (std::size_t i = parameters.size(); i-- > 0;) {
    const at::Tensor& value = parameters[i];
    if (filled == 0 || (filled + value.numel()) * 4 > kBucketBytes) {
      close();
      buckets_.push_back({.first = parameters_.size()});
    }
    parameters_.push_back({.value = value, .bucket = buckets_.size() - 1, .offset = filled});
    ++buckets_.back().count;
    filled += value.numel();
  }
  close();
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    Parameter& parameter = parameters_[i];
    parameter.accumulator = torch::autograd::impl::grad_accumulator(parameter.value);
    parameter.hook = parameter.accumulator->add_post_hook(
        std::make_unique<WhenAccumulated>([this, i] { take(i); }));
  }
}

GradientSums::~GradientSums() {
  for (const Parameter& parameter : parameters_)
    parameter.accumulator->del_post_hook(parameter.hook);
}

at::Tensor GradientSums::place_of(const Parameter& parameter) const {
  return buckets_[parameter.bucket]
      .values.narrow(0, parameter.offset, parameter.value.numel())
      .view(parameter.value.sizes());
}

void GradientSums::begin() {
  for (Parameter& parameter : parameters_) parameter.taken = false;
  for (Bucket& bucket : buckets_) bucket.missing = bucket.count;
  next_ = 0;
  watching_ = true;
}

void GradientSums::take(std::size_t index) {
  Parameter& parameter = parameters_[index];
  if (!watching_ || parameter.taken) return;
  const at::NoGradGuard guard;
  parameter.taken = true;
  const at::Tensor place = place_of(parameter);
  const at::Tensor& gradient = parameter.value.grad();
  if (gradient.defined()) {
    place.copy_(gradient);
  } else {
    place.zero_();
  }
  --buckets_[parameter.bucket].missing;
  start_complete();
}

void GradientSums::start_complete() {
  // In order, so that every process starts the same one.
  while (next_ < buckets_.size() && buckets_[next_].missing == 0) {
    group_.start_sum(buckets_[next_++].values);
  }
}

void GradientSums::finish(bool computed) {
  for (std::size_t i = 0; i < parameters_.size(); ++i) take(i);
  watching_ = false;
  group_.finish_sums();
  const at::NoGradGuard guard;
  for (Parameter& parameter : parameters_) {
    at::Tensor& gradient = parameter.value.mutable_grad();
    if (!gradient.defined()) {
      if (computed) continue;  // nor has any other process one
      gradient = at::zeros_like(parameter.value);
    }
    gradient.copy_(place_of(parameter));
  }
}

}  // namespace octconv::train
