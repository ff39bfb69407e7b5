// SPDX-License-Identifier: Apache-2.0
#include "train/tally.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <ATen/ATen.h>

namespace octconv::train {

Tally::Tally(const EpochPart& part)
    : loss_(part.loss),
      correct_(static_cast<double>(part.correct)),
      count_(static_cast<double>(part.images)) {}

void Tally::add(double mean_loss, const at::Tensor& logits, const at::Tensor& labels) {
  const auto count = static_cast<double>(labels.size(0));
  loss_ += mean_loss * count;
  correct_ += static_cast<double>(logits.argmax(1).eq(labels).sum().item<std::int64_t>());
  count_ += count;
}

void Tally::add_top5(const at::Tensor& logits, const at::Tensor& labels) {
  const auto best = std::get<1>(logits.topk(std::min<std::int64_t>(5, logits.size(1)), 1));
  in_top5_ += static_cast<double>(best.eq(labels.unsqueeze(1)).sum().item<std::int64_t>());
}

void Tally::add(const Tally& other) {
  loss_ += other.loss_;
  correct_ += other.correct_;
  in_top5_ += other.in_top5_;
  count_ += other.count_;
}

void Tally::add_up(Together& together) {
  std::array<double, 4> numbers{loss_, correct_, in_top5_, count_};
  together.add_up(numbers);
  loss_ = numbers[0];
  correct_ = numbers[1];
  in_top5_ = numbers[2];
  count_ = numbers[3];
}

EpochPart Tally::part(std::int64_t batches) const {
  return {.batches = batches,
          .loss = loss_,
          .correct = std::llround(correct_),
          .images = std::llround(count_)};
}

}  // namespace octconv::train
