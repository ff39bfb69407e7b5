// SPDX-License-Identifier: Apache-2.0
#include "workflow/training_lines.h"

#include <chrono>

#include "report/number.h"

namespace octconv::workflow {

TrainingListener tell_lines(const std::string& who, std::int64_t epochs, const Progress& progress) {
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::seconds kPause(10);
  const auto begin_line = [=](std::int64_t epoch) {
    return who + ", epoch " + std::to_string(epoch) + " of " + std::to_string(epochs);
  };
  return {.on_epoch =
              [=](const EpochResult& epoch) {
                progress(begin_line(epoch.epoch) + ": loss " + report::fixed(epoch.train_loss, 4) +
                         ", test accuracy " + report::fixed(100 * epoch.test_accuracy, 2) + " %, " +
                         report::fixed(epoch.seconds, 1) + " s");
              },
          .on_step =
              [=, last = Clock::now()](const StepResult& step) mutable {
                if (Clock::now() - last < kPause) return;
                last = Clock::now();
                progress(begin_line(step.epoch) + ", step " + std::to_string(step.step) + " of " +
                         std::to_string(step.steps) + ": loss " +
                         report::fixed(step.train_loss, 4) + ", " +
                         report::fixed(step.seconds_left, 0) + " s left");
              }};
}

}  // namespace octconv::workflow
