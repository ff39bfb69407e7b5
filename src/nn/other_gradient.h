// SPDX-License-Identifier: Apache-2.0
// The gradient of a value that two operations read, handed from one to the other.
#pragma once

#include <mutex>
#include <utility>

#include <ATen/core/Tensor.h>

namespace octconv::nn {

/// A value is read by an operation and by another one that follows from it, as in a residual block.
/// In a backward pass the latter comes first: instead of giving back its part of the gradient, for
/// autograd to add up in a pass over memory, it leaves it here, and the former adds its own as it
/// writes.
class OtherGradient {
 public:
  void leave(at::Tensor part) {
    const std::scoped_lock lock(mutex_);
    part_ = std::move(part);
  }

  /// What was left, or an undefined tensor; it is left no longer.
  [[nodiscard]] at::Tensor take() {
    const std::scoped_lock lock(mutex_);
    return std::exchange(part_, at::Tensor());
  }

 private:
  std::mutex mutex_;
  at::Tensor part_;
};

/// Adds a part to a gradient; either may be undefined.
inline void add_to(at::Tensor& gradient, const at::Tensor& part) {
  if (part.defined()) gradient = gradient.defined() ? gradient.add(part) : part;
}

/// Of each frequency.
struct OctOtherGradient {
  OtherGradient high;
  OtherGradient low;
};

}  // namespace octconv::nn
