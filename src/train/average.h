// SPDX-License-Identifier: Apache-2.0
// The exponential moving average of weights.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

namespace octconv::train {

/// After each step: average = decay * average + (1 - decay) * value. It begins with the values that
/// it is made with.
class WeightAverage {
 public:
  using Named = std::vector<std::pair<std::string, at::Tensor>>;

  /// @param values  what is averaged; whole numbers are copied instead
  WeightAverage(Named values, double decay);

  void update();

  /// Exchanges averages and values: once to use the averages, once more to train on.
  void exchange();

  /// By the name of the value.
  [[nodiscard]] const Named& averages() const noexcept { return averages_; }

 private:
  Named values_;
  Named averages_;
  double decay_;
};

}  // namespace octconv::train
