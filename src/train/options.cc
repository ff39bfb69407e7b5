// SPDX-License-Identifier: Apache-2.0
#include "octconv/train/options.h"

#include <cmath>
#include <numbers>
#include <sstream>

#include "octconv/base/error.h"

namespace octconv::train {
namespace {

template <class Value>
void require(bool good, const char* option, Value value, const char* range) {
  if (good) return;
  std::ostringstream text;
  text << "train: " << option << " must be " << range << ", got " << value;
  throw InvalidArgument(text.str());
}

// From `from` at share 0 to `to` at share 1.
double half_cosine(double from, double to, double share) {
  return to + (from - to) * (1 + std::cos(std::numbers::pi * share)) / 2;
}

double one_cycle(double rate, std::int64_t step, std::int64_t steps) {
  constexpr double kRising = 0.3;
  constexpr double kStart = 25;
  constexpr double kEnd = 1e4;
  const auto last = static_cast<double>(steps - 1);
  const double top = kRising * static_cast<double>(steps) - 1;
  const auto now = static_cast<double>(step);
  if (now <= top) return half_cosine(rate / kStart, rate, now / top);
  return half_cosine(rate, rate / kStart / kEnd, (now - top) / (last - top));
}

}  // namespace

std::string_view to_string(Schedule schedule) noexcept {
  switch (schedule) {
    case Schedule::kCosine:
      return "cosine";
    case Schedule::kOneCycle:
      return "onecycle";
    case Schedule::kStep:
      return "step";
    case Schedule::kConstant:
      return "constant";
  }
  return "?";
}

Schedule parse_schedule(std::string_view text) {
  for (const Schedule schedule :
       {Schedule::kCosine, Schedule::kOneCycle, Schedule::kStep, Schedule::kConstant}) {
    if (text == to_string(schedule)) return schedule;
  }
  throw InvalidArgument("unknown schedule '" + std::string(text) +
                        "'; known are cosine, onecycle, step, constant");
}

std::string_view to_string(Crop crop) noexcept {
  switch (crop) {
    case Crop::kShift:
      return "shift";
    case Crop::kResized:
      return "resized";
  }
  return "?";
}

Crop parse_crop(std::string_view text) {
  for (const Crop crop : {Crop::kShift, Crop::kResized}) {
    if (text == to_string(crop)) return crop;
  }
  throw InvalidArgument("unknown crop '" + std::string(text) + "'; known are shift, resized");
}

void check(const TrainOptions& o) {
  require(o.epochs >= 1, "epochs", o.epochs, "at least 1");
  require(o.batch_size >= 1, "batch_size", o.batch_size, "at least 1");
  require(o.learning_rate > 0 && std::isfinite(o.learning_rate), "learning_rate", o.learning_rate,
          "positive");
  require(o.momentum >= 0 && o.momentum < 1, "momentum", o.momentum, "in [0, 1)");
  require(o.weight_decay >= 0 && std::isfinite(o.weight_decay), "weight_decay", o.weight_decay,
          "at least 0");
  require(o.label_smoothing >= 0 && o.label_smoothing < 1, "label_smoothing", o.label_smoothing,
          "in [0, 1)");
  require(o.warmup_epochs >= 0 && o.warmup_epochs < o.epochs, "warmup_epochs", o.warmup_epochs,
          "at least 0 and less than epochs");
  require(o.warmup_epochs == 0 || o.schedule != Schedule::kOneCycle, "warmup_epochs",
          o.warmup_epochs, "0 with schedule onecycle, which has a warm-up of its own");
  require(o.crop_padding >= 0, "crop_padding", o.crop_padding, "at least 0");
  for (std::size_t i = 0; i < o.step_epochs.size(); ++i) {
    require(o.step_epochs[i] > (i == 0 ? 0 : o.step_epochs[i - 1]), "step_epochs", o.step_epochs[i],
            "rising from at least 1");
  }
  require(o.step_factor > 0 && o.step_factor <= 1, "step_factor", o.step_factor, "in (0, 1]");
  require(o.accumulate >= 1, "accumulate", o.accumulate, "at least 1");
  require(o.clip_norm >= 0 && std::isfinite(o.clip_norm), "clip_norm", o.clip_norm, "at least 0");
  require(o.dropout >= 0 && o.dropout < 1, "dropout", o.dropout, "in [0, 1)");
  require(o.mixup >= 0 && o.mixup <= 1, "mixup", o.mixup, "in [0, 1]");
  require(o.mixup_off_epochs >= 0, "mixup_off_epochs", o.mixup_off_epochs, "at least 0");
  require(o.average_decay >= 0 && o.average_decay < 1, "average_decay", o.average_decay,
          "in [0, 1)");
  require(o.colour_jitter >= 0 && o.colour_jitter <= 1, "colour_jitter", o.colour_jitter,
          "in [0, 1]");
  require(o.colour_noise >= 0 && std::isfinite(o.colour_noise), "colour_noise", o.colour_noise,
          "at least 0");
  require(o.threads >= 0 && o.threads <= 1024, "threads", o.threads, "in [0, 1024]");
  require(o.workers >= 0 && o.workers <= 1024, "workers", o.workers, "in [0, 1024]");
  require(o.train_images >= 0, "train_images", o.train_images, "at least 0");
  require(o.world.size >= 1, "world.size", o.world.size, "at least 1");
  require(o.world.rank >= 0 && o.world.rank < o.world.size, "world.rank", o.world.rank,
          "at least 0 and less than world.size");
  require(o.timeout >= 1 && o.timeout <= 86400, "timeout", o.timeout, "in [1, 86400]");
  require(o.keep >= 1, "keep", o.keep, "at least 1");
  require(o.checkpoint_steps >= 0, "checkpoint_steps", o.checkpoint_steps, "at least 0");
  if (o.resume && o.folder.empty())
    throw InvalidArgument("train: resume needs a folder to resume from");
}

double learning_rate_at(const TrainOptions& o, std::int64_t step, std::int64_t steps_per_epoch) {
  const std::int64_t steps = o.epochs * steps_per_epoch;
  if (o.schedule == Schedule::kOneCycle) return one_cycle(o.learning_rate, step, steps);
  const std::int64_t warmup = o.warmup_epochs * steps_per_epoch;
  if (step < warmup)
    return o.learning_rate * static_cast<double>(step + 1) / static_cast<double>(warmup);
  if (o.schedule == Schedule::kConstant) return o.learning_rate;
  if (o.schedule == Schedule::kStep) {
    double rate = o.learning_rate;
    for (const std::int64_t epoch : o.step_epochs) {
      if (step >= epoch * steps_per_epoch) rate *= o.step_factor;
    }
    return rate;
  }
  return half_cosine(o.learning_rate, 0,
                     static_cast<double>(step - warmup) / static_cast<double>(steps - warmup));
}

}  // namespace octconv::train
