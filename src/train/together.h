// SPDX-License-Identifier: Apache-2.0
// What one process of a training has to do with the others; nothing where it is alone.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

#include "octconv/train/options.h"
#include "octconv/train/trainer.h"
#include "train/broken_images.h"
#include "train/checkpoint.h"
#include "train/gradient_sums.h"
#include "train/group.h"

namespace octconv::train {

class Together {
 public:
  /// Waits for the other processes.
  /// @throws what Group throws
  explicit Together(const TrainOptions& options);

  [[nodiscard]] bool alone() const noexcept { return group_ == nullptr; }
  /// Is this the process that writes?
  [[nodiscard]] bool first() const noexcept { return world_.rank == 0; }
  [[nodiscard]] const World& world() const noexcept { return world_; }

  /// @throws InvalidArgument in every process, naming the first thing in which one differs from
  ///         rank 0
  void check_alike(const Identity& identity, bool sync_batch_norm);

  /// Replaces each number by its sum over the processes.
  void add_up(std::span<double> numbers);
  /// Gives the tensors rank 0's values.
  void take_over(const std::vector<at::Tensor>& tensors);
  /// Gives the history, or the part of an epoch, rank 0's.
  /// @{
  void take_over(std::vector<EpochRecord>& history);
  void take_over(EpochPart& part);
  /// @}
  /// Replaces floating point tensors by their means over the processes.
  void average(const std::vector<at::Tensor>& tensors);
  /// Those of all processes, by rank.
  [[nodiscard]] std::vector<BrokenImage> all_broken(std::vector<BrokenImage> own);

  /// From now on gradients can be added up.
  void watch(const std::vector<at::Tensor>& parameters);
  void begin_gradients();
  void finish_gradients(bool computed);

 private:
  World world_;
  std::unique_ptr<Group> group_;
  std::unique_ptr<GradientSums> sums_;
};

}  // namespace octconv::train
