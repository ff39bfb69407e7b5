// SPDX-License-Identifier: Apache-2.0
// The trainer of a build with LibTorch.
#include <algorithm>

#include <nlohmann/json.hpp>

#include "octconv/base/error.h"
#include "octconv/base/text.h"
#include "octconv/train/trainer.h"
#include "workflow/trainer.h"

namespace octconv::workflow {
namespace {

train::TrainOptions to_options(const TrainingPlan& plan) {
  train::TrainOptions options;
  options.epochs = plan.epochs;
  if (plan.batch_size) options.batch_size = *plan.batch_size;
  if (plan.learning_rate) options.learning_rate = *plan.learning_rate;
  options.train_images = plan.train_images;
  options.seed = plan.seed;
  return options;
}

using Json = nlohmann::json;
using Options = train::TrainOptions;
using Set = std::function<void(Options&, const Json&)>;

// Throws InvalidArgument saying what is wanted.
void take(bool right, const char* wanted) {
  if (!right) throw InvalidArgument(std::string("must be ") + wanted);
}

Set whole(std::int64_t Options::*member) {
  return [member](Options& options, const Json& value) {
    take(value.is_number_integer(), "a whole number");
    options.*member = value.get<std::int64_t>();
  };
}

Set number(double Options::*member) {
  return [member](Options& options, const Json& value) {
    take(value.is_number(), "a number");
    options.*member = value.get<double>();
  };
}

Set yes_or_no(bool Options::*member, bool negated) {
  return [member, negated](Options& options, const Json& value) {
    take(value.is_boolean(), "true or false");
    options.*member = value.get<bool>() != negated;
  };
}

void set_step_epochs(Options& options, const Json& value) {
  const auto is_whole = [](const Json& each) { return each.is_number_integer(); };
  take(value.is_array() && std::all_of(value.begin(), value.end(), is_whole),
       "a list of whole numbers");
  options.step_epochs = value.get<std::vector<std::int64_t>>();
}

void set_schedule(Options& options, const Json& value) {
  take(value.is_string(), "text");
  options.schedule = train::parse_schedule(value.get<std::string>());
}

void set_crop(Options& options, const Json& value) {
  take(value.is_string(), "text");
  options.crop = train::parse_crop(value.get<std::string>());
}

const std::map<std::string, Set>& named_options() {
  static const std::map<std::string, Set> all{
      {"epochs", whole(&Options::epochs)},
      {"batch_size", whole(&Options::batch_size)},
      {"accumulate", whole(&Options::accumulate)},
      {"learning_rate", number(&Options::learning_rate)},
      {"momentum", number(&Options::momentum)},
      {"weight_decay", number(&Options::weight_decay)},
      {"decay_norm", yes_or_no(&Options::no_weight_decay_on_norm, true)},
      {"label_smoothing", number(&Options::label_smoothing)},
      {"schedule", set_schedule},
      {"warmup_epochs", whole(&Options::warmup_epochs)},
      {"step_epochs", set_step_epochs},
      {"step_factor", number(&Options::step_factor)},
      {"clip_norm", number(&Options::clip_norm)},
      {"dropout", number(&Options::dropout)},
      {"mixup", number(&Options::mixup)},
      {"mixup_off_epochs", whole(&Options::mixup_off_epochs)},
      {"average_decay", number(&Options::average_decay)},
      {"crop", set_crop},
      {"crop_padding", whole(&Options::crop_padding)},
      {"flip", yes_or_no(&Options::flip, false)},
      {"colour_jitter", number(&Options::colour_jitter)},
      {"colour_noise", number(&Options::colour_noise)},
      {"train_images", whole(&Options::train_images)},
      {"bfloat16", yes_or_no(&Options::bfloat16, false)},
      {"checkpoint_blocks", yes_or_no(&Options::checkpoint_blocks, false)},
      {"composed", yes_or_no(&Options::composed, false)}};
  return all;
}

Options to_options(const NamedTraining& training) {
  Options options;
  options.seed = training.seed;
  options.folder = training.folder;
  options.resume = training.resume;
  options.checkpoint_steps = training.checkpoint_steps;
  for (const auto& [name, value] : training.options) {
    const auto found = named_options().find(name);
    if (found == named_options().end()) {
      std::vector<std::string> names;
      for (const auto& known : named_options()) names.push_back(known.first);
      throw InvalidArgument("unknown option of training '" + name + "'; known are " +
                            join(names, ", "));
    }
    try {
      found->second(options, Json::parse(value));
    } catch (const InvalidArgument& error) {
      std::string why = "option of training '";
      throw InvalidArgument(
          why.append(name).append("', ").append(value).append(": ").append(error.what()));
    }
  }
  return options;
}

EpochResult to_result(const train::EpochRecord& record) {
  return {.epoch = record.epoch,
          .train_loss = record.train_loss,
          .train_accuracy = record.train_accuracy,
          .test_loss = record.test_loss,
          .test_accuracy = record.test_accuracy,
          .test_top5_accuracy = record.test_top5_accuracy,
          .seconds = record.seconds};
}

class Forwarder final : public train::Observer {
 public:
  explicit Forwarder(const TrainingListener& listener) : listener_(listener) {}

  void on_step(const train::StepProgress& progress) override {
    if (!listener_.on_step) return;
    listener_.on_step({.epoch = progress.epoch,
                       .step = progress.step,
                       .steps = progress.steps,
                       .train_loss = progress.loss,
                       .seconds_left = progress.seconds_left});
  }
  void on_epoch(const train::EpochRecord& record) override {
    if (listener_.on_epoch) listener_.on_epoch(to_result(record));
  }

 private:
  const TrainingListener& listener_;
};

TrainingResult train_with(const Graph& graph, const Dataset& data,
                          const train::TrainOptions& options, const TrainingListener& listener) {
  Forwarder forwarder(listener);
  train::TrainResult trained = train::train(graph, data, options, &forwarder);
  TrainingResult result{.model = std::move(trained.model)};
  for (const train::EpochRecord& record : trained.history) {
    result.epochs.push_back(to_result(record));
  }
  return result;
}

}  // namespace

std::string training_obstacle() {
  return "";
}

void check_plan(const TrainingPlan& plan) {
  train::check(to_options(plan));
}

TrainingResult train_network(const Graph& graph, const Dataset& data, const TrainingPlan& plan,
                             const TrainingListener& listener) {
  return train_with(graph, data, to_options(plan), listener);
}

std::int64_t check_training(const NamedTraining& training) {
  const train::TrainOptions options = to_options(training);
  train::check(options);
  if (const std::string why = train::bfloat16_obstacle(); options.bfloat16 && !why.empty()) {
    throw Unsupported("option of training 'bfloat16': " + why);
  }
  return options.epochs;
}

TrainingResult train_network(const Graph& graph, const Dataset& data, const NamedTraining& training,
                             const TrainingListener& listener) {
  return train_with(graph, data, to_options(training), listener);
}

}  // namespace octconv::workflow
