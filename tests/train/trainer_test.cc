// SPDX-License-Identifier: Apache-2.0
#include "octconv/train/trainer.h"
#include "octconv/train/sgd.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/optim/sgd.h>

#include "octconv/base/error.h"
#include "octconv/base/file.h"
#include "octconv/base/parallel.h"
#include "octconv/base/random.h"
#include "octconv/graph/octavize.h"
#include "octconv/graph/zoo.h"
#include "support/picture_files.h"
#include "train/run_log.h"

namespace octconv::train {
namespace {

constexpr std::int64_t kSide = 8;
constexpr std::int64_t kClasses = 2;

// Noise, brighter in the left half (class 0) or in the right half (class 1).
LabelledImages halves(std::int64_t count, std::uint64_t seed) {
  Random random(seed);
  LabelledImages images{.height = kSide, .width = kSide, .channels = 1};
  for (std::int64_t i = 0; i < count; ++i) {
    images.labels.push_back(static_cast<std::int32_t>(random.below(kClasses)));
    for (std::int64_t pixel = 0; pixel < kSide * kSide; ++pixel) {
      const bool bright = (pixel % kSide >= kSide / 2) == (images.labels.back() == 1);
      images.pixels.push_back(static_cast<std::uint8_t>(random.below(128) + (bright ? 64 : 0)));
    }
  }
  return images;
}

Dataset small_data() {
  return {.name = "halves",
          .train = halves(40, 1),
          .test = halves(20, 2),
          .classes = {"left", "right"},
          .mean = {0.375F},
          .deviation = {0.19F}};
}

// Two octave convolutions, an ordinary one, and all else that zoo networks are made of.
Graph small_network(double alpha = 0.25) {
  Graph graph("small", Shape{2, 2});
  graph.set_policy({.stride_mode = StrideMode::kPool, .octave_stages = {true, false}});
  const auto conv = [&](const std::string& name, NodeId from, std::int64_t stride, int stage) {
    const Shape ones{1, 1};
    const Conv options{.out_channels = 8,
                       .kernel = {3, 3},
                       .stride = {stride, stride},
                       .dilation = ones,
                       .padding_begin = ones,
                       .padding_end = ones};
    const NodeId y = graph.add(name, options, {from}, stage);
    const NodeId normal = graph.add(name + "_norm", BatchNorm{}, {y});
    return graph.add(name + "_relu", Activation{}, {normal});
  };
  const NodeId first = conv("conv1", graph.add("input", Input{1}, {}), 1, 0);
  const NodeId sum = graph.add("add", Add{}, {conv("conv2", first, 1, 0), first});
  const NodeId pooled = graph.add("pool", GlobalPool{}, {conv("conv3", sum, 2, 1)});
  graph.add_output(graph.add("classes", Linear{.out_channels = kClasses}, {pooled}));
  return octavize(graph, {.alpha = alpha}).graph;
}

TrainOptions small_options() {
  return {.epochs = 2,
          .batch_size = 16,
          .learning_rate = 0.05,
          .weight_decay = 1e-3,
          .label_smoothing = 0.1,
          .crop_padding = 1,
          .flip = false,
          .seed = 3,
          .threads = 1};
}

class Folder {
 public:
  Folder() {
    std::string name = testing::TempDir() + "octconv-train-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp " + name);
    path_ = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path checkpoint() const { return path_ / "checkpoint.pt"; }

 private:
  std::filesystem::path path_;
};

bool same_bits(const Weights& a, const Weights& b) {
  return a.size() == b.size() && std::all_of(a.begin(), a.end(), [&](const auto& item) {
           const auto other = b.find(item.first);
           return other != b.end() &&
                  std::equal(item.second.values().begin(), item.second.values().end(),
                             other->second.values().begin(), other->second.values().end());
         });
}

// Everything but the times.
void expect_same(const std::vector<EpochRecord>& a, const std::vector<EpochRecord>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].epoch, b[i].epoch);
    EXPECT_EQ(a[i].train_loss, b[i].train_loss);
    EXPECT_EQ(a[i].train_accuracy, b[i].train_accuracy);
    EXPECT_EQ(a[i].test_loss, b[i].test_loss);
    EXPECT_EQ(a[i].test_accuracy, b[i].test_accuracy);
    EXPECT_EQ(a[i].test_top5_accuracy, b[i].test_top5_accuracy);
    EXPECT_EQ(a[i].step, b[i].step);
    EXPECT_EQ(a[i].learning_rate, b[i].learning_rate);
  }
}

std::string message_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const InvalidArgument& error) {
    return error.what();
  }
  return "no error";
}

struct Stop : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class StopsAfterAnEpoch : public Observer {
 public:
  void on_epoch(const EpochRecord&) override { throw Stop("stopped"); }
};

class StopsInTheSecondEpoch : public Observer {
 public:
  void on_step(const StepProgress& progress) override {
    if (progress.epoch == 2) throw Stop("stopped");
  }
};

TEST(Train, GivesTheSameBitsForTheSameSeedAndOthersForAnother) {
  const Dataset data = small_data();
  TrainOptions options = small_options();
  options.threads = 2;
  options.epochs = 1;
  const TrainResult once = train(small_network(), data, options);
  const TrainResult again = train(small_network(), data, options);
  EXPECT_TRUE(same_bits(once.model.weights, again.model.weights));
  expect_same(once.history, again.history);
  TrainOptions other = options;
  other.seed = 4;
  EXPECT_FALSE(same_bits(once.model.weights, train(small_network(), data, other).model.weights));
}

TEST(Train, StoppedAndResumedGivesTheBitsOfOneThatRanThrough) {
  const Dataset data = small_data();
  TrainOptions options = small_options();
  const TrainResult through = train(small_network(), data, options);
  StopsAfterAnEpoch after;
  StopsInTheSecondEpoch within;
  for (Observer* stop : {static_cast<Observer*>(&after), static_cast<Observer*>(&within)}) {
    const Folder folder;
    options.folder = folder.path();
    options.resume = false;
    EXPECT_THROW(static_cast<void>(train(small_network(), data, options, stop)), Stop);
    options.resume = true;
    const TrainResult resumed = train(small_network(), data, options);
    EXPECT_TRUE(same_bits(through.model.weights, resumed.model.weights));
    expect_same(through.history, resumed.history);
    EXPECT_EQ(read_file(folder.path() / kHistoryFile), history_lines(resumed.history));
    EXPECT_EQ(read_file(folder.path() / kEventFile), history_events(resumed.history));
  }
}

class StopsAtAStep : public Observer {
 public:
  explicit StopsAtAStep(std::int64_t step) : left_(step) {}
  void on_step(const StepProgress&) override {
    if (--left_ == 0) throw Stop("stopped");
  }

 private:
  std::int64_t left_;
};

TEST(Train, StoppedWithinAnEpochAndResumedGivesTheBitsOfOneThatRanThrough) {
  const Dataset data = small_data();
  TrainOptions options = small_options();
  options.batch_size = 8;  // five steps an epoch
  options.average_decay = 0.5;
  const TrainResult through = train(small_network(), data, options);
  options.checkpoint_steps = 2;
  for (const std::int64_t step : {1, 2, 3, 4, 5, 6, 8, 10}) {
    SCOPED_TRACE("stopped at step " + std::to_string(step));
    const Folder folder;
    options.folder = folder.path();
    options.resume = false;
    StopsAtAStep stop(step);
    EXPECT_THROW(static_cast<void>(train(small_network(), data, options, &stop)), Stop);
    options.resume = true;
    const TrainResult resumed = train(small_network(), data, options);
    EXPECT_TRUE(same_bits(through.model.weights, resumed.model.weights));
    expect_same(through.history, resumed.history);
  }
}

TEST(Train, GoesOnWithinAnEpochFromTheLastCheckpoint) {
  const Dataset data = small_data();
  TrainOptions options = small_options();
  options.batch_size = 8;
  options.checkpoint_steps = 2;
  const Folder folder;
  options.folder = folder.path();
  StopsAtAStep stop(9);
  EXPECT_THROW(static_cast<void>(train(small_network(), data, options, &stop)), Stop);
  class FirstStep : public Observer {
   public:
    void on_step(const StepProgress& progress) override {
      if (first.step == 0) first = progress;
    }
    StepProgress first;
  } watch;
  options.resume = true;
  static_cast<void>(train(small_network(), data, options, &watch));
  EXPECT_EQ(watch.first.epoch, 2);
  EXPECT_EQ(watch.first.step, 5) << "steps 1 to 4 of the epoch are in the checkpoint";
}

TEST(Train, ToldToSaysWhereTheTimeOfStepsGoes) {
  const Dataset data = small_data();
  TrainOptions options = small_options();
  const TrainResult silent = train(small_network(0.5), data, options);
  EXPECT_TRUE(silent.step_times.empty());
  options.profile = true;
  const TrainResult told = train(small_network(0.5), data, options);
  EXPECT_TRUE(same_bits(silent.model.weights, told.model.weights));
  EXPECT_EQ(told.steps, 4);  // two epochs of 40 images in batches of 16
  double sum = 0;
  std::map<std::string, std::int64_t> calls;
  for (const StepTime& part : told.step_times) {
    EXPECT_GE(part.seconds, 0) << part.name;
    sum += part.seconds;
    calls[part.name] = part.calls;
  }
  double epochs = 0;
  for (const EpochRecord& record : told.history) epochs += record.seconds;
  EXPECT_GT(sum, 0);
  EXPECT_LE(sum, epochs) << "tests are no part of it";
  // Three convolutions; three batch norms, two of which are one for each frequency.
  EXPECT_EQ(calls["convolutions, forward"], 4 * 3);
  EXPECT_EQ(calls["batch norms with sums and rectifiers, forward"], 4 * 5);
  EXPECT_EQ(calls["convolutions, both gradients and around them"], 4 * 3);
  EXPECT_EQ(calls["batch norms with sums and rectifiers, gradients"], 4 * 5);
}

std::set<std::string> checkpoints_in(const std::filesystem::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".pt") names.insert(entry.path().filename().string());
  }
  return names;
}

TEST(Train, KeepsTheLastCheckpointsAndTheBest) {
  const Dataset data = small_data();
  TrainOptions options = small_options();
  options.epochs = 5;
  const Folder folder;
  options.folder = folder.path();
  options.keep = 3;
  const TrainResult result = train(small_network(), data, options);
  EXPECT_THAT(checkpoints_in(folder.path()),
              testing::ElementsAre("best.pt", "checkpoint-3.pt", "checkpoint-4.pt",
                                   "checkpoint-5.pt", "checkpoint.pt"));
  EXPECT_EQ(read_file(folder.checkpoint()), read_file(folder.path() / "checkpoint-5.pt"));
  double best = -1;
  std::int64_t epoch = 0;
  for (const EpochRecord& record : result.history) {
    if (record.test_accuracy <= best) continue;
    best = record.test_accuracy;
    epoch = record.epoch;
  }
  EXPECT_EQ(result.best_epoch, epoch);
  // One that is resumed with fewer to keep removes the others.
  options.resume = true;
  options.keep = 1;
  static_cast<void>(train(small_network(), data, options));
  EXPECT_THAT(checkpoints_in(folder.path()), testing::ElementsAre("best.pt", "checkpoint.pt"));
}

// The rate is so high that accuracy gets worse at some time.
TEST(Train, GivesTheBestModelWhereItIsNotTheLast) {
  const Dataset data = small_data();
  TrainOptions options = small_options();
  options.epochs = 6;
  options.learning_rate = 0.5;
  const Folder folder;
  options.folder = folder.path();
  const TrainResult result = train(small_network(), data, options);
  ASSERT_LT(result.best_epoch, 6) << "choose another rate";
  ASSERT_TRUE(result.best.has_value());
  EXPECT_FALSE(same_bits(result.best->weights, result.model.weights));
  // The same training, ended after that epoch.
  TrainOptions shorter = options;
  shorter.schedule = options.schedule = Schedule::kConstant;
  const Folder first;
  const Folder second;
  options.folder = first.path();
  const TrainResult whole = train(small_network(), data, options);
  shorter.folder = second.path();
  shorter.epochs = whole.best_epoch;
  const TrainResult until = train(small_network(), data, shorter);
  const Weights& best = whole.best ? whole.best->weights : whole.model.weights;
  EXPECT_TRUE(same_bits(best, until.model.weights));
}

TEST(Train, StoppedBeforeItsFirstEpochCanBeResumed) {
  const Dataset data = small_data();
  TrainOptions options = small_options();
  const TrainResult through = train(small_network(), data, options);
  const Folder folder;
  options.folder = folder.path();
  StopsAtAStep stop(1);
  EXPECT_THROW(static_cast<void>(train(small_network(), data, options, &stop)), Stop);
  options.resume = true;
  EXPECT_TRUE(
      same_bits(through.model.weights, train(small_network(), data, options).model.weights));
}

TEST(Train, RemovesWhatAKilledProcessLeft) {
  TrainOptions options = small_options();
  const Folder folder;
  options.folder = folder.path();
  // No process has the largest number.
  const std::string dead = ".octconv-checkpoint.pt-2147483647-0";
  const std::string alive = ".octconv-checkpoint.pt-" + std::to_string(::getpid()) + "-99";
  for (const std::string& name : {dead, alive}) write_file(folder.path() / name, "part");
  static_cast<void>(train(small_network(), small_data(), options));
  EXPECT_FALSE(std::filesystem::exists(folder.path() / dead));
  EXPECT_TRUE(std::filesystem::exists(folder.path() / alive));
}

TEST(Train, ResumingBringsTheLogToTheCheckpoint) {
  const Dataset data = small_data();
  const Folder folder;
  TrainOptions options = small_options();
  options.folder = folder.path();
  const std::vector<EpochRecord> history = train(small_network(), data, options).history;
  const std::string lines = history_lines(history);
  ASSERT_EQ(read_file(folder.path() / kHistoryFile), lines);
  // As if it had been killed before the last epoch's line, and after a line without a checkpoint.
  options.resume = true;
  for (const std::string& there :
       {lines.substr(0, lines.find('\n') + 1), lines + lines, std::string("{")}) {
    write_file(folder.path() / kHistoryFile, there);
    std::filesystem::remove(folder.path() / kEventFile);
    expect_same(train(small_network(), data, options).history, history);
    EXPECT_EQ(read_file(folder.path() / kHistoryFile), lines);
    EXPECT_EQ(read_file(folder.path() / kEventFile), history_events(history));
  }
}

TEST(Train, RecordsSayStepsTimesAndTheFirstFive) {
  TrainOptions options = small_options();
  const std::vector<EpochRecord> history = train(small_network(), small_data(), options).history;
  ASSERT_EQ(history.size(), 2U);
  for (const EpochRecord& record : history) {
    EXPECT_EQ(record.step, record.epoch * 2);  // 40 images, batches of 16
    EXPECT_EQ(record.test_top5_accuracy, 1);   // there are two classes
    EXPECT_GT(record.time, 1.7e9);             // after 2023
  }
  EXPECT_GE(history[1].time - history[0].time, history[1].seconds * 0.5);
}

TEST(Train, ResumingACompleteTrainingGivesItsResult) {
  const Dataset data = small_data();
  const Folder folder;
  TrainOptions options = small_options();
  options.folder = folder.path();
  const TrainResult through = train(small_network(), data, options);
  options.resume = true;
  const TrainResult resumed = train(small_network(), data, options);
  EXPECT_TRUE(same_bits(through.model.weights, resumed.model.weights));
  expect_same(through.history, resumed.history);
}

Model model_to_start_from() {
  TrainOptions options = small_options();
  options.epochs = 4;
  return train(small_network(), small_data(), options).model;
}

TEST(Train, FromAModelBeginsWithItsWeightsAndSeesItsPixels) {
  const Dataset data = small_data();
  TrainOptions options = small_options();
  options.epochs = 1;
  options.learning_rate = 1e-30;  // changes no weight
  Model start = model_to_start_from();
  start.preprocessing.mean = {0.25F};
  start.preprocessing.deviation = {0.5F};
  const TrainResult result = train(start, data, options);
  for (const Parameter& parameter : parameters(start.graph)) {
    if (!parameter.trained()) continue;
    EXPECT_TRUE(std::ranges::equal(result.model.weights.at(parameter.name).values(),
                                   start.weights.at(parameter.name).values()))
        << parameter.name;
  }
  EXPECT_EQ(result.model.preprocessing.mean, start.preprocessing.mean);
  EXPECT_EQ(result.model.preprocessing.deviation, start.preprocessing.deviation);
  start.preprocessing.mean.clear();
  start.preprocessing.deviation.clear();
  EXPECT_EQ(train(start, data, options).model.preprocessing.mean, data.mean);
}

TEST(Train, FromAModelResumesToTheSameBitsAndFromNoOther) {
  const Dataset data = small_data();
  const Model start = model_to_start_from();
  TrainOptions options = small_options();
  const TrainResult through = train(start, data, options);
  const Folder folder;
  options.folder = folder.path();
  StopsAfterAnEpoch stop;
  EXPECT_THROW(static_cast<void>(train(start, data, options, &stop)), Stop);
  options.resume = true;
  Model other = model_to_start_from();
  other.weights.at("conv1.weight").values()[0] += 1;
  EXPECT_THAT(message_of([&] { static_cast<void>(train(other, data, options)); }),
              testing::HasSubstr("initial_weights"));
  EXPECT_THAT(message_of([&] { static_cast<void>(train(start.graph, data, options)); }),
              testing::HasSubstr("initial_weights"));
  EXPECT_TRUE(same_bits(through.model.weights, train(start, data, options).model.weights));
}

TEST(Train, FromAModelOfOtherClassesIsRefused) {
  Dataset data = small_data();
  data.classes.emplace_back("middle");
  const Model start = model_to_start_from();
  EXPECT_THAT(message_of([&] { static_cast<void>(train(start, data, small_options())); }),
              testing::HasSubstr("has 2 outputs, and data set 'halves' has 3 classes"));
}

TEST(Train, LearnsToTellTheClassesApart) {
  TrainOptions options = small_options();
  options.epochs = 8;
  const TrainResult result = train(small_network(), small_data(), options);
  ASSERT_EQ(result.history.size(), 8U);
  EXPECT_LT(result.history.back().train_loss, result.history.front().train_loss);
  EXPECT_EQ(result.history.back().test_accuracy, 1);
  EXPECT_EQ(result.train_images, 40);
  EXPECT_EQ(result.model.preprocessing.classes, (std::vector<std::string>{"left", "right"}));
  EXPECT_EQ(result.model.preprocessing.extents, (Shape{kSide, kSide}));
  check_weights(result.model.graph, result.model.weights);
}

TEST(Train, UsesOnlySoManyImagesAsItIsGiven) {
  // Which images the first 17 of the shuffle are is not known here: the weights must depend on just
  // so many.
  TrainOptions options = small_options();
  options.epochs = 1;
  options.batch_size = 17;
  options.train_images = 17;
  Dataset data = small_data();
  const TrainResult result = train(small_network(), data, options);
  EXPECT_EQ(result.train_images, 17);
  int used = 0;
  for (std::size_t image = 0; image < 40; ++image) {
    Dataset changed = data;
    std::fill_n(changed.train.pixels.begin() + static_cast<std::ptrdiff_t>(image * kSide * kSide),
                kSide * kSide, std::uint8_t{200});
    used += same_bits(train(small_network(), changed, options).model.weights, result.model.weights)
                ? 0
                : 1;
  }
  EXPECT_EQ(used, 17);
}

class Recorder : public Observer {
 public:
  void on_step(const StepProgress& progress) override { steps.push_back(progress); }
  void on_epoch(const EpochRecord& record) override {
    epochs.push_back(record);
    steps_before.push_back(steps.size());
  }
  std::vector<StepProgress> steps;
  std::vector<EpochRecord> epochs;
  std::vector<std::size_t> steps_before;
};

TEST(Train, TellsItsObserverOfEveryStepAndEpoch) {
  Recorder recorder;
  const TrainResult result = train(small_network(), small_data(), small_options(), &recorder);
  ASSERT_EQ(recorder.steps.size(), 4U);  // 40 images are two whole batches of 16
  EXPECT_EQ(recorder.steps_before, (std::vector<std::size_t>{2, 4}));
  expect_same(recorder.epochs, result.history);
  for (std::size_t i = 0; i < 4; ++i) {
    const StepProgress& step = recorder.steps[i];
    EXPECT_EQ(step.epoch, i < 2 ? 1 : 2);
    EXPECT_EQ(step.epochs, 2);
    EXPECT_EQ(step.step, i % 2 == 0 ? 1 : 2);
    EXPECT_EQ(step.steps, 2);
    EXPECT_EQ(step.learning_rate,
              learning_rate_at(small_options(), static_cast<std::int64_t>(i), 2));
    EXPECT_GT(step.images_per_second, 0);
    EXPECT_GT(step.seconds_left, 0);
  }
  EXPECT_EQ(recorder.steps[1].loss, result.history[0].train_loss);
  EXPECT_EQ(recorder.steps[3].accuracy, result.history[1].train_accuracy);
}

TEST(Train, LeavesTheNumberOfThreadsAsItWas) {
  const int before = thread_count();
  TrainOptions options = small_options();
  options.epochs = 1;
  options.threads = before + 1;
  static_cast<void>(train(small_network(), small_data(), options));
  EXPECT_EQ(thread_count(), before);
}

TEST(Train, SaysWhenTheLossIsNoLongerFinite) {
  TrainOptions options = small_options();
  options.epochs = 30;
  options.learning_rate = 1e30;
  try {
    static_cast<void>(train(small_network(), small_data(), options));
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("smaller learning rate"));
  }
}

TEST(Train, RefusesDataThatDoesNotFitTheNetwork) {
  const auto with = [](const std::function<void(Dataset&, TrainOptions&)>& change) {
    Dataset data = small_data();
    TrainOptions options = small_options();
    change(data, options);
    return message_of([&] { static_cast<void>(train(small_network(), data, options)); });
  };
  using testing::HasSubstr;
  EXPECT_THAT(with([](Dataset& d, TrainOptions&) { d.train.channels = 3; }),
              HasSubstr("the images have 3"));
  EXPECT_THAT(with([](Dataset& d, TrainOptions&) { d.test.width = 9; }),
              HasSubstr("differ in size"));
  EXPECT_THAT(with([](Dataset& d, TrainOptions&) { d.train.labels[0] = 2; }), HasSubstr("label 2"));
  EXPECT_THAT(with([](Dataset& d, TrainOptions&) { d.test.labels.clear(); }),
              HasSubstr("test images are none"));
  EXPECT_THAT(with([](Dataset&, TrainOptions& o) { o.train_images = 41; }),
              HasSubstr("there are 40"));
  EXPECT_THAT(with([](Dataset&, TrainOptions& o) { o.momentum = 2; }), HasSubstr("momentum"));
}

TEST(Resume, FromAnotherTrainingNamesWhatDiffers) {
  const Dataset data = small_data();
  const Folder folder;
  TrainOptions options = small_options();
  options.epochs = 1;
  options.folder = folder.path();
  static_cast<void>(train(small_network(), data, options));
  options.resume = true;
  const auto resumed = [&](const Graph& graph, const Dataset& from, const TrainOptions& with) {
    return message_of([&] { static_cast<void>(train(graph, from, with)); });
  };
  using testing::HasSubstr;
  EXPECT_THAT(resumed(small_network(0.5), data, options), HasSubstr("another network, 'conv1 ="));
  TrainOptions other = options;
  other.learning_rate = 0.025;
  EXPECT_THAT(resumed(small_network(), data, other), HasSubstr("learning_rate 0.05, not 0.025"));
  other = options;
  other.train_images = 20;
  EXPECT_THAT(resumed(small_network(), data, other), HasSubstr("train_images 0, not 20"));
  other = options;
  other.composed = true;
  EXPECT_THAT(resumed(small_network(), data, other), HasSubstr("composed false, not true"));
  Dataset renamed = data;
  renamed.name = "thirds";
  EXPECT_THAT(resumed(small_network(), renamed, options), HasSubstr("\"halves\", not \"thirds\""));
  other = options;
  other.threads = 2;
  EXPECT_EQ(resumed(small_network(), data, other), "no error");
}

TEST(Resume, FromADamagedCheckpointIsAFormatError) {
  const Dataset data = small_data();
  const Folder folder;
  TrainOptions options = small_options();
  options.epochs = 1;
  options.folder = folder.path();
  static_cast<void>(train(small_network(), data, options));
  options.resume = true;
  const std::string whole = read_file(folder.checkpoint());
  std::string flipped = whole;
  flipped[whole.size() / 2] = static_cast<char>(flipped[whole.size() / 2] ^ 0x10);
  for (const std::string& bytes :
       {whole.substr(0, whole.size() / 2), whole.substr(0, whole.size() - 1), whole.substr(0, 10),
        std::string(), std::string("not a checkpoint"), flipped}) {
    write_file(folder.checkpoint(), bytes);
    try {
      static_cast<void>(train(small_network(), data, options));
      ADD_FAILURE() << "took a damaged checkpoint of " << bytes.size() << " bytes";
    } catch (const FormatError& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr("checkpoint.pt' is not a complete checkpoint"));
    }
  }
}

TEST(Resume, WithoutACheckpointIsAFileError) {
  const Folder folder;
  TrainOptions options = small_options();
  options.folder = folder.path();
  options.resume = true;
  EXPECT_THROW(static_cast<void>(train(small_network(), small_data(), options)), FileError);
}

// Weights whose gradients lie in another order of memory, and one with gaps.
TEST(Sgd, StepsLikeLibTorchs) {
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    for (const Momentum kind : {Momentum::kNesterov, Momentum::kPlain}) {
      const auto make = [&] {
        torch::manual_seed(1);
        std::vector<at::Tensor> all{
            at::randn({5, 3}, type), at::randn({4}, type),
            at::randn({6, 5, 3, 3}, type).contiguous(at::MemoryFormat::ChannelsLast),
            at::randn({4, 6}, type).narrow(1, 1, 3), at::randn({300, 200}, type)};
        for (at::Tensor& tensor : all) tensor.requires_grad_(true);
        return all;
      };
      const std::vector<at::Tensor> ours = make();
      std::vector<at::Tensor> theirs = make();
      std::vector<Trained> trained;
      for (const at::Tensor& value : ours) trained.push_back({"t", value, 0.1});
      trained[1].weight_decay = 0;
      Sgd sgd(trained, 0.9, kind);
      const auto options = [&](double decay) {
        return torch::optim::SGDOptions(0.05)
            .momentum(0.9)
            .nesterov(kind == Momentum::kNesterov)
            .weight_decay(decay);
      };
      torch::optim::SGD reference({torch::optim::OptimizerParamGroup(
                                       {theirs[0], theirs[2], theirs[3], theirs[4]},
                                       std::make_unique<torch::optim::SGDOptions>(options(0.1))),
                                   torch::optim::OptimizerParamGroup({theirs[1]})},
                                  options(0));
      for (int step = 0; step < 4; ++step) {
        torch::manual_seed(static_cast<std::uint64_t>(10 + step));
        for (std::size_t i = 0; i < ours.size(); ++i) {
          const at::Tensor gradient = at::randn(ours[i].sizes(), type);
          ours[i].mutable_grad() = gradient;
          theirs[i].mutable_grad() = gradient.clone();
        }
        const auto version = ours[0]._version();
        sgd.step(0.05);
        reference.step();
        EXPECT_GT(ours[0]._version(), version);
        // The same operations, some of them contracted: a few roundings of numbers of at most 16.
        const double rounding = 16 * 8 *
                                (type == at::kFloat ? double{std::numeric_limits<float>::epsilon()}
                                                    : std::numeric_limits<double>::epsilon());
        for (std::size_t i = 0; i < ours.size(); ++i) {
          EXPECT_LE((ours[i] - theirs[i]).abs().max().item<double>(), rounding) << i;
          EXPECT_FALSE(ours[i].grad().defined());
        }
      }
    }
  }
}

TEST(Sgd, LeavesATensorWithoutAGradientAndRefusesWhatItCannotTrain) {
  const at::Tensor value = at::ones({3});
  Sgd sgd({{"still", value}}, 0.9, Momentum::kPlain);
  sgd.step(1);
  EXPECT_TRUE(value.equal(at::ones({3})));
  EXPECT_FALSE(sgd.velocity(0).defined());
  try {
    const Sgd half({{"narrow", at::ones({3}, at::kHalf)}}, 0.9, Momentum::kPlain);
    ADD_FAILURE() << "took a tensor of type Half";
  } catch (const Unsupported& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("'narrow' is of type Half"));
  }
}

TEST(ClipGradients, ScalesAllByTheirCommonNorm) {
  std::vector<Trained> trained;
  double squares = 0;
  Random random(4);
  for (const std::int64_t size : {3, 7, 5}) {
    const at::Tensor value = at::zeros({size}, at::kFloat);
    at::Tensor gradient = at::empty({size}, at::kFloat);
    for (std::int64_t i = 0; i < size; ++i) {
      gradient.data_ptr<float>()[i] = static_cast<float>(random.normal());
      squares += std::pow(double{gradient.data_ptr<float>()[i]}, 2);
    }
    value.mutable_grad() = gradient;
    trained.push_back({"t", value, 0});
  }
  trained.push_back({"without a gradient", at::zeros({2}), 0});
  const at::Tensor before = trained[1].value.grad().clone();
  const double norm = std::sqrt(squares);
  // 15 squares of a few units in float.
  EXPECT_NEAR(clip_gradients(trained, 2 * norm), norm, norm * 15 * 6e-8);
  EXPECT_TRUE(trained[1].value.grad().equal(before));
  EXPECT_NEAR(clip_gradients(trained, 0.5), norm, norm * 15 * 6e-8);
  double clipped = 0;
  for (std::size_t t = 0; t < 3; ++t) {
    const at::Tensor& gradient = trained[t].value.grad();
    for (std::int64_t i = 0; i < gradient.numel(); ++i)
      clipped += std::pow(double{gradient.data_ptr<float>()[i]}, 2);
  }
  EXPECT_NEAR(std::sqrt(clipped), 0.5, 1e-6);
}

// A convolution and a classifier. Without a norm, nothing in it depends on the other images of a
// batch.
Graph one_convolution(std::int64_t in_channels, std::int64_t out_channels, bool norm) {
  Graph graph("one_convolution", Shape{2, 2});
  const Shape ones{1, 1};
  NodeId y = graph.add("conv",
                       Conv{.out_channels = out_channels,
                            .kernel = {3, 3},
                            .stride = {2, 2},
                            .dilation = ones,
                            .padding_begin = ones,
                            .padding_end = ones},
                       {graph.add("input", Input{in_channels}, {})});
  if (norm) y = graph.add("norm", BatchNorm{}, {y});
  const NodeId relu = graph.add("relu", Activation{}, {y});
  const NodeId pooled = graph.add("pool", GlobalPool{}, {relu});
  graph.add_output(graph.add("classes", Linear{.out_channels = kClasses}, {pooled}));
  return graph;
}

TEST(Train, BatchesThatMakeUpOneStepEqualOneLargeBatch) {
  const Dataset data = small_data();
  TrainOptions options = small_options();
  const TrainResult large = train(one_convolution(1, 6, false), data, options);
  options.batch_size = 8;
  options.accumulate = 2;
  const TrainResult small = train(one_convolution(1, 6, false), data, options);
  ASSERT_EQ(small.history.size(), 2U);
  EXPECT_EQ(small.history[1].learning_rate, large.history[1].learning_rate);
  EXPECT_NEAR(small.history[1].train_loss, large.history[1].train_loss, 1e-5);
  for (const auto& [name, tensor] : large.model.weights) {
    const auto& other = small.model.weights.at(name).values();
    // Four steps that round sums of 16 images of 64 pixels in another order.
    for (std::size_t i = 0; i < tensor.values().size(); ++i)
      EXPECT_NEAR(tensor.values()[i], other[i], 1e-5) << name;
  }
  options.accumulate = 6;  // of 5 batches
  EXPECT_THAT(
      message_of([&] { static_cast<void>(train(one_convolution(1, 6, false), data, options)); }),
      testing::HasSubstr("accumulate is 6, and an epoch has 5 batches"));
}

TEST(Train, OfATinyNormMovesByNoMoreThanTheRateTimesIt) {
  const Dataset data = small_data();
  TrainOptions options = small_options();
  options.epochs = 1;
  options.momentum = 0;
  options.weight_decay = 0;
  options.schedule = Schedule::kConstant;
  options.learning_rate = 0.5;
  options.clip_norm = 1e-3;
  const TrainResult clipped = train(small_network(), data, options);
  options.learning_rate = 1e-30;
  const TrainResult unmoved = train(small_network(), data, options);
  double squares = 0;
  for (const Parameter& parameter : parameters(clipped.model.graph)) {
    if (!parameter.trained()) continue;
    const auto& moved = clipped.model.weights.at(parameter.name).values();
    const auto& start = unmoved.model.weights.at(parameter.name).values();
    for (std::size_t i = 0; i < moved.size(); ++i)
      squares += std::pow(double{moved[i]} - double{start[i]}, 2);
  }
  // Two steps; weights near 1 are rounded to 6e-8 each.
  EXPECT_LE(std::sqrt(squares), 2 * 0.5 * 1e-3 * 1.001);
  EXPECT_GT(squares, 0);
}

TrainOptions options_of_everything() {
  TrainOptions options = small_options();
  options.batch_size = 8;
  options.accumulate = 2;
  options.clip_norm = 1;
  options.dropout = 0.2;
  options.mixup = 0.2;
  options.mixup_off_epochs = 1;
  options.average_decay = 0.8;
  options.crop = Crop::kResized;
  return options;
}

TEST(Train, WithAllThatARecipeHasResumesToTheSameBits) {
  const Dataset data = small_data();
  TrainOptions options = options_of_everything();
  options.epochs = 3;
  const TrainResult through = train(small_network(), data, options);
  const Folder folder;
  options.folder = folder.path();
  StopsInTheSecondEpoch stop;
  EXPECT_THROW(static_cast<void>(train(small_network(), data, options, &stop)), Stop);
  options.resume = true;
  options.workers = 3;
  TrainOptions other = options;
  other.mixup = 0.3;
  EXPECT_THAT(message_of([&] { static_cast<void>(train(small_network(), data, other)); }),
              testing::HasSubstr("mixup 0.2, not 0.3"));
  const TrainResult resumed = train(small_network(), data, options);
  EXPECT_TRUE(same_bits(through.model.weights, resumed.model.weights));
  expect_same(through.history, resumed.history);
}

TEST(Train, EachPartOfARecipeChangesTheResult) {
  const Dataset data = small_data();
  const TrainOptions options = small_options();
  const Weights plain = train(small_network(), data, options).model.weights;
  for (const std::function<void(TrainOptions&)>& change :
       {std::function<void(TrainOptions&)>([](TrainOptions& o) { o.mixup = 0.2; }),
        {[](TrainOptions& o) { o.dropout = 0.3; }},
        {[](TrainOptions& o) { o.clip_norm = 0.01; }},
        {[](TrainOptions& o) { o.average_decay = 0.5; }},
        {[](TrainOptions& o) { o.accumulate = 2; }},
        {[](TrainOptions& o) { o.crop = Crop::kResized; }},
        {[](TrainOptions& o) { o.composed = true; }},
        {[](TrainOptions& o) { o.bfloat16 = true; }}}) {
    TrainOptions changed = options;
    change(changed);
    EXPECT_FALSE(same_bits(plain, train(small_network(), data, changed).model.weights));
  }
  TrainOptions off = options;
  off.mixup = 0.2;
  off.mixup_off_epochs = 2;
  EXPECT_TRUE(same_bits(plain, train(small_network(), data, off).model.weights));
}

TEST(Train, ComputingBlocksAgainChangesNoBitAndNoCheckpoint) {
  const Dataset data = small_data();
  const Graph graph =
      octavize(make_network("resnet20", {.in_channels = 1, .classes = kClasses}), {.alpha = 0.25})
          .graph;
  TrainOptions options = options_of_everything();
  const TrainResult kept = train(graph, data, options);
  const Folder folder;
  options.folder = folder.path();
  StopsInTheSecondEpoch stop;
  EXPECT_THROW(static_cast<void>(train(graph, data, options, &stop)), Stop);
  options.resume = true;
  options.checkpoint_blocks = true;
  const TrainResult repeated = train(graph, data, options);
  EXPECT_TRUE(same_bits(kept.model.weights, repeated.model.weights));
  expect_same(kept.history, repeated.history);
  options.folder.clear();
  options.resume = false;
  EXPECT_THAT(message_of([&] { static_cast<void>(train(small_network(), data, options)); }),
              testing::HasSubstr("'small' has no blocks"));
}

TEST(Train, RefusesToVaryTheColoursOfGreyImages) {
  TrainOptions options = small_options();
  options.colour_jitter = 0.4;
  EXPECT_THAT(message_of([&] { static_cast<void>(train(small_network(), small_data(), options)); }),
              testing::HasSubstr("colours cannot be varied in images of 1 channels"));
}

class SkippedFiles : public Observer {
 public:
  void on_skipped(const SkippedImage& image) override { skipped.push_back(image); }
  std::vector<SkippedImage> skipped;
};

TEST(TrainOnFiles, LearnsAndDoesNotDependOnTheWorkers) {
  const Folder folder;
  write_picture_folder(folder.path(), 24, 8);
  const Dataset data = open_dataset(folder.path().string(), {.size = 16});
  TrainOptions options = small_options();
  options.epochs = 6;
  options.batch_size = 6;
  options.flip = true;
  options.colour_jitter = 0.1;
  options.colour_noise = 0.1;
  options.workers = 1;
  SkippedFiles observer;
  const TrainResult one = train(one_convolution(3, 8, true), data, options, &observer);
  EXPECT_EQ(one.history.back().test_accuracy, 1);
  EXPECT_TRUE(observer.skipped.empty());
  for (const std::int64_t workers : {2, 5}) {
    options.workers = workers;
    const TrainResult other = train(one_convolution(3, 8, true), data, options);
    expect_same(one.history, other.history);
    EXPECT_TRUE(same_bits(one.model.weights, other.model.weights)) << workers;
  }
  options.crop = Crop::kShift;
  EXPECT_FALSE(same_bits(one.model.weights,
                         train(one_convolution(3, 8, true), data, options).model.weights));
}

TEST(TrainOnFiles, NamesABrokenFileOnceAndStopsAtTooMany) {
  const Folder folder;
  write_picture_folder(folder.path(), 24, 8);
  const Dataset data = open_dataset(folder.path().string(), {.size = 16});
  const auto truncate = [](const std::filesystem::path& path) {
    std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
  };
  truncate(data.train.path(5));
  truncate(data.test.path(1));
  TrainOptions options = small_options();
  options.batch_size = 6;
  SkippedFiles observer;
  const TrainResult result = train(one_convolution(3, 8, true), data, options, &observer);
  EXPECT_EQ(result.history.size(), 2U);
  ASSERT_EQ(observer.skipped.size(), 2U);
  EXPECT_EQ(observer.skipped[0].path, data.train.path(5));
  EXPECT_EQ(observer.skipped[1].path, data.test.path(1));
  EXPECT_THAT(observer.skipped[0].why, testing::HasSubstr(data.train.path(5).string()));
  for (std::int64_t i = 10; i < 20; ++i) truncate(data.train.path(i));
  SkippedFiles many;
  try {
    static_cast<void>(train(one_convolution(3, 8, true), data, options, &many));
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr(" of 24 training images cannot be read"));
    EXPECT_THAT(error.what(), testing::HasSubstr(std::to_string(many.skipped.size()) + " of 24"));
  }
  EXPECT_GE(many.skipped.size(), 10U) << "each is named before the end";
}

}  // namespace
}  // namespace octconv::train
