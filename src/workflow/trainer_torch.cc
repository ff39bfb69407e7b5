// SPDX-License-Identifier: Apache-2.0
// The trainer of a build with LibTorch.
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

EpochResult to_result(const train::EpochRecord& record) {
  return {.epoch = record.epoch,
          .train_loss = record.train_loss,
          .train_accuracy = record.train_accuracy,
          .test_loss = record.test_loss,
          .test_accuracy = record.test_accuracy,
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

}  // namespace

std::string training_obstacle() {
  return "";
}

void check_plan(const TrainingPlan& plan) {
  train::check(to_options(plan));
}

TrainingResult train_network(const Graph& graph, const Dataset& data, const TrainingPlan& plan,
                             const TrainingListener& listener) {
  Forwarder forwarder(listener);
  train::TrainResult trained = train::train(graph, data, to_options(plan), &forwarder);
  TrainingResult result{.model = std::move(trained.model)};
  for (const train::EpochRecord& record : trained.history) {
    result.epochs.push_back(to_result(record));
  }
  return result;
}

}  // namespace octconv::workflow
