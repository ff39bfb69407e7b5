// SPDX-License-Identifier: Apache-2.0
// The training loop.
#include "octconv/train/trainer.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "octconv/base/error.h"
#include "octconv/base/file.h"
#include "octconv/base/parallel.h"
#include "octconv/base/random.h"
#include "octconv/nn/graph_module.h"
#include "octconv/train/sgd.h"
#include "train/broken_images.h"
#include "train/checkpoint.h"
#include "train/fits.h"
#include "train/identity.h"
#include "train/kept_checkpoints.h"
#include "train/loader.h"
#include "train/mixup.h"
#include "train/prefetch.h"
#include "train/run_log.h"
#include "train/share.h"
#include "train/step_times.h"
#include "train/tally.h"
#include "train/together.h"
#include "train/training_state.h"

namespace octconv::train {
namespace {

// Streams of the seed.
constexpr std::uint64_t kSubset = 1;
constexpr std::uint64_t kOrder = 2;
constexpr std::uint64_t kAugment = 3;
constexpr std::uint64_t kWeights = 4;
constexpr std::uint64_t kMixup = 5;
constexpr std::uint64_t kDropout = 6;

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Sets the threads of both libraries while it lives.
class Threads {
 public:
  explicit Threads(std::int64_t wanted)
      : torch_before_(at::get_num_threads()), before_(thread_count()) {
    const int count = wanted == 0 ? before_ : static_cast<int>(wanted);
    at::set_num_threads(count);
    set_thread_count(count);
  }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
  ~Threads() {
    at::set_num_threads(torch_before_);
    set_thread_count(before_);
  }

 private:
  int torch_before_;
  int before_;
};

struct Batch {
  at::Tensor images;
  at::Tensor labels;
};

Batch to_tensors(LoadedBatch loaded, const LabelledImages& images) {
  const auto kept = std::make_shared<LoadedBatch>(std::move(loaded));
  const auto count = static_cast<std::int64_t>(kept->labels.size());
  std::vector<std::int64_t> sizes{count, images.channels};
  for (const std::int64_t extent : images.extents()) sizes.push_back(extent);
  // Channels last.
  std::vector<std::int64_t> strides(sizes.size(), 1);
  std::int64_t stride = images.channels;
  for (std::size_t axis = sizes.size(); axis-- > 2; stride *= sizes[axis]) strides[axis] = stride;
  strides[0] = stride;
  return {.images = at::from_blob(
              kept->pixels.get(), sizes, strides, [kept](void*) {}, at::kFloat),
          .labels = at::from_blob(
              kept->labels.data(), {count}, [kept](void*) {}, at::kLong)};
}

class Trainer {
 public:
  // Begins with the weights of the seed unless there are others to start from.
  Trainer(const Graph& graph, const Weights* start, const Dataset& data,
          const TrainOptions& options, Observer& observer)
      : data_(data),
        options_(options),
        observer_(observer),
        together_(options),
        module_(graph, derive_seed(options.seed, kWeights),
                {.composed = options.composed,
                 .bfloat16 = options.bfloat16,
                 .checkpoint_blocks = options.checkpoint_blocks}),
        state_(module_, options),
        train_(data.train, data.mean, data.deviation, classes(graph), "training"),
        test_(data.test, data.mean, data.deviation, classes(graph), "test"),
        broken_training_(options.train_images > 0 ? options.train_images : data.train.count(),
                         "training"),
        broken_test_(data.test.count(), "test"),
        identity_(identity_of(graph, data, options, start)),
        step_times_(options.profile) {
    identity_.options.merge(recipe_identity(options));
    if (start != nullptr) module_.load(*start);
    used_ = shuffled(data.train.count(), derive_seed(options.seed, kSubset));
    if (options.train_images > 0) used_.resize(static_cast<std::size_t>(options.train_images));
    batch_ = std::min<std::int64_t>(options.batch_size, static_cast<std::int64_t>(used_.size()));
    const std::int64_t batches = static_cast<std::int64_t>(used_.size()) / batch_;
    steps_ = batches - batches % options.accumulate;
    if (steps_ == 0) {
      throw InvalidArgument("train: accumulate is " + std::to_string(options.accumulate) +
                            ", and an epoch has " + std::to_string(batches) + " batches");
    }
    if (writes()) {
      make_folder(options.folder);
      remove_unfinished(options.folder);
      if (options.resume) resume();
    }
    if (!together_.alone()) join();
    // What is stopped in its first epoch can be resumed.
    if (writes() && !options.resume) save();
  }

  TrainResult run() {
    std::vector<EpochRecord>& history = state_.history;
    while (static_cast<std::int64_t>(history.size()) < options_.epochs) {
      history.push_back(run_epoch(static_cast<std::int64_t>(history.size()) + 1));
      state_.part = {};
      if (writes()) {
        save();
        keep_checkpoints(options_.folder, history, options_.keep);
      }
      observer_.on_epoch(history.back());
    }
    TrainResult result{.model = trained_model(),
                       .history = history,
                       .best_epoch = best_epoch(history),
                       .step_times = step_times_.all(),
                       .steps = step_times_.steps(),
                       .train_images = static_cast<std::int64_t>(used_.size())};
    if (writes() && result.best_epoch != options_.epochs) {
      const std::filesystem::path path = best_checkpoint_path(options_.folder);
      state_.restore(read_checkpoint(path), path);
      result.best = trained_model();
    }
    return result;
  }

 private:
  // One process writes for all.
  bool writes() const { return !options_.folder.empty() && together_.first(); }

  Model trained_model() {
    state_.exchange_averages();
    const Preprocessing preprocessing{.mean = data_.mean,
                                      .deviation = data_.deviation,
                                      .extents = Shape(data_.train.extents()),
                                      .classes = data_.classes,
                                      .frame_stride = data_.train.frame_stride};
    Model model{module_.graph(), module_.weights(), preprocessing};
    state_.exchange_averages();
    return model;
  }

  static std::int64_t classes(const Graph& graph) {
    return graph.node(graph.outputs()[0]).channels.total();
  }

  std::int64_t workers() const { return options_.workers == 0 ? thread_count() : options_.workers; }

  // Makes what this process knows that of all.
  void join() {
    together_.check_alike(identity_, options_.sync_batch_norm);
    const bool mirrored = options_.mixup > 0;
    const World& world = together_.world();
    for (std::int64_t rank = 0; rank < world.size; ++rank) {
      if (share_of(batch_, rank, world.size, mirrored).empty()) {
        throw InvalidArgument("train: batch_size is " + std::to_string(batch_) +
                              ", too few images for " + std::to_string(world.size) + " processes" +
                              (mirrored ? " that take pairs for mixup" : ""));
      }
    }
    state_.take_over(together_);
    if (options_.sync_batch_norm) {
      module_.synchronise_norms([this](std::span<double> numbers) {
        // A process without images takes part, and does not count.
        if (absent_) std::fill(numbers.begin(), numbers.end(), 0.0);
        together_.add_up(numbers);
      });
    }
    std::vector<at::Tensor> parameters;
    for (const auto& [name, value] : module_.named_parameters()) parameters.push_back(value);
    together_.watch(parameters);
  }

  // Empty if none of its images can be read.
  Batch next_batch(Prefetcher& batches, const Loader& loader, std::vector<BrokenImage>& broken) {
    LoadedBatch loaded = batches.next();
    broken.insert(broken.end(), loaded.broken.begin(), loaded.broken.end());
    return to_tensors(std::move(loaded), loader.images());
  }

  // Reports those of all processes that are new, and returns how many there are, new or known: none
  // where images are in memory.
  std::int64_t note(std::vector<BrokenImage> own, const Loader& loader, BrokenImages& broken) {
    if (!loader.images().are_files()) return 0;
    const std::int64_t known = broken.count();
    const std::vector<BrokenImage> all = together_.all_broken(std::move(own));
    const std::vector<BrokenImage> fresh = broken.add(all);
    for (std::size_t i = 0; i < fresh.size(); ++i) {
      observer_.on_skipped({.path = loader.images().path(fresh[i].index),
                            .why = fresh[i].why,
                            .skipped = known + static_cast<std::int64_t>(i) + 1});
    }
    broken.check();
    return static_cast<std::int64_t>(all.size());
  }

  EpochRecord run_epoch(std::int64_t epoch) {
    const auto epoch_start = Clock::now();
    const auto stream = [&](std::uint64_t purpose) {
      return derive_seed(derive_seed(options_.seed, purpose), static_cast<std::uint64_t>(epoch));
    };
    // Positions in used_ become indices of images, so that an image's augmentation is its own.
    std::vector<std::int64_t> order =
        shuffled(static_cast<std::int64_t>(used_.size()), stream(kOrder));
    for (std::int64_t& image : order) image = used_[static_cast<std::size_t>(image)];
    order.resize(static_cast<std::size_t>(steps_ * batch_));
    order.erase(order.begin(), order.begin() + state_.part.batches * batch_);
    const std::vector<std::int64_t> own =
        share_of(batch_, together_.world().rank, together_.world().size, options_.mixup > 0);
    if (!together_.alone()) {
      order = share_of_batches(order, batch_, own);
      state_.take_over_weights(together_);
    }
    const bool resized =
        options_.crop.value_or(data_.train.are_files() ? Crop::kResized : Crop::kShift) ==
        Crop::kResized;
    Prefetcher batches(train_, std::move(order), static_cast<std::int64_t>(own.size()),
                       {.random_start = data_.train.are_clips(),
                        .random_crop = resized,
                        .crop_padding = resized ? 0 : options_.crop_padding,
                        .flip = options_.flip,
                        .colour_jitter = options_.colour_jitter,
                        .colour_noise = options_.colour_noise,
                        .seed = stream(kAugment)},
                       workers());

    EpochRecord record{.epoch = epoch};
    Tally tally(state_.part);
    const double before = tally.count();  // images of an earlier process
    module_.train();
    step_times_.start();
    for (std::int64_t step = state_.part.batches; step < steps_; ++step) {
      const std::int64_t updates = steps_ / options_.accumulate;
      record.learning_rate =
          learning_rate_at(options_, (epoch - 1) * updates + step / options_.accumulate, updates);
      std::vector<BrokenImage> broken;
      const Batch batch = next_batch(batches, train_, broken);
      const std::int64_t images = batch_ - note(std::move(broken), train_, broken_training_);
      step_times_.stage_done(Stage::kImages);
      const auto seed = [&](std::uint64_t purpose) {
        return derive_seed(stream(purpose), static_cast<std::uint64_t>(step));
      };
      nn::Dropout dropout{.rate = options_.dropout, .seed = seed(kDropout)};
      if (!together_.alone()) {
        dropout.batch = batch_;
        dropout.rows.assign(own.begin(), own.begin() + batch.labels.size(0));
      }
      const Tally of_batch =
          add_gradients(batch, images, mixup_share(epoch, seed(kMixup)), dropout, epoch, step);
      tally.add(of_batch);
      step_times_.stage_done(Stage::kRest);
      if (completes(step)) take_step(record.learning_rate);
      step_times_.stage_done(Stage::kUpdate);
      record.images_per_second = (tally.count() - before) / seconds_since(epoch_start);
      if (wants_checkpoint(step + 1)) {
        if (!together_.alone() && !options_.sync_batch_norm) state_.average_statistics(together_);
        state_.part = tally.part(step + 1);
        if (writes()) save();
      }
      observer_.on_step({.epoch = epoch,
                         .epochs = options_.epochs,
                         .step = step + 1,
                         .steps = steps_,
                         .loss = tally.loss(),
                         .accuracy = tally.accuracy(),
                         .learning_rate = record.learning_rate,
                         .images_per_second = record.images_per_second,
                         .seconds_left = seconds_left(epoch, step + 1, record.images_per_second)});
      step_times_.stage_done(Stage::kRest);
      step_times_.step_done();
    }
    step_times_.stop();
    record.train_loss = tally.loss();
    record.train_accuracy = tally.accuracy();
    if (!together_.alone() && !options_.sync_batch_norm) state_.average_statistics(together_);
    test(record);
    record.seconds = seconds_since(epoch_start);
    record.step = epoch * (steps_ / options_.accumulate);
    record.time =
        std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    return record;
  }

  // After so many batches of an epoch?
  bool wants_checkpoint(std::int64_t batches) const {
    const std::int64_t every = options_.checkpoint_steps * options_.accumulate;
    return !options_.folder.empty() && every > 0 && batches % every == 0 && batches < steps_;
  }

  // How much of each image of a batch is its own.
  double mixup_share(std::int64_t epoch, std::uint64_t seed) const {
    if (options_.mixup == 0 || epoch > options_.epochs - options_.mixup_off_epochs) return 1;
    Random random(seed);
    return random_share(options_.mixup, random);
  }

  // Does a step of the optimiser follow?
  bool completes(std::int64_t step) const { return (step + 1) % options_.accumulate == 0; }

  // Of this process's part of a batch of `images`; returns loss and accuracy of all parts.
  Tally add_gradients(const Batch& batch, std::int64_t images, double share,
                      const nn::Dropout& dropout, std::int64_t epoch, std::int64_t step) {
    const std::int64_t own = batch.labels.size(0);
    Tally tally;
    at::Tensor loss;
    if (own > 0) {
      const at::Tensor blended = share == 1 ? batch.images : blend(batch.images, share);
      const at::Tensor logits = module_.forward(blended, dropout);
      step_times_.stage_done(Stage::kForward);
      loss = blended_loss(logits, batch.labels, share, options_.label_smoothing);
      tally.add(loss.item<double>(), logits.detach(),
                share < 0.5 ? batch.labels.flip(0) : batch.labels);
    } else if (images > 0 && options_.sync_batch_norm) {
      loss = loss_of_nothing();
    }
    tally.add_up(together_);
    step_times_.stage_done(Stage::kLoss);
    if (images > 0 && !std::isfinite(tally.loss())) {
      throw Error("train: the loss is " + std::to_string(tally.loss()) + " in epoch " +
                  std::to_string(epoch) + ", step " + std::to_string(step + 1) +
                  "; try a smaller learning rate than " + std::to_string(options_.learning_rate));
    }
    if (own == 0 && loss.defined()) leave_no_gradients([&] { loss.backward(); });
    absent_ = false;
    if (completes(step)) together_.begin_gradients();
    if (own > 0) {
      // Means over the parts become the mean over the batch.
      const double part =
          own == images ? 1 : static_cast<double>(own) / static_cast<double>(images);
      const double scale = part / static_cast<double>(options_.accumulate);
      (scale == 1 ? loss : loss * scale).backward();
    }
    if (completes(step)) together_.finish_gradients(own > 0 || images == 0);
    step_times_.stage_done(Stage::kBackward);
    return tally;
  }

  // Where none of a process's images can be read, the others still wait for its part of each batch
  // norm: an image that does not count takes that way.
  at::Tensor loss_of_nothing() {
    absent_ = true;
    std::vector<std::int64_t> sizes{1, data_.train.channels};
    for (const std::int64_t extent : data_.train.extents()) sizes.push_back(extent);
    return module_.forward(at::zeros(sizes)).sum();
  }

  template <class Act>
  void leave_no_gradients(const Act& act) {
    std::vector<at::Tensor> before;
    for (const Trained& tensor : state_.trained()) {
      at::Tensor value = tensor.value;
      before.push_back(std::exchange(value.mutable_grad(), at::Tensor()));
    }
    act();
    for (std::size_t i = 0; i < before.size(); ++i) {
      at::Tensor value = state_.trained()[i].value;
      value.mutable_grad() = before[i];
    }
  }

  void take_step(double learning_rate) {
    if (options_.clip_norm > 0) clip_gradients(state_.trained(), options_.clip_norm);
    state_.step(learning_rate);
  }

  void test(EpochRecord& record) {
    const at::NoGradGuard guard;
    const auto start = Clock::now();
    module_.eval();
    state_.exchange_averages();
    Tally tally;
    const World& world = together_.world();
    std::vector<std::int64_t> own = share_of(data_.test.count(), world.rank, world.size, false);
    const auto count = static_cast<std::int64_t>(own.size());
    const std::int64_t batch_size = (options_.batch_size + world.size - 1) / world.size;
    std::vector<BrokenImage> broken;
    Prefetcher batches(test_, std::move(own), batch_size, {}, workers());
    for (std::int64_t first = 0; first < count; first += batch_size) {
      const Batch batch = next_batch(batches, test_, broken);
      if (together_.alone()) note(std::exchange(broken, {}), test_, broken_test_);
      if (batch.labels.size(0) == 0) continue;
      const at::Tensor logits = module_.forward(batch.images);
      tally.add(blended_loss(logits, batch.labels, 1, 0).item<double>(), logits, batch.labels);
      tally.add_top5(logits, batch.labels);
    }
    state_.exchange_averages();
    if (!together_.alone()) note(std::move(broken), test_, broken_test_);
    tally.add_up(together_);
    record.test_loss = tally.loss();
    record.test_accuracy = tally.accuracy();
    record.test_top5_accuracy = tally.top5_accuracy();
    test_seconds_ = seconds_since(start);
  }

  double seconds_left(std::int64_t epoch, std::int64_t step, double images_per_second) const {
    const std::int64_t steps_left = (options_.epochs - epoch + 1) * steps_ - step;
    const double training = static_cast<double>(steps_left * batch_) / images_per_second;
    // Until the first test has been timed: a forward pass takes about a third of a step.
    const double testing = test_seconds_ > 0
                               ? test_seconds_
                               : static_cast<double>(data_.test.count()) / images_per_second / 3;
    return training + static_cast<double>(options_.epochs - epoch + 1) * testing;
  }

  void save() const {
    write_checkpoint(checkpoint_path(options_.folder), state_.checkpoint(identity_));
    write_run_log(options_.folder, state_.history);
  }

  void resume() {
    const std::filesystem::path path = checkpoint_path(options_.folder);
    const Checkpoint checkpoint = read_checkpoint(path);
    check_same(checkpoint.identity, identity_, path);
    state_.restore(checkpoint, path);
    state_.history = checkpoint.history;
    for (EpochRecord& record : state_.history)
      record.step = record.epoch * (steps_ / options_.accumulate);
    state_.part = checkpoint.part;
    if (state_.part.batches == 0 && !state_.history.empty())
      keep_checkpoints(options_.folder, state_.history, options_.keep);
    write_run_log(options_.folder, state_.history);
  }

  const Dataset& data_;
  const TrainOptions& options_;
  Observer& observer_;
  Together together_;
  nn::GraphModule module_;
  TrainingState state_;
  Loader train_;
  Loader test_;
  BrokenImages broken_training_;
  BrokenImages broken_test_;
  Identity identity_;
  std::vector<std::int64_t> used_;  // indices of the training images
  std::int64_t batch_ = 0;
  std::int64_t steps_ = 0;  // of an epoch
  double test_seconds_ = 0;
  StepTimes step_times_;
  bool absent_ = false;  // has this process no image of the batch?
};

}  // namespace

Observer::~Observer() = default;
void Observer::on_step(const StepProgress&) {}
void Observer::on_skipped(const SkippedImage&) {}
void Observer::on_epoch(const EpochRecord&) {}

namespace {

TrainResult train_from(const Graph& graph, const Weights* start, const Dataset& data,
                       const TrainOptions& options, Observer* observer) {
  check(options);
  check_fits(graph, data, options);
  const Threads threads(options.threads);
  Observer silent;
  return Trainer(graph, start, data, options, observer != nullptr ? *observer : silent).run();
}

}  // namespace

std::string bfloat16_obstacle() {
  if (nn::multiplies_bfloat16()) return "";
  return "this processor has no instructions for it (AVX-512 BF16), and is many times slower with "
         "it than without";
}

TrainResult train(const Graph& graph, const Dataset& data, const TrainOptions& options,
                  Observer* observer) {
  return train_from(graph, nullptr, data, options, observer);
}

TrainResult train(const Model& start, const Dataset& data, const TrainOptions& options,
                  Observer* observer) {
  check_weights(start.graph, start.weights);
  const Preprocessing& known = start.preprocessing;
  const auto classes = static_cast<std::int64_t>(data.classes.size());
  check_fits(start.graph, data, options);
  const std::int64_t outputs = start.graph.node(start.graph.outputs()[0]).channels.total();
  if (outputs != classes) {
    throw InvalidArgument("train: network '" + start.graph.name() + "' has " +
                          std::to_string(outputs) + " outputs, and data set '" + data.name +
                          "' has " + std::to_string(classes) + " classes");
  }
  if (known.mean.empty()) return train_from(start.graph, &start.weights, data, options, observer);
  Dataset as_before = data;
  as_before.mean = known.mean;
  as_before.deviation = known.deviation;
  return train_from(start.graph, &start.weights, as_before, options, observer);
}

}  // namespace octconv::train
