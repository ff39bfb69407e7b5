// SPDX-License-Identifier: Apache-2.0
#include "octconv/train/options.h"

#include <cmath>
#include <functional>
#include <limits>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octconv/base/error.h"

namespace octconv::train {
namespace {

constexpr std::int64_t kSteps = 10;  // of an epoch

TEST(Schedule, CosineFallsFromTheFullRateTowardsZero) {
  const TrainOptions options{.epochs = 4, .learning_rate = 0.2, .schedule = Schedule::kCosine};
  EXPECT_DOUBLE_EQ(learning_rate_at(options, 0, kSteps), 0.2);
  EXPECT_NEAR(learning_rate_at(options, 10, kSteps), 0.2 * (2 + std::sqrt(2)) / 4, 1e-15);
  EXPECT_NEAR(learning_rate_at(options, 20, kSteps), 0.1, 1e-15);
  EXPECT_GT(learning_rate_at(options, 39, kSteps), 0);
  EXPECT_LT(learning_rate_at(options, 39, kSteps), 0.2 * 0.002);
}

TEST(Schedule, WarmUpRisesLinearlyToTheFullRate) {
  for (const Schedule schedule : {Schedule::kCosine, Schedule::kConstant}) {
    const TrainOptions options{
        .epochs = 4, .learning_rate = 0.2, .schedule = schedule, .warmup_epochs = 1};
    EXPECT_DOUBLE_EQ(learning_rate_at(options, 0, kSteps), 0.02);
    EXPECT_DOUBLE_EQ(learning_rate_at(options, 4, kSteps), 0.1);
    EXPECT_DOUBLE_EQ(learning_rate_at(options, 9, kSteps), 0.2);
    EXPECT_DOUBLE_EQ(learning_rate_at(options, 10, kSteps), 0.2);
    // The rest is the schedule over the remaining three epochs.
    EXPECT_NEAR(learning_rate_at(options, 25, kSteps), schedule == Schedule::kCosine ? 0.1 : 0.2,
                1e-15);
  }
}

TEST(Schedule, OneCycleHasPyTorchsEndsAndPeak) {
  // torch.optim.lr_scheduler.OneCycleLR(max_lr=0.2, total_steps=40): phases end at steps 11 and 39.
  const TrainOptions options{.epochs = 4, .learning_rate = 0.2, .schedule = Schedule::kOneCycle};
  EXPECT_NEAR(learning_rate_at(options, 0, kSteps), 0.2 / 25, 1e-15);
  EXPECT_NEAR(learning_rate_at(options, 11, kSteps), 0.2, 1e-15);
  EXPECT_NEAR(learning_rate_at(options, 25, kSteps), (0.2 + 0.2 / 25 / 1e4) / 2, 1e-15);
  EXPECT_NEAR(learning_rate_at(options, 39, kSteps), 0.2 / 25 / 1e4, 1e-15);
  for (std::int64_t step = 1; step < 40; ++step) {
    const double before = learning_rate_at(options, step - 1, kSteps);
    const double now = learning_rate_at(options, step, kSteps);
    EXPECT_EQ(now > before, step <= 11) << step;
  }
}

TEST(Schedule, StepMultipliesTheRateAtTheBeginningOfItsEpochs) {
  const TrainOptions options{.epochs = 9,
                             .learning_rate = 0.2,
                             .schedule = Schedule::kStep,
                             .warmup_epochs = 1,
                             .step_epochs = {3, 7},
                             .step_factor = 0.1};
  EXPECT_DOUBLE_EQ(learning_rate_at(options, 4, kSteps), 0.1);
  for (std::int64_t step = kSteps; step < 9 * kSteps; ++step) {
    const double expected = step < 30 ? 0.2 : step < 70 ? 0.02 : 0.002;
    EXPECT_DOUBLE_EQ(learning_rate_at(options, step, kSteps), expected) << step;
  }
}

TEST(Schedule, NamesAreReadBack) {
  for (const Schedule schedule :
       {Schedule::kCosine, Schedule::kOneCycle, Schedule::kStep, Schedule::kConstant}) {
    EXPECT_EQ(parse_schedule(to_string(schedule)), schedule);
  }
  EXPECT_THROW(static_cast<void>(parse_schedule("steps")), InvalidArgument);
}

TEST(Crop, NamesAreReadBack) {
  for (const Crop crop : {Crop::kShift, Crop::kResized}) {
    EXPECT_EQ(parse_crop(to_string(crop)), crop);
  }
  EXPECT_THROW(static_cast<void>(parse_crop("centre")), InvalidArgument);
}

TEST(TrainOptions, OutOfRangeAreRefusedByNameAndValue) {
  check({});
  const double nan = std::numeric_limits<double>::quiet_NaN();
  struct Row {
    std::function<void(TrainOptions&)> change;
    const char* name;
    const char* value;
  };
  for (const Row& row : {
           Row{[](TrainOptions& o) { o.epochs = 0; }, "epochs", "got 0"},
           Row{[](TrainOptions& o) { o.batch_size = -3; }, "batch_size", "got -3"},
           Row{[](TrainOptions& o) { o.learning_rate = 0; }, "learning_rate", "got 0"},
           Row{[&](TrainOptions& o) { o.learning_rate = nan; }, "learning_rate", "got nan"},
           Row{[](TrainOptions& o) { o.momentum = 1; }, "momentum", "got 1"},
           Row{[&](TrainOptions& o) { o.momentum = nan; }, "momentum", "got nan"},
           Row{[](TrainOptions& o) { o.weight_decay = -0.5; }, "weight_decay", "got -0.5"},
           Row{[](TrainOptions& o) { o.label_smoothing = 1; }, "label_smoothing", "got 1"},
           Row{[](TrainOptions& o) { o.warmup_epochs = 10; }, "warmup_epochs", "got 10"},
           Row{[](TrainOptions& o) {
                 o.warmup_epochs = 1;
                 o.schedule = Schedule::kOneCycle;
               },
               "onecycle", "got 1"},
           Row{[](TrainOptions& o) { o.crop_padding = -1; }, "crop_padding", "got -1"},
           Row{[](TrainOptions& o) {
                 o.step_epochs = {3, 3};
               },
               "step_epochs", "got 3"},
           Row{[](TrainOptions& o) { o.step_factor = 0; }, "step_factor", "got 0"},
           Row{[](TrainOptions& o) { o.accumulate = 0; }, "accumulate", "got 0"},
           Row{[&](TrainOptions& o) { o.clip_norm = nan; }, "clip_norm", "got nan"},
           Row{[](TrainOptions& o) { o.dropout = 1; }, "dropout", "got 1"},
           Row{[](TrainOptions& o) { o.mixup = 1.5; }, "mixup", "got 1.5"},
           Row{[](TrainOptions& o) { o.mixup_off_epochs = -1; }, "mixup_off_epochs", "got -1"},
           Row{[](TrainOptions& o) { o.average_decay = 1; }, "average_decay", "got 1"},
           Row{[](TrainOptions& o) { o.colour_jitter = 2; }, "colour_jitter", "got 2"},
           Row{[](TrainOptions& o) { o.colour_noise = -1; }, "colour_noise", "got -1"},
           Row{[](TrainOptions& o) { o.workers = -1; }, "workers", "got -1"},
           Row{[](TrainOptions& o) { o.threads = 1025; }, "threads", "got 1025"},
           Row{[](TrainOptions& o) { o.train_images = -1; }, "train_images", "got -1"},
           Row{[](TrainOptions& o) { o.resume = true; }, "resume", "folder"},
       }) {
    TrainOptions options;
    row.change(options);
    try {
      check(options);
      ADD_FAILURE() << row.name << " " << row.value;
    } catch (const InvalidArgument& error) {
      EXPECT_THAT(error.what(),
                  testing::AllOf(testing::HasSubstr(row.name), testing::HasSubstr(row.value)));
    }
  }
}

}  // namespace
}  // namespace octconv::train
