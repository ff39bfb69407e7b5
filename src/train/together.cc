// SPDX-License-Identifier: Apache-2.0
#include "train/together.h"

#include <array>
#include <chrono>
#include <sstream>
#include <string>

#include <ATen/ATen.h>
#include <nlohmann/json.hpp>

#include "octconv/base/error.h"

namespace octconv::train {
namespace {

using Json = nlohmann::json;

// The members of a record as numbers.
constexpr std::size_t kNumbers = 11;

void put(const EpochRecord& r, double* to) {
  for (const double number :
       {static_cast<double>(r.epoch), r.train_loss, r.train_accuracy, r.test_loss, r.test_accuracy,
        r.learning_rate, r.images_per_second, r.seconds, r.test_top5_accuracy,
        static_cast<double>(r.step), r.time}) {
    *to++ = number;
  }
}

EpochRecord record_from(const double* from) {
  return {.epoch = static_cast<std::int64_t>(from[0]),
          .train_loss = from[1],
          .train_accuracy = from[2],
          .test_loss = from[3],
          .test_accuracy = from[4],
          .test_top5_accuracy = from[8],
          .learning_rate = from[5],
          .images_per_second = from[6],
          .seconds = from[7],
          .step = static_cast<std::int64_t>(from[9]),
          .time = from[10]};
}

// One thing a line.
std::string text_of(const Identity& identity, bool sync_batch_norm) {
  std::string text = std::string("sync_batch_norm ") + (sync_batch_norm ? "on" : "off") + "\n";
  for (const auto& [name, value] : identity.options) text += name + " " + value + "\n";
  return text + identity.network;
}

}  // namespace

Together::Together(const TrainOptions& options) : world_(options.world) {
  if (world_.size > 1) {
    group_ = std::make_unique<Group>(world_, std::chrono::seconds(options.timeout));
  }
}

void Together::check_alike(const Identity& identity, bool sync_batch_norm) {
  if (alone()) return;
  const std::vector<std::string> texts = group_->gather(text_of(identity, sync_batch_norm));
  for (std::size_t rank = 1; rank < texts.size(); ++rank) {
    if (texts[rank] == texts[0]) continue;
    std::istringstream theirs(texts[rank]);
    std::istringstream first(texts[0]);
    std::string their_line;
    std::string first_line;
    while (std::getline(theirs, their_line) && std::getline(first, first_line) &&
           their_line == first_line) {
    }
    throw InvalidArgument("train: process " + std::to_string(rank) + " of " +
                          std::to_string(texts.size()) + " was started with '" + their_line +
                          "', process 0 with '" + first_line + "'");
  }
}

void Together::add_up(std::span<double> numbers) {
  if (!alone()) group_->add_up(numbers);
}

void Together::take_over(const std::vector<at::Tensor>& tensors) {
  if (!alone()) group_->broadcast(tensors);
}

void Together::take_over(std::vector<EpochRecord>& history) {
  if (alone()) return;
  // The others add nothing.
  double epochs = first() ? static_cast<double>(history.size()) : 0;
  group_->add_up({&epochs, 1});
  std::vector<double> numbers(static_cast<std::size_t>(epochs) * kNumbers);
  if (numbers.empty()) return;
  if (first()) {
    for (std::size_t i = 0; i < history.size(); ++i) put(history[i], &numbers[i * kNumbers]);
  }
  group_->add_up(numbers);
  history.clear();
  for (std::size_t i = 0; i < numbers.size(); i += kNumbers) {
    history.push_back(record_from(&numbers[i]));
  }
}

void Together::take_over(EpochPart& part) {
  if (alone()) return;
  std::array<double, 4> numbers{};
  // The others add nothing.
  if (first()) {
    numbers = {static_cast<double>(part.batches), part.loss, static_cast<double>(part.correct),
               static_cast<double>(part.images)};
  }
  group_->add_up(numbers);
  part = {.batches = static_cast<std::int64_t>(numbers[0]),
          .loss = numbers[1],
          .correct = static_cast<std::int64_t>(numbers[2]),
          .images = static_cast<std::int64_t>(numbers[3])};
}

void Together::average(const std::vector<at::Tensor>& tensors) {
  if (alone()) return;
  const at::NoGradGuard guard;
  for (const at::Tensor& tensor : tensors) {
    if (!tensor.is_floating_point()) continue;
    const at::Tensor sum = tensor.detach().clone(at::MemoryFormat::Contiguous);
    group_->start_sum(sum);
    group_->finish_sums();
    tensor.detach().copy_(sum.div(world_.size));
  }
}

std::vector<BrokenImage> Together::all_broken(std::vector<BrokenImage> own) {
  if (alone()) return own;
  double count = static_cast<double>(own.size());
  group_->add_up({&count, 1});
  if (count == 0) return {};
  Json images = Json::array();
  for (const BrokenImage& image : own) images.push_back({image.index, image.why});
  // A file's name may hold any bytes.
  const auto any = Json::error_handler_t::replace;
  std::vector<BrokenImage> all;
  for (const std::string& text : group_->gather(images.dump(-1, ' ', false, any))) {
    for (const Json& image : Json::parse(text)) all.push_back({image[0], image[1]});
  }
  return all;
}

void Together::watch(const std::vector<at::Tensor>& parameters) {
  if (!alone()) sums_ = std::make_unique<GradientSums>(*group_, parameters);
}

void Together::begin_gradients() {
  if (!alone()) sums_->begin();
}

void Together::finish_gradients(bool computed) {
  if (!alone()) sums_->finish(computed);
}

}  // namespace octconv::train
