// SPDX-License-Identifier: Apache-2.0
// Training as commands see it, so that a build without LibTorch differs in one file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "octconv/graph/graph.h"
#include "octconv/graph/model.h"
#include "octconv/image/dataset.h"

namespace octconv::workflow {

// What a command lets its user choose; where a member is unset the trainer's own default holds.
struct TrainingPlan {
  std::int64_t epochs = 3;
  std::optional<std::int64_t> batch_size;
  std::optional<double> learning_rate;
  std::int64_t train_images = 0;  // only so many of the training images; 0: all
  std::uint64_t seed = 0;
};

// Options of the trainer by name, those of `octconv train` with underscores (and `decay_norm`,
// `flip`, `composed`, `bfloat16` and `checkpoint_blocks`, true or false); values are JSON.
using NamedOptions = std::map<std::string, std::string>;

// A training in a folder that can be stopped and continued.
struct NamedTraining {
  NamedOptions options;
  std::uint64_t seed = 0;
  std::filesystem::path folder;       // of checkpoint and history
  bool resume = false;                // continue from the folder's checkpoint
  std::int64_t checkpoint_steps = 0;  // a checkpoint also after so many steps of an epoch; 0: not
};

// After one pass over the training images.
struct EpochResult {
  std::int64_t epoch = 0;     // from 1
  double train_loss = 0;      // mean over the epoch's images
  double train_accuracy = 0;  // share of the images, in [0, 1]
  double test_loss = 0;
  double test_accuracy = 0;
  double test_top5_accuracy = 0;
  double seconds = 0;
};

// Within a pass.
struct StepResult {
  std::int64_t epoch = 0;
  std::int64_t step = 0;
  std::int64_t steps = 0;   // in this epoch
  double train_loss = 0;    // mean so far
  double seconds_left = 0;  // until the last epoch ends, estimated
};

// Either may be empty. An exception from one ends the training.
struct TrainingListener {
  std::function<void(const EpochResult&)> on_epoch;
  std::function<void(const StepResult&)> on_step;
};

struct TrainingResult {
  Model model;
  std::vector<EpochResult> epochs;
};

// Why this build cannot train, or "" if it can.
std::string training_obstacle();

// Throws InvalidArgument for a number out of range, Unsupported in a build without LibTorch.
void check_plan(const TrainingPlan& plan);

// Trains from scratch. Throws what check_plan throws, and Error if the loss is no longer finite.
TrainingResult train_network(const Graph& graph, const Dataset& data, const TrainingPlan& plan,
                             const TrainingListener& listener);

// The same for a named training; the first returns how many epochs it has. Throws InvalidArgument
// also for an option that is unknown or of another type, Unsupported for one that this processor
// has no instructions for.
std::int64_t check_training(const NamedTraining& training);
TrainingResult train_network(const Graph& graph, const Dataset& data, const NamedTraining& training,
                             const TrainingListener& listener);

}  // namespace octconv::workflow
