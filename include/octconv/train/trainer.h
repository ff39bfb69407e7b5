// SPDX-License-Identifier: Apache-2.0
// Trains a network on labelled images or clips.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "octconv/base/api.h"
#include "octconv/graph/model.h"
#include "octconv/image/dataset.h"
#include "octconv/train/options.h"

namespace octconv::train {

/// What an epoch came to.
struct EpochRecord {
  std::int64_t epoch = 0;     ///< 1 is the first
  double train_loss = 0;      ///< mean over the epoch's images, with label smoothing and mixup
  double train_accuracy = 0;  ///< share of the epoch's images, augmented as they were, in [0, 1];
                              ///< of mixed ones the class with the larger share counts
  double test_loss = 0;       ///< after the epoch, on all test images, without label smoothing
  double test_accuracy = 0;   ///< in [0, 1]
  double test_top5_accuracy = 0;  ///< share of test images whose class is among the first five
  double learning_rate = 0;       ///< of the last step
  double images_per_second = 0;   ///< while training
  double seconds = 0;             ///< training and testing
  std::int64_t step = 0;          ///< steps since training began
  double time = 0;                ///< when the epoch ended, in seconds since 1970
};

/// Where training stands after a step.
struct StepProgress {
  std::int64_t epoch = 0;        ///< 1 is the first
  std::int64_t epochs = 0;       ///< of the training
  std::int64_t step = 0;         ///< steps of this epoch that are done
  std::int64_t steps = 0;        ///< of an epoch
  double loss = 0;               ///< mean over this epoch so far
  double accuracy = 0;           ///< over this epoch so far
  double learning_rate = 0;      ///< of this step
  double images_per_second = 0;  ///< in this epoch
  double seconds_left = 0;       ///< until training ends, estimated
};

/// An image file that could not be read and is left out.
struct SkippedImage {
  std::filesystem::path path;  ///< of the file
  std::string why;             ///< one sentence that names it
  std::int64_t skipped = 0;    ///< of this part of the data so far, with this one
};

/// Told how training goes, on the thread that trains. What it throws ends the training; the
/// checkpoint of the last complete epoch stands.
class OCTCONV_API Observer {
 public:
  Observer() = default;
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;
  virtual ~Observer();
  /// After each step.
  virtual void on_step(const StepProgress& progress);
  /// Once for each image file that cannot be read, when it is first wanted.
  virtual void on_skipped(const SkippedImage& image);
  /// After the epoch's checkpoint was written.
  virtual void on_epoch(const EpochRecord& record);
};

/// A part of training steps, and how long it took.
struct StepTime {
  std::string name;        ///< "loss"
  std::int64_t calls = 0;  ///< of operations; 0 where it is none
  double seconds = 0;      ///< of all steps
};

/// What training came to.
struct TrainResult {
  Model model;                       ///< trained, with the data set's preprocessing and class names
  std::vector<EpochRecord> history;  ///< one per epoch, also of those before a resume
  std::int64_t best_epoch = 0;       ///< with the highest test accuracy, of equal ones the first
  std::optional<Model> best;  ///< of that epoch, if it is not the last; from the folder's best.pt
  std::vector<StepTime> step_times;  ///< of this process, where they were asked for: parts that add
                                     ///< up to `steps` steps
  std::int64_t steps = 0;            ///< batches that they are of
  std::int64_t train_images = 0;     ///< how many were used
};

/// Why `TrainOptions::bfloat16` is of no use on this processor, or "" if it is.
[[nodiscard]] OCTCONV_API std::string bfloat16_obstacle();

/// Trains from `initial_weights`, and tests after each epoch.
///
/// The result depends on the graph, the data and the options alone: with the same number of threads
/// it is the same bit for bit, whether the training ran through or was stopped and resumed. With
/// another number of threads sums may round differently. Freed memory is kept
/// (`nn::keep_freed_memory`).
///
/// Of several processes (`TrainOptions::world`) each takes its own part of every batch, and the
/// gradients are added up: with `sync_batch_norm` the result is that of one process but for
/// rounding. Every process returns it. A checkpoint may be resumed by any number of processes.
///
/// Images and clips that are files are decoded by threads of their own, ahead of their use. A batch
/// goes on without those that cannot be read.
///
/// @throws InvalidArgument if options are out of range or do not fit the data, or if the checkpoint
/// to resume
///         from is of another network, other data or other options (`threads` may differ);
///         FileError and FormatError if it cannot be read or is not whole; Error if the loss is no
///         longer finite, if more than 1 % of the training or test images, and 10 or more,
///         cannot be read, or if another process ends, cannot be reached or does not go on for
///         `timeout` seconds
[[nodiscard]] OCTCONV_API TrainResult train(const Graph& graph, const Dataset& data,
                                            const TrainOptions& options,
                                            Observer* observer = nullptr);

/// Trains on from a model's weights instead of new ones, and with the mean and the deviation of its
/// images where it knows them.
///
/// @throws InvalidArgument also if the weights do not fit the graph, the model has not as many
/// outputs as the data has classes, or the checkpoint to resume from began with other weights
[[nodiscard]] OCTCONV_API TrainResult train(const Model& start, const Dataset& data,
                                            const TrainOptions& options,
                                            Observer* observer = nullptr);

}  // namespace octconv::train
