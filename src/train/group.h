// SPDX-License-Identifier: Apache-2.0
// Sums and messages between the processes that train together.
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "octconv/train/world.h"

namespace octconv::train {

/// The processes of a world, connected. All must call the same members in the same order; sums that
/// are started may be mixed with the other members in any order.
///
/// Every member throws Error if another process has ended, cannot be reached, or does not do its
/// part within the timeout.
class Group {
 public:
  /// Waits until all processes are there.
  /// @param timeout  for this and for all that follows
  /// @throws InvalidArgument if the world's address is unknown; Error if not all come in time;
  ///         Unsupported if LibTorch was built without Gloo
  Group(const World& world, std::chrono::seconds timeout);
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;
  ~Group();

  [[nodiscard]] const World& world() const noexcept { return world_; }

  /// Replaces each number by its sum over all processes: the same bits in each.
  void add_up(std::span<double> numbers);

  /// Gives the tensors of all processes the values of rank 0's.
  void broadcast(const std::vector<at::Tensor>& tensors);

  /// The text of each process, by rank.
  [[nodiscard]] std::vector<std::string> gather(const std::string& text);

  /// Begins to replace a contiguous tensor by its sum over all processes, and returns.
  void start_sum(const at::Tensor& values);
  /// Waits for the sums that were started.
  void finish_sums();

 private:
  class Impl;

  World world_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace octconv::train
