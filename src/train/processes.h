// SPDX-License-Identifier: Apache-2.0
// Numbers that several processes add up or hand on: LibTorch's c10d, with Gloo.
#pragma once

#include <memory>
#include <span>

#include <ATen/core/Tensor.h>

#include "octconv/train/ranks.h"

namespace octconv::train {

/// This process among those of one training. All make the same calls in the same order; one that
/// is missing for longer than the timeout, or has died, is an Error in all others.
class Processes {
 public:
  /// Waits for all of them; alone it waits for nobody.
  /// @throws Error if they do not come together in time; Unsupported if LibTorch lacks Gloo
  explicit Processes(const Ranks& ranks);
  ~Processes();
  Processes(const Processes&) = delete;
  Processes& operator=(const Processes&) = delete;

  [[nodiscard]] int rank() const noexcept { return ranks_.rank; }
  [[nodiscard]] int size() const noexcept { return ranks_.size; }
  [[nodiscard]] bool first() const noexcept { return ranks_.rank == 0; }
  [[nodiscard]] bool alone() const noexcept { return ranks_.size == 1; }

  /// A sum that is being made.
  class Sum {
   public:
    virtual ~Sum() = default;
    /// Until the tensor holds it.
    virtual void wait() = 0;
  };

  /// Adds up a dense tensor of all processes, in place.
  [[nodiscard]] std::unique_ptr<Sum> start_sum(const at::Tensor& values);
  void sum(const at::Tensor& values);
  void sum(std::span<double> values);
  /// Gives all processes what the first one has, in place.
  void hand_on(const at::Tensor& values);

 private:
  struct Group;

  Ranks ranks_;
  std::unique_ptr<Group> group_;
};

}  // namespace octconv::train
