// SPDX-License-Identifier: Apache-2.0
#include "train/step_times.h"

namespace octconv::train {

StepTimes::StepTimes(bool on) : on_(on) {
  if (on_) before_ = nn::work_times();
}

StepTimes::~StepTimes() {
  stop();
}

void StepTimes::start() {
  if (!on_) return;
  nn::count_work(true);
  since_ = Clock::now();
}

void StepTimes::stop() {
  if (on_) nn::count_work(false);
}

void StepTimes::stage_done(Stage stage) {
  if (!on_) return;
  const Clock::time_point now = Clock::now();
  seconds_[static_cast<int>(stage)] += std::chrono::duration<double>(now - since_).count();
  since_ = now;
}

std::vector<StepTime> StepTimes::all() const {
  if (!on_) return {};
  const auto seconds = [&](Stage stage) { return seconds_[static_cast<int>(stage)]; };
  // What forward and backward are made of; the rest is what LibTorch does itself.
  double known_forward = 0;
  double known_backward = 0;
  std::vector<StepTime> forward;
  std::vector<StepTime> backward;
  const std::vector<nn::WorkTime> now = nn::work_times();
  for (std::size_t i = 0; i < now.size(); ++i) {
    const StepTime own{std::string(now[i].name), now[i].calls - before_[i].calls,
                       now[i].seconds - before_[i].seconds};
    const bool is_forward = now[i].name.ends_with(", forward");
    (is_forward ? known_forward : known_backward) += own.seconds;
    if (own.calls > 0) (is_forward ? forward : backward).push_back(own);
  }
  std::vector<StepTime> times{{"waiting for images", 0, seconds(Stage::kImages)}};
  times.insert(times.end(), forward.begin(), forward.end());
  times.push_back({"others, forward", 0, seconds(Stage::kForward) - known_forward});
  times.push_back({"loss", 0, seconds(Stage::kLoss)});
  times.insert(times.end(), backward.begin(), backward.end());
  times.push_back({"others, gradients", 0, seconds(Stage::kBackward) - known_backward});
  times.push_back({"update of the weights", 0, seconds(Stage::kUpdate)});
  times.push_back({"bookkeeping", 0, seconds(Stage::kRest)});
  return times;
}

}  // namespace octconv::train
