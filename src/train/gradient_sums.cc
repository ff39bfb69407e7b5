// SPDX-License-Identifier: Apache-2.0
#include "train/gradient_sums.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

namespace octconv::train {
namespace {

// Large enough that a message takes longer than its start, small enough that the first is soon
// there.
constexpr std::int64_t kBucketElements = 1 << 20;

}  // namespace

struct GradientSums::Bucket {
  std::vector<std::size_t> tensors;
  std::int64_t elements = 0;
  std::size_t missing = 0;  // tensors whose gradients are not there yet
  at::Tensor values;        // one after the other
  std::unique_ptr<Processes::Sum> sum;
};

// Called after a tensor's gradient was added to.
class GradientSums::Hook : public torch::autograd::FunctionPostHook {
 public:
  Hook(GradientSums& sums, std::size_t tensor) : sums_(sums), tensor_(tensor) {}
  torch::autograd::variable_list operator()(const torch::autograd::variable_list& outputs,
                                            const torch::autograd::variable_list&) override {
    sums_.add(tensor_);
    return outputs;
  }

 private:
  GradientSums& sums_;
  std::size_t tensor_;
};

// What adds to a tensor's gradient, and the key of the hook that it calls.
struct GradientSums::Listened {
  std::shared_ptr<torch::autograd::Node> accumulator;
  std::uintptr_t hook = 0;
};

GradientSums::GradientSums(std::vector<at::Tensor> tensors, Processes& processes)
    : tensors_(std::move(tensors)), processes_(processes), bucket_of_(tensors_.size()) {
  for (std::size_t i = tensors_.size(); i-- > 0;) {
    if (buckets_.empty() || buckets_.back()->elements >= kBucketElements)
      buckets_.push_back(std::make_unique<Bucket>());
    Bucket& bucket = *buckets_.back();
    bucket.tensors.push_back(i);
    bucket.elements += tensors_[i].numel();
    bucket_of_[i] = buckets_.size() - 1;
  }
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const auto accumulator = torch::autograd::impl::grad_accumulator(tensors_[i]);
    const std::uintptr_t hook = accumulator->add_post_hook(std::make_unique<Hook>(*this, i));
    listened_.push_back({accumulator, hook});
  }
}

// What the hooks would call is gone, and so must they be.
GradientSums::~GradientSums() {
  for (const Listened& each : listened_) each.accumulator->del_post_hook(each.hook);
}

void GradientSums::begin() {
  for (const auto& bucket : buckets_) bucket->missing = bucket->tensors.size();
  sent_ = 0;
  listening_ = true;
}

void GradientSums::add(std::size_t tensor) {
  if (!listening_) return;
  --buckets_[bucket_of_[tensor]]->missing;
  while (sent_ < buckets_.size() && buckets_[sent_]->missing == 0) send(*buckets_[sent_++]);
}

void GradientSums::send(Bucket& bucket) {
  const at::NoGradGuard guard;
  if (!bucket.values.defined()) bucket.values = at::empty({bucket.elements}, at::kFloat);
  std::int64_t first = 0;
  for (const std::size_t i : bucket.tensors) {
    const at::Tensor& gradient = tensors_[i].grad();
    const at::Tensor part = bucket.values.narrow(0, first, tensors_[i].numel());
    if (gradient.defined())
      part.view(tensors_[i].sizes()).copy_(gradient);
    else
      part.zero_();
    first += tensors_[i].numel();
  }
  bucket.sum = processes_.start_sum(bucket.values);
}

void GradientSums::finish() {
  const at::NoGradGuard guard;
  listening_ = false;
  while (sent_ < buckets_.size()) send(*buckets_[sent_++]);
  for (const auto& bucket : buckets_) {
    bucket->sum->wait();
    bucket->sum.reset();
    std::int64_t first = 0;
    for (const std::size_t i : bucket->tensors) {
      at::Tensor& gradient = tensors_[i].mutable_grad();
      if (!gradient.defined()) gradient = at::empty_like(tensors_[i]);
      gradient.copy_(
          bucket->values.narrow(0, first, tensors_[i].numel()).view(tensors_[i].sizes()));
      first += tensors_[i].numel();
    }
  }
}

}  // namespace octconv::train
