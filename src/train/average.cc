// SPDX-License-Identifier: Apache-2.0
#include "train/average.h"

#include <ATen/ATen.h>

namespace octconv::train {

WeightAverage::WeightAverage(Named values, double decay)
    : values_(std::move(values)), decay_(decay) {
  for (const auto& [name, value] : values_) averages_.emplace_back(name, value.detach().clone());
}

void WeightAverage::update() {
  const at::NoGradGuard guard;
  for (std::size_t i = 0; i < values_.size(); ++i) {
    at::Tensor& average = averages_[i].second;
    const at::Tensor& value = values_[i].second;
    if (average.is_floating_point()) {
      average.mul_(decay_).add_(value, 1 - decay_);
    } else {
      average.copy_(value);
    }
  }
}

void WeightAverage::exchange() {
  const at::NoGradGuard guard;
  for (std::size_t i = 0; i < values_.size(); ++i) {
    const at::Tensor value = values_[i].second.detach().clone();
    values_[i].second.copy_(averages_[i].second);
    averages_[i].second.copy_(value);
  }
}

}  // namespace octconv::train
