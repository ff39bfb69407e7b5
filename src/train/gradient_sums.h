// SPDX-License-Identifier: Apache-2.0
// Gradients of several processes, added up while the backward pass still makes others.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

#include "train/processes.h"

namespace octconv::train {

/// Adds up the gradients of some tensors over all processes. They are put together in buckets, from
/// the last tensor to the first, as a backward pass makes them; a bucket is on its way as soon as
/// it is whole and those before it are, so that all processes send them in one order.
class GradientSums {
 public:
  /// @param tensors    that have gradients; the same in every process
  /// @param processes  must outlive this
  GradientSums(std::vector<at::Tensor> tensors, Processes& processes);
  ~GradientSums();
  GradientSums(const GradientSums&) = delete;
  GradientSums& operator=(const GradientSums&) = delete;

  /// The next backward pass is the last one before `finish`.
  void begin();
  /// Sends what is left, zeros for tensors without gradients, and waits. Every tensor's gradient
  /// then is the sum.
  void finish();

 private:
  class Hook;
  struct Bucket;

  void add(std::size_t tensor);
  void send(Bucket& bucket);

  std::vector<at::Tensor> tensors_;
  Processes& processes_;
  std::vector<std::unique_ptr<Bucket>> buckets_;
  std::vector<std::size_t> bucket_of_;  // by tensor
  struct Listened;
  std::vector<Listened> listened_;  // by tensor
  std::size_t sent_ = 0;
  bool listening_ = false;
};

}  // namespace octconv::train
