// SPDX-License-Identifier: Apache-2.0
#include "train/checkpoint.h"

#include <limits>
#include <sstream>
#include <stdexcept>
#include <string_view>

#include <ATen/core/Dict.h>
#include <ATen/core/ivalue.h>
#include <torch/csrc/jit/serialization/pickle.h>
#include <nlohmann/json.hpp>

#include "octconv/base/error.h"
#include "octconv/base/file.h"

namespace octconv::train {
namespace {

using Json = nlohmann::ordered_json;
using Tensors = std::map<std::string, at::Tensor>;

constexpr int kFormat = 2;
constexpr const char* kInfo = "octconv";
constexpr const char* kTensors = "tensors";
constexpr const char* kVelocities = "velocities";

// A file ends with this and a checksum of all before it: readers of zip archives do not mind what
// follows one, nor notice every missing or changed byte.
constexpr std::string_view kSeal = "octconv1";

// FNV-1a (Fowler, Noll, Vo), of what has this hash and the bytes behind it.
constexpr std::uint64_t kNothing = 0xcbf29ce484222325u;
std::uint64_t hash_of(std::string_view bytes, std::uint64_t hash = kNothing) {
  for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3u;
  return hash;
}

// The same as its bytes, lowest first.
std::string checksum(std::string_view bytes) {
  const std::uint64_t hash = hash_of(bytes);
  std::string text;
  for (int shift = 0; shift < 64; shift += 8) text += static_cast<char>(hash >> shift & 0xff);
  return text;
}

std::string sealed(std::string_view bytes) {
  return std::string(bytes) + std::string(kSeal) + checksum(bytes);
}

// What was sealed.
std::string_view opened(std::string_view bytes) {
  const std::size_t seal = kSeal.size() + checksum("").size();
  if (bytes.size() < seal || sealed(bytes.substr(0, bytes.size() - seal)) != bytes) {
    throw std::invalid_argument("no seal");
  }
  return bytes.substr(0, bytes.size() - seal);
}

// Numbers as JSON writes them: short, and the same bits when read again.
template <class Value>
std::string show(const Value& value) {
  return Json(value).dump();
}

Json to_json(const EpochRecord& r) {
  return {{"epoch", r.epoch},
          {"train_loss", r.train_loss},
          {"train_accuracy", r.train_accuracy},
          {"test_loss", r.test_loss},
          {"test_accuracy", r.test_accuracy},
          {"learning_rate", r.learning_rate},
          {"images_per_second", r.images_per_second},
          {"seconds", r.seconds},
          {"test_top5_accuracy", r.test_top5_accuracy},
          {"time", r.time}};
}

// JSON has no number for what is not finite; older checkpoints lack some.
double number(const Json& json, const char* name) {
  const Json found = json.value(name, Json());
  return found.is_null() ? std::numeric_limits<double>::quiet_NaN() : found.get<double>();
}

EpochRecord record_from(const Json& json) {
  return {.epoch = json.at("epoch"),
          .train_loss = json.at("train_loss"),
          .train_accuracy = json.at("train_accuracy"),
          .test_loss = number(json, "test_loss"),
          .test_accuracy = json.at("test_accuracy"),
          .test_top5_accuracy = number(json, "test_top5_accuracy"),
          .learning_rate = json.at("learning_rate"),
          .images_per_second = json.at("images_per_second"),
          .seconds = json.at("seconds"),
          .time = json.value("time", 0.0)};
}

c10::Dict<std::string, at::Tensor> to_dict(const Tensors& tensors) {
  c10::Dict<std::string, at::Tensor> dict;
  // Rows in memory order: a reader need not know about channels-last.
  for (const auto& [name, tensor] : tensors) dict.insert(name, tensor.detach().contiguous());
  return dict;
}

Tensors from_dict(const c10::IValue& value) {
  Tensors tensors;
  for (const auto& item : value.toGenericDict()) {
    tensors.emplace(item.key().toStringRef(), item.value().toTensor());
  }
  return tensors;
}

std::string show_start(const Weights* start) {
  if (start == nullptr) return "of the seed";
  std::uint64_t hash = kNothing;
  for (const auto& [name, tensor] : *start) {
    hash = hash_of(name, hash);
    hash =
        hash_of({reinterpret_cast<const char*>(tensor.data()), tensor.values().size_bytes()}, hash);
  }
  std::ostringstream text;
  text << "with checksum " << std::hex << hash;
  return text.str();
}

std::string first_difference(const std::string& a, const std::string& b) {
  std::istringstream lines_a(a);
  std::istringstream lines_b(b);
  std::string line_a;
  std::string line_b;
  while (std::getline(lines_a, line_a) && std::getline(lines_b, line_b) && line_a == line_b) {
  }
  return "'" + line_a + "' instead of '" + line_b + "'";
}

}  // namespace

Identity identity_of(const Graph& graph, const Dataset& data, const TrainOptions& o,
                     const Weights* start) {
  Identity identity{.network = dump(graph),
                    .options = {{"data", show(data.name)},
                                {"data_train_images", show(data.train.count())},
                                {"data_test_images", show(data.test.count())},
                                {"data_extents", show(data.train.extents())},
                                {"data_mean", show(data.mean)},
                                {"data_deviation", show(data.deviation)},
                                {"epochs", show(o.epochs)},
                                {"batch_size", show(o.batch_size)},
                                {"learning_rate", show(o.learning_rate)},
                                {"momentum", show(o.momentum)},
                                {"weight_decay", show(o.weight_decay)},
                                {"no_weight_decay_on_norm", show(o.no_weight_decay_on_norm)},
                                {"label_smoothing", show(o.label_smoothing)},
                                {"schedule", show(to_string(o.schedule))},
                                {"warmup_epochs", show(o.warmup_epochs)},
                                {"crop_padding", show(o.crop_padding)},
                                {"flip", show(o.flip)},
                                {"seed", show(o.seed)},
                                {"train_images", show(o.train_images)},
                                {"composed", show(o.composed)},
                                {"bfloat16", show(o.bfloat16)},
                                {"initial_weights", show_start(start)}}};
  if (data.train.are_clips()) identity.options["data_frame_stride"] = show(data.train.frame_stride);
  return identity;
}

std::filesystem::path checkpoint_path(const std::filesystem::path& folder) {
  return folder / "checkpoint.pt";
}

void write_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint) {
  Json info = {{"format", kFormat},
               {"network", checkpoint.identity.network},
               {"options", checkpoint.identity.options},
               {"history", Json::array()}};
  for (const EpochRecord& record : checkpoint.history) info["history"].push_back(to_json(record));
  info["part"] = {{"batches", checkpoint.part.batches},
                  {"loss", checkpoint.part.loss},
                  {"correct", checkpoint.part.correct},
                  {"images", checkpoint.part.images}};
  c10::impl::GenericDict all(c10::StringType::get(), c10::AnyType::get());
  all.insert(kInfo, info.dump());
  all.insert(kTensors, to_dict(checkpoint.tensors));
  all.insert(kVelocities, to_dict(checkpoint.velocities));
  const std::vector<char> bytes = torch::jit::pickle_save(all);
  write_file(path, sealed({bytes.data(), bytes.size()}));
}

Checkpoint read_checkpoint(const std::filesystem::path& path) {
  const std::string bytes = read_file(path);
  try {
    const std::string_view archive = opened(bytes);
    const c10::impl::GenericDict all =
        torch::jit::pickle_load({archive.begin(), archive.end()}).toGenericDict();
    const Json info = Json::parse(all.at(kInfo).toStringRef());
    if (info.at("format") != kFormat) {
      throw FormatError("of format " + info.at("format").dump() + ", this version reads " +
                        show(kFormat));
    }
    Checkpoint checkpoint{
        .identity = {.network = info.at("network"), .options = info.at("options")},
        .tensors = from_dict(all.at(kTensors)),
        .velocities = from_dict(all.at(kVelocities))};
    for (const Json& record : info.at("history")) checkpoint.history.push_back(record_from(record));
    const Json& part = info.at("part");
    checkpoint.part = {.batches = part.at("batches"),
                       .loss = part.at("loss"),
                       .correct = part.at("correct"),
                       .images = part.at("images")};
    return checkpoint;
  } catch (const FormatError& error) {
    throw FormatError("checkpoint '" + path.string() + "' is " + error.what());
  } catch (const std::exception&) {
    // LibTorch's own messages are pages long and name its source files.
    throw FormatError("'" + path.string() + "' is not a complete checkpoint");
  }
}

void check_same(const Identity& checkpoint, const Identity& wanted,
                const std::filesystem::path& path) {
  const std::string start = "train: cannot resume from '" + path.string() + "': ";
  if (checkpoint.network != wanted.network) {
    throw InvalidArgument(start + "it holds another network, " +
                          first_difference(checkpoint.network, wanted.network));
  }
  for (const auto& [name, value] : wanted.options) {
    const auto found = checkpoint.options.find(name);
    const std::string theirs = found == checkpoint.options.end() ? "unset" : found->second;
    if (theirs != value)
      throw InvalidArgument(start + "it was written with " + name + " " + theirs + ", not " +
                            value);
  }
}

}  // namespace octconv::train
