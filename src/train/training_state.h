// SPDX-License-Identifier: Apache-2.0
// What a training changes from step to step: all that a checkpoint keeps.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include "octconv/nn/graph_module.h"
#include "octconv/train/options.h"
#include "octconv/train/sgd.h"
#include "octconv/train/trainer.h"
#include "train/average.h"
#include "train/checkpoint.h"
#include "train/together.h"

namespace octconv::train {

class TrainingState {
 public:
  /// @param module  whose parameters are trained; must outlive this
  TrainingState(nn::GraphModule& module, const TrainOptions& options);

  std::vector<EpochRecord> history;  ///< of the epochs that are done
  EpochPart part;                    ///< of the epoch after them that is done already

  [[nodiscard]] const std::vector<Trained>& trained() const noexcept { return sgd_.trained(); }

  /// Along the gradients, which are dropped.
  void step(double learning_rate);
  /// Exchanges the weights and their moving averages, if there are any: once to use the averages,
  /// once more to train on.
  void exchange_averages();

  [[nodiscard]] Checkpoint checkpoint(const Identity& identity) const;
  /// Weights, statistics, averages and velocities.
  /// @throws FormatError naming `path` if something is missing
  void restore(const Checkpoint& checkpoint, const std::filesystem::path& path);

  /// Becomes that of the first process.
  void take_over(Together& together);
  /// Weights and statistics become the first process's, to the bit: machines may round differently.
  void take_over_weights(Together& together);
  /// Each process has running statistics of its own images: they become their means.
  void average_statistics(Together& together);

 private:
  using Named = std::vector<std::pair<std::string, at::Tensor>>;

  /// Parameters and buffers.
  [[nodiscard]] Named all_tensors() const;

  nn::GraphModule& module_;
  Sgd sgd_;
  std::optional<WeightAverage> average_;
};

}  // namespace octconv::train
