// SPDX-License-Identifier: Apache-2.0
// Sums of a gradient's cells, made where the gradient is.
#pragma once

#include <mutex>

#include <ATen/core/Tensor.h>

#include "octconv/tensor/shape.h"

namespace octconv::nn {

/// What a backward pass hands on beside the gradient of a convolution's high result: the sums of
/// its cells, which both gradients of the convolution read. Whoever makes the gradient makes them
/// while it is near.
class DiffSums {
 public:
  explicit DiffSums(const Shape& cell) : cell_(cell) {}

  [[nodiscard]] const Shape& cell() const noexcept { return cell_; }

  void set(const at::Tensor& diff, const at::Tensor& sums) {
    const std::scoped_lock lock(mutex_);
    diff_ = diff;
    sums_ = sums;
    version_ = diff._version();
  }

  /// The sums, if they are those of this very tensor and it is as it was: where a value has other
  /// readers too, its gradient is another one, or was added to. Forgets them.
  [[nodiscard]] at::Tensor take(const at::Tensor& diff) {
    const std::scoped_lock lock(mutex_);
    const bool same = diff_.defined() && diff_.is_same(diff) && diff._version() == version_;
    const at::Tensor sums = same ? sums_ : at::Tensor();
    diff_ = at::Tensor();
    sums_ = at::Tensor();
    return sums;
  }

 private:
  Shape cell_;
  std::mutex mutex_;
  at::Tensor diff_;
  at::Tensor sums_;
  std::int64_t version_ = 0;
};

}  // namespace octconv::nn
