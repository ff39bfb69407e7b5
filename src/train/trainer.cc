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
#include "train/average.h"
#include "train/broken_images.h"
#include "train/checkpoint.h"
#include "train/identity.h"
#include "train/kept_checkpoints.h"
#include "train/loader.h"
#include "train/mixup.h"
#include "train/prefetch.h"
#include "train/run_log.h"
#include "train/sgd.h"
#include "train/share.h"
#include "train/step_times.h"
#include "train/together.h"

namespace octconv::train {
namespace {

// Streams of the seed.
constexpr std::uint64_t kSubset = 1;
constexpr std::uint64_t kOrder = 2;
constexpr std::uint64_t kAugment = 3;
constexpr std::uint64_t kWeights = 4;
constexpr std::uint64_t kMixup = 5;
constexpr std::uint64_t kDropout = 6;

// Begins the name of a weight's moving average in a checkpoint.
constexpr const char* kAverage = "average/";

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
  const std::int64_t row = images.width * images.channels;
  return {.images = at::from_blob(
              kept->pixels.get(), {count, images.channels, images.height, images.width},
              {images.height * row, 1, row, images.channels}, [kept](void*) {}, at::kFloat),
          .labels = at::from_blob(
              kept->labels.data(), {count}, [kept](void*) {}, at::kLong)};
}

// Loss and accuracy over some images.
class Tally {
 public:
  Tally() = default;
  // That of the part of an epoch that is done.
  explicit Tally(const EpochPart& part)
      : loss_(part.loss),
        correct_(static_cast<double>(part.correct)),
        count_(static_cast<double>(part.images)) {}

  void add(double mean_loss, const at::Tensor& logits, const at::Tensor& labels) {
    const auto count = static_cast<double>(labels.size(0));
    loss_ += mean_loss * count;
    correct_ += static_cast<double>(logits.argmax(1).eq(labels).sum().item<std::int64_t>());
    count_ += count;
  }
  // Beside `add`, where the five best classes count.
  void add_top5(const at::Tensor& logits, const at::Tensor& labels) {
    const auto best = std::get<1>(logits.topk(std::min<std::int64_t>(5, logits.size(1)), 1));
    in_top5_ += static_cast<double>(best.eq(labels.unsqueeze(1)).sum().item<std::int64_t>());
  }
  void add(const Tally& other) {
    loss_ += other.loss_;
    correct_ += other.correct_;
    count_ += other.count_;
  }
  // Becomes that of all processes.
  void add_up(Together& together) {
    std::array<double, 4> numbers{loss_, correct_, in_top5_, count_};
    together.add_up(numbers);
    loss_ = numbers[0];
    correct_ = numbers[1];
    in_top5_ = numbers[2];
    count_ = numbers[3];
  }
  double loss() const { return loss_ / count_; }
  double accuracy() const { return correct_ / count_; }
  double top5_accuracy() const { return in_top5_ / count_; }
  double count() const { return count_; }
  EpochPart part(std::int64_t batches) const {
    return {.batches = batches,
            .loss = loss_,
            .correct = std::llround(correct_),
            .images = std::llround(count_)};
  }

 private:
  double loss_ = 0;
  double correct_ = 0;
  double in_top5_ = 0;
  double count_ = 0;
};

std::set<std::string> without_decay(const Graph& graph, const TrainOptions& options) {
  std::set<std::string> names;
  for (const Parameter& parameter : parameters(graph)) {
    if (options.no_weight_decay_on_norm && parameter.kind != Parameter::Kind::kWeight)
      names.insert(parameter.name);
  }
  return names;
}

std::vector<Trained> trained_tensors(const nn::GraphModule& module, const TrainOptions& options) {
  const std::set<std::string> spared = without_decay(module.graph(), options);
  std::vector<Trained> all;
  for (const auto& [name, value] : module.named_parameters()) {
    all.push_back({name, value, spared.contains(name) ? 0.0 : options.weight_decay});
  }
  return all;
}

void check_fits(const Graph& graph, const Dataset& data, const TrainOptions& options) {
  const auto fail = [&](const std::string& why) {
    throw InvalidArgument("train: network '" + graph.name() + "' and data set '" + data.name +
                          "': " + why);
  };
  if (graph.rank() != 2)
    fail("the network has rank " + std::to_string(graph.rank()) + ", images have 2");
  if (graph.inputs().size() != 1 || graph.outputs().size() != 1)
    fail("the network needs one input and one output");
  if (graph.node(graph.outputs()[0]).spatial)
    fail("the network's output has extents, classes have none");
  const std::int64_t channels = graph.node(graph.inputs()[0]).channels.total();
  if (channels != data.train.channels) {
    fail("the network takes " + std::to_string(channels) + " channels, the images have " +
         std::to_string(data.train.channels));
  }
  if (data.test.channels != data.train.channels || data.test.height != data.train.height ||
      data.test.width != data.train.width) {
    fail("training and test images differ in size");
  }
  if ((options.colour_jitter > 0 || options.colour_noise > 0) && channels != 3) {
    fail("colours cannot be varied in images of " + std::to_string(channels) + " channels");
  }
  if (options.train_images > data.train.count()) {
    fail("train_images is " + std::to_string(options.train_images) + ", there are " +
         std::to_string(data.train.count()));
  }
  // Names the node at which images of this size become too small.
  static_cast<void>(infer_shapes(graph, 1, {data.train.height, data.train.width}));
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
        module_(graph, derive_seed(options.seed, kWeights)),
        sgd_(trained_tensors(module_, options), options.momentum),
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
    if (options.average_decay > 0) average_.emplace(all_tensors(), options.average_decay);
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
    while (static_cast<std::int64_t>(history_.size()) < options_.epochs) {
      history_.push_back(run_epoch(static_cast<std::int64_t>(history_.size()) + 1));
      part_ = {};
      if (writes()) {
        save();
        keep_checkpoints(options_.folder, history_, options_.keep);
      }
      observer_.on_epoch(history_.back());
    }
    TrainResult result{.model = trained_model(),
                       .history = history_,
                       .best_epoch = best_epoch(history_),
                       .step_times = step_times_.all(),
                       .steps = step_times_.steps(),
                       .train_images = static_cast<std::int64_t>(used_.size())};
    if (writes() && result.best_epoch != options_.epochs) {
      const std::filesystem::path path = best_checkpoint_path(options_.folder);
      restore(read_checkpoint(path), path);
      result.best = trained_model();
    }
    return result;
  }

 private:
  // One process writes for all.
  bool writes() const { return !options_.folder.empty() && together_.first(); }

  Model trained_model() {
    if (average_) average_->exchange();
    const Preprocessing preprocessing{.mean = data_.mean,
                                      .deviation = data_.deviation,
                                      .extents = {data_.train.height, data_.train.width},
                                      .classes = data_.classes};
    Model model{module_.graph(), module_.weights(), preprocessing};
    if (average_) average_->exchange();
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
    together_.take_over(history_);
    together_.take_over(part_);
    take_over_weights();
    if (!history_.empty() || part_.batches > 0) {
      std::vector<at::Tensor> kept;
      for (std::size_t i = 0; i < sgd_.trained().size(); ++i) {
        if (!sgd_.velocity(i).defined())
          sgd_.set_velocity(i, at::empty_like(sgd_.trained()[i].value));
        kept.push_back(sgd_.velocity(i));
      }
      if (average_) {
        for (const auto& [name, value] : average_->averages()) kept.push_back(value);
      }
      together_.take_over(kept);
    }
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

  // Rank 0's, to the bit: machines may round differently.
  void take_over_weights() {
    std::vector<at::Tensor> tensors;
    for (const auto& [name, value] : all_tensors()) tensors.push_back(value);
    together_.take_over(tensors);
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
    order.erase(order.begin(), order.begin() + part_.batches * batch_);
    const std::vector<std::int64_t> own =
        share_of(batch_, together_.world().rank, together_.world().size, options_.mixup > 0);
    if (!together_.alone()) {
      order = share_of_batches(order, batch_, own);
      take_over_weights();
    }
    const bool resized =
        options_.crop.value_or(data_.train.are_files() ? Crop::kResized : Crop::kShift) ==
        Crop::kResized;
    Prefetcher batches(train_, std::move(order), static_cast<std::int64_t>(own.size()),
                       {.random_crop = resized,
                        .crop_padding = resized ? 0 : options_.crop_padding,
                        .flip = options_.flip,
                        .colour_jitter = options_.colour_jitter,
                        .colour_noise = options_.colour_noise,
                        .seed = stream(kAugment)},
                       workers());

    EpochRecord record{.epoch = epoch};
    Tally tally(part_);
    const double before = tally.count();  // images of an earlier process
    module_.train();
    step_times_.start();
    for (std::int64_t step = part_.batches; step < steps_; ++step) {
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
        if (!together_.alone() && !options_.sync_batch_norm) average_statistics();
        part_ = tally.part(step + 1);
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
    if (!together_.alone() && !options_.sync_batch_norm) average_statistics();
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
    return module_
        .forward(at::zeros({1, data_.train.channels, data_.train.height, data_.train.width}))
        .sum();
  }

  template <class Act>
  void leave_no_gradients(const Act& act) {
    std::vector<at::Tensor> before;
    for (const Trained& tensor : sgd_.trained()) {
      at::Tensor value = tensor.value;
      before.push_back(std::exchange(value.mutable_grad(), at::Tensor()));
    }
    act();
    for (std::size_t i = 0; i < before.size(); ++i) {
      at::Tensor value = sgd_.trained()[i].value;
      value.mutable_grad() = before[i];
    }
  }

  void take_step(double learning_rate) {
    if (options_.clip_norm > 0) clip_gradients(sgd_.trained(), options_.clip_norm);
    sgd_.step(learning_rate);
    if (average_) average_->update();
  }

  // Each process has running statistics of its own images.
  void average_statistics() {
    std::vector<at::Tensor> statistics;
    std::set<std::string> names;
    for (const auto& [name, value] : module_.named_buffers()) {
      statistics.push_back(value);
      names.insert(name);
    }
    if (average_) {
      for (const auto& [name, value] : average_->averages()) {
        if (names.contains(name)) statistics.push_back(value);
      }
    }
    together_.average(statistics);
  }

  void test(EpochRecord& record) {
    const at::NoGradGuard guard;
    const auto start = Clock::now();
    module_.eval();
    if (average_) average_->exchange();
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
    if (average_) average_->exchange();
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

  // Parameters and buffers.
  std::vector<std::pair<std::string, at::Tensor>> all_tensors() const {
    std::vector<std::pair<std::string, at::Tensor>> all = module_.named_parameters();
    for (auto& item : module_.named_buffers()) all.push_back(std::move(item));
    return all;
  }

  void save() const {
    Checkpoint checkpoint{.identity = identity_, .history = history_, .part = part_};
    for (const auto& [name, value] : all_tensors()) checkpoint.tensors.emplace(name, value);
    if (average_) {
      for (const auto& [name, value] : average_->averages())
        checkpoint.tensors.emplace(kAverage + name, value);
    }
    for (std::size_t i = 0; i < sgd_.trained().size(); ++i) {
      if (sgd_.velocity(i).defined())
        checkpoint.velocities.emplace(sgd_.trained()[i].name, sgd_.velocity(i));
    }
    write_checkpoint(checkpoint_path(options_.folder), checkpoint);
    write_run_log(options_.folder, history_);
  }

  void resume() {
    const std::filesystem::path path = checkpoint_path(options_.folder);
    const Checkpoint checkpoint = read_checkpoint(path);
    check_same(checkpoint.identity, identity_, path);
    restore(checkpoint, path);
    history_ = checkpoint.history;
    for (EpochRecord& record : history_)
      record.step = record.epoch * (steps_ / options_.accumulate);
    part_ = checkpoint.part;
    if (part_.batches == 0 && !history_.empty())
      keep_checkpoints(options_.folder, history_, options_.keep);
    write_run_log(options_.folder, history_);
  }

  // Weights, statistics, averages, velocities.
  void restore(const Checkpoint& checkpoint, const std::filesystem::path& path) {
    const at::NoGradGuard guard;
    const auto take = [&](const std::map<std::string, at::Tensor>& from, const std::string& name,
                          const at::Tensor& like) {
      const auto found = from.find(name);
      if (found == from.end() || found->second.sizes() != like.sizes() ||
          found->second.scalar_type() != like.scalar_type()) {
        throw FormatError("'" + path.string() + "' is not a complete checkpoint: it lacks '" +
                          name + "'");
      }
      return found->second;
    };
    for (const auto& [name, value] : all_tensors())
      value.copy_(take(checkpoint.tensors, name, value));
    if (average_) {
      for (const auto& [name, value] : average_->averages())
        value.copy_(take(checkpoint.tensors, kAverage + name, value));
    }
    // Before the first step there are no velocities.
    if (checkpoint.history.empty() && checkpoint.part.batches == 0) return;
    for (std::size_t i = 0; i < sgd_.trained().size(); ++i) {
      const Trained& trained = sgd_.trained()[i];
      sgd_.set_velocity(i, at::empty_like(trained.value)
                               .copy_(take(checkpoint.velocities, trained.name, trained.value)));
    }
  }

  const Dataset& data_;
  const TrainOptions& options_;
  Observer& observer_;
  Together together_;
  nn::GraphModule module_;
  Sgd sgd_;
  Loader train_;
  Loader test_;
  BrokenImages broken_training_;
  BrokenImages broken_test_;
  Identity identity_;
  std::optional<WeightAverage> average_;
  std::vector<std::int64_t> used_;  // indices of the training images
  std::int64_t batch_ = 0;
  std::int64_t steps_ = 0;  // of an epoch
  std::vector<EpochRecord> history_;
  EpochPart part_;  // of the epoch after them that is done already
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
