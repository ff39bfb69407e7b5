// SPDX-License-Identifier: Apache-2.0
// How a network is trained.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

#include "octconv/base/api.h"
#include "octconv/train/world.h"

namespace octconv::train {

/// How the learning rate changes from step to step.
enum class Schedule {
  kCosine,  ///< half a cosine from the full rate to 0 (Loshchilov and Hutter, ICLR 2017), after the
            ///< warm-up
  kOneCycle,  ///< rate / 25 up to the full rate in 30 % of the steps, then down to rate / 250,000;
              ///< both by half a cosine (Smith and Topin 2017, with the numbers of PyTorch's
              ///< OneCycleLR)
  kStep,      ///< after the warm-up the full rate, multiplied by `step_factor` at the beginning of
              ///< each epoch of `step_epochs`
  kConstant,  ///< the full rate, after the warm-up
};

/// "cosine", "onecycle", "step", "constant".
[[nodiscard]] OCTCONV_API std::string_view to_string(Schedule schedule) noexcept;
/// The schedule of that name.
/// @throws InvalidArgument naming the text and the known values
[[nodiscard]] OCTCONV_API Schedule parse_schedule(std::string_view text);

/// How training images are cut.
enum class Crop {
  kShift,    ///< shifted by some pixels (`crop_padding`)
  kResized,  ///< a random part of random size and shape, resized (`octconv::random_crop`)
};

/// "shift", "resized".
[[nodiscard]] OCTCONV_API std::string_view to_string(Crop crop) noexcept;
/// The kind of that name.
/// @throws InvalidArgument naming the text and the known values
[[nodiscard]] OCTCONV_API Crop parse_crop(std::string_view text);

/// Stochastic gradient descent with Nesterov momentum on the cross-entropy.
struct TrainOptions {
  std::int64_t epochs = 10;       ///< >= 1
  std::int64_t batch_size = 128;  ///< >= 1, of all processes together; an epoch drops its last,
                                  ///< incomplete batch unless it is the only one
  double learning_rate = 0.1;     ///< > 0
  double momentum = 0.9;          ///< in [0, 1)
  double weight_decay = 5e-4;     ///< >= 0
  bool no_weight_decay_on_norm = true;    ///< nor on biases
  double label_smoothing = 0;             ///< in [0, 1)
  Schedule schedule = Schedule::kCosine;  ///< of the learning rate
  std::int64_t warmup_epochs =
      0;  ///< >= 0, < epochs: the rate rises linearly; 0 with Schedule::kOneCycle
  std::vector<std::int64_t> step_epochs{30, 60, 90};  ///< rising, >= 1: epochs before each change
                                                      ///< of the rate, of Schedule::kStep
  double step_factor = 0.1;                           ///< in (0, 1], of Schedule::kStep
  std::int64_t accumulate = 1;  ///< >= 1: batches whose mean gradient is one step; an epoch drops
                                ///< its last batches if they do not make up one
  double clip_norm = 0;  ///< >= 0; gradients are scaled so that the norm of all is at most this, 0:
                         ///< they are not
  double dropout = 0;    ///< in [0, 1): share of the last linear layer's inputs set to 0
  double mixup = 0;      ///< in [0, 1]: images of a batch are blended in pairs, the share drawn for
                         ///< each batch from Beta(mixup, mixup); 0: they are not
  std::int64_t mixup_off_epochs = 0;  ///< >= 0: the last so many epochs go without mixup
  double average_decay = 0;  ///< in [0, 1): of an exponential moving average of the weights after
                             ///< each step, which is what is tested and returned; 0: none
  double colour_jitter =
      0;  ///< in [0, 1]: strength of `octconv::random_jitter`; images of 3 channels
  double colour_noise = 0;        ///< >= 0: strength of `octconv::random_colour_shift`; 3 channels
  std::optional<Crop> crop;       ///< unset: kResized where the images are files, kShift in memory
  std::int64_t crop_padding = 2;  ///< >= 0: images are shifted by up to so many pixels each way,
                                  ///< black comes in; of Crop::kShift
  bool flip = true;               ///< every second image is mirrored left to right
  std::uint64_t seed = 0;  ///< of the initial weights, the order of images and their augmentation
  World world{};  ///< the processes that train together. Only rank 0 reads and writes `folder`
  bool sync_batch_norm = false;  ///< batch norm takes the statistics of all processes' images
                                 ///< together; else each process those of its own
  std::int64_t timeout = 300;    ///< >= 1, <= 86400: seconds to wait for another process
  std::int64_t threads = 0;      ///< >= 0; 0: octconv::thread_count()
  std::int64_t workers = 0;  ///< >= 0, threads that prepare images ahead; 0: as many as `threads`.
                             ///< Their number changes no result
  std::int64_t train_images = 0;   ///< >= 0; the first so many of a seeded shuffle, 0: all
  std::filesystem::path folder;    ///< where checkpoint.pt is written after each epoch, and the
                                   ///< epochs so far as history.jsonl and as a file of events for
                                   ///< TensorBoard; empty: nowhere
  bool resume = false;             ///< continue from the folder's checkpoint
  bool composed = false;           ///< convolutions run as LibTorch's own operations
                                   ///< (`nn::GraphModuleOptions`): the same to rounding
  bool bfloat16 = false;           ///< convolutions run in bfloat16 (`nn::GraphModuleOptions`)
  bool checkpoint_blocks = false;  ///< blocks are computed again instead of kept for the backward
                                   ///< pass (`nn::GraphModuleOptions`): the same bits
  bool profile = false;            ///< say where the time of steps goes (`TrainResult::step_times`)
  std::int64_t keep = 1;           ///< >= 1: checkpoints of so many epochs are kept, the last as
                          ///< checkpoint.pt, those before as checkpoint-EPOCH.pt; that of the best
                          ///< epoch is best.pt
  std::int64_t checkpoint_steps = 0;  ///< >= 0: a checkpoint also after every so many steps of an
                                      ///< epoch; 0: after epochs only
};

/// Holds every option against its range.
/// @throws InvalidArgument naming the option and its value
OCTCONV_API void check(const TrainOptions& options);

/// The learning rate of a step.
/// @param step  steps since the start of training, in [0, epochs * steps_per_epoch)
/// @param steps_per_epoch  steps, of `accumulate` batches each
[[nodiscard]] OCTCONV_API double learning_rate_at(const TrainOptions& options, std::int64_t step,
                                                  std::int64_t steps_per_epoch);

}  // namespace octconv::train
