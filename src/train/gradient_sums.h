// SPDX-License-Identifier: Apache-2.0
// Gradients added up over processes while the backward pass still runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

#include "train/group.h"

namespace torch::autograd {
struct Node;
}  // namespace torch::autograd

namespace octconv::train {

/// Parameters are put into buckets of a few megabytes, the last one first, as the backward pass
/// reaches them. A bucket is on its way as soon as its last gradient, and all buckets before it,
/// are there.
class GradientSums {
 public:
  /// @param group       must outlive this
  /// @param parameters  the same in each process
  GradientSums(Group& group, const std::vector<at::Tensor>& parameters);
  GradientSums(const GradientSums&) = delete;
  GradientSums& operator=(const GradientSums&) = delete;
  ~GradientSums();

  /// Before the backward pass that completes the gradients of a step.
  void begin();

  /// After it: replaces all gradients by their sums over the processes.
  /// @param computed  whether this process had a backward pass; else it adds what it has, or 0
  void finish(bool computed);

 private:
  struct Bucket {
    at::Tensor values;
    std::size_t first = 0;  // of its parameters
    std::size_t count = 0;
    std::size_t missing = 0;  // gradients that are still to come
  };
  struct Parameter {
    at::Tensor value;
    std::size_t bucket = 0;
    std::int64_t offset = 0;  // in the bucket's values
    bool taken = false;
    std::shared_ptr<torch::autograd::Node> accumulator;
    std::uintptr_t hook = 0;
  };

  void take(std::size_t index);
  void start_complete();
  at::Tensor place_of(const Parameter& parameter) const;

  Group& group_;
  std::vector<Parameter> parameters_;  // in the order of the buckets
  std::vector<Bucket> buckets_;
  std::size_t next_ = 0;  // bucket to be started
  bool watching_ = false;
};

}  // namespace octconv::train
