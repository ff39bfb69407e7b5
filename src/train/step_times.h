// SPDX-License-Identifier: Apache-2.0
// Where the time of training steps goes.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "octconv/nn/work_times.h"
#include "octconv/train/trainer.h"

namespace octconv::train {

/// Stages of a step. What modules do inside of two of them, `nn::work_times` tells.
enum class Stage { kImages, kForward, kLoss, kBackward, kUpdate, kRest };
inline constexpr int kStages = 6;

/// A clock that runs from stage to stage if it was told to; else it does nothing.
class StepTimes {
 public:
  explicit StepTimes(bool on);
  ~StepTimes();
  StepTimes(const StepTimes&) = delete;
  StepTimes& operator=(const StepTimes&) = delete;

  /// Before the first step of an epoch.
  void start();
  /// Time since the last call belongs to the stage.
  void stage_done(Stage stage);
  void step_done() { ++steps_; }
  /// After the last step of an epoch.
  void stop();

  [[nodiscard]] std::int64_t steps() const noexcept { return on_ ? steps_ : 0; }
  /// Empty if it was not on.
  [[nodiscard]] std::vector<StepTime> all() const;

 private:
  using Clock = std::chrono::steady_clock;

  bool on_;
  std::int64_t steps_ = 0;
  Clock::time_point since_;
  double seconds_[kStages] = {};
  std::vector<nn::WorkTime> before_;  // what others counted
};

}  // namespace octconv::train
