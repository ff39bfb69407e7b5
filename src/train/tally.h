// SPDX-License-Identifier: Apache-2.0
// Loss and accuracy over some images.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "train/checkpoint.h"
#include "train/together.h"

namespace octconv::train {

class Tally {
 public:
  Tally() = default;
  /// That of the part of an epoch that is done.
  explicit Tally(const EpochPart& part);

  void add(double mean_loss, const at::Tensor& logits, const at::Tensor& labels);
  /// Beside `add`, where the five best classes count.
  void add_top5(const at::Tensor& logits, const at::Tensor& labels);
  void add(const Tally& other);
  /// Becomes that of all processes.
  void add_up(Together& together);

  [[nodiscard]] double loss() const { return loss_ / count_; }
  [[nodiscard]] double accuracy() const { return correct_ / count_; }
  [[nodiscard]] double top5_accuracy() const { return in_top5_ / count_; }
  [[nodiscard]] double count() const { return count_; }
  [[nodiscard]] EpochPart part(std::int64_t batches) const;

 private:
  double loss_ = 0;
  double correct_ = 0;
  double in_top5_ = 0;
  double count_ = 0;
};

}  // namespace octconv::train
