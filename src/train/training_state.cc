// SPDX-License-Identifier: Apache-2.0
#include "train/training_state.h"

#include <map>
#include <set>

#include <ATen/ATen.h>

#include "octconv/base/error.h"

namespace octconv::train {
namespace {

// Begins the name of a weight's moving average in a checkpoint.
constexpr const char* kAverage = "average/";

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

}  // namespace

TrainingState::TrainingState(nn::GraphModule& module, const TrainOptions& options)
    : module_(module),
      sgd_(trained_tensors(module, options), options.momentum, Momentum::kNesterov) {
  if (options.average_decay > 0) average_.emplace(all_tensors(), options.average_decay);
}

void TrainingState::step(double learning_rate) {
  sgd_.step(learning_rate);
  if (average_) average_->update();
}

void TrainingState::exchange_averages() {
  if (average_) average_->exchange();
}

Checkpoint TrainingState::checkpoint(const Identity& identity) const {
  Checkpoint checkpoint{.identity = identity, .history = history, .part = part};
  for (const auto& [name, value] : all_tensors()) checkpoint.tensors.emplace(name, value);
  if (average_) {
    for (const auto& [name, value] : average_->averages())
      checkpoint.tensors.emplace(kAverage + name, value);
  }
  for (std::size_t i = 0; i < sgd_.trained().size(); ++i) {
    if (sgd_.velocity(i).defined())
      checkpoint.velocities.emplace(sgd_.trained()[i].name, sgd_.velocity(i));
  }
  return checkpoint;
}

void TrainingState::restore(const Checkpoint& checkpoint, const std::filesystem::path& path) {
  const at::NoGradGuard guard;
  const auto take = [&](const std::map<std::string, at::Tensor>& from, const std::string& name,
                        const at::Tensor& like) {
    const auto found = from.find(name);
    if (found == from.end() || found->second.sizes() != like.sizes() ||
        found->second.scalar_type() != like.scalar_type()) {
      throw FormatError("'" + path.string() + "' is not a complete checkpoint: it lacks '" + name +
                        "'");
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

void TrainingState::take_over(Together& together) {
  together.take_over(history);
  together.take_over(part);
  take_over_weights(together);
  if (history.empty() && part.batches == 0) return;
  std::vector<at::Tensor> kept;
  for (std::size_t i = 0; i < sgd_.trained().size(); ++i) {
    if (!sgd_.velocity(i).defined()) sgd_.set_velocity(i, at::empty_like(sgd_.trained()[i].value));
    kept.push_back(sgd_.velocity(i));
  }
  if (average_) {
    for (const auto& [name, value] : average_->averages()) kept.push_back(value);
  }
  together.take_over(kept);
}

void TrainingState::take_over_weights(Together& together) {
  std::vector<at::Tensor> tensors;
  for (const auto& [name, value] : all_tensors()) tensors.push_back(value);
  together.take_over(tensors);
}

void TrainingState::average_statistics(Together& together) {
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
  together.average(statistics);
}

TrainingState::Named TrainingState::all_tensors() const {
  Named all = module_.named_parameters();
  for (auto& item : module_.named_buffers()) all.push_back(std::move(item));
  return all;
}

}  // namespace octconv::train
