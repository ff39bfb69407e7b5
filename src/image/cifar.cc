// SPDX-License-Identifier: Apache-2.0
#include "image/cifar.h"

#include <sstream>
#include <system_error>

#include "octconv/base/error.h"
#include "octconv/base/file.h"

namespace octconv::image {
namespace {

constexpr std::int64_t kSide = 32;
constexpr std::int64_t kPlane = kSide * kSide;
constexpr std::int64_t kChannels = 3;

// A record: label bytes, then 32 x 32 bytes of red, as many of green, as many of blue.
void append(const std::filesystem::path& path, const CifarKind& kind, std::int64_t count,
            LabelledImages& images) {
  const std::string bytes = read_file(path);
  const std::int64_t record = kind.label_bytes + kPlane * kChannels;
  if (static_cast<std::int64_t>(bytes.size()) != count * record) {
    throw FormatError("'" + path.string() + "' has " + std::to_string(bytes.size()) +
                      " bytes, and " + std::to_string(count) + " images of " +
                      std::string(kind.name) + " have " + std::to_string(count * record));
  }
  const auto* at = reinterpret_cast<const std::uint8_t*>(bytes.data());
  for (std::int64_t image = 0; image < count; ++image, at += record) {
    const std::int32_t label = at[kind.label_bytes - 1];
    if (label >= kind.classes) {
      throw FormatError("'" + path.string() + "': the label of image " + std::to_string(image) +
                        " is " + std::to_string(label) + ", but there are " +
                        std::to_string(kind.classes) + " classes");
    }
    images.labels.push_back(label);
    const std::uint8_t* planes = at + kind.label_bytes;
    for (std::int64_t pixel = 0; pixel < kPlane; ++pixel) {
      for (std::int64_t c = 0; c < kChannels; ++c)
        images.pixels.push_back(planes[c * kPlane + pixel]);
    }
  }
}

std::vector<std::string> class_names(const std::filesystem::path& path, const CifarKind& kind) {
  std::vector<std::string> names;
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    for (std::int64_t label = 0; label < kind.classes; ++label)
      names.push_back(std::to_string(label));
    return names;
  }
  std::istringstream lines(read_file(path));
  for (std::string line; std::getline(lines, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) names.push_back(line);
  }
  if (static_cast<std::int64_t>(names.size()) != kind.classes) {
    throw FormatError("'" + path.string() + "' names " + std::to_string(names.size()) +
                      " classes, and " + std::string(kind.name) + " has " +
                      std::to_string(kind.classes));
  }
  return names;
}

}  // namespace

const CifarKind& cifar10() {
  static const CifarKind kind{
      .name = "CIFAR-10",
      .train_files = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                      "data_batch_4.bin", "data_batch_5.bin"},
      .test_file = "test_batch.bin",
      .class_file = "batches.meta.txt",
      .classes = 10,
      .label_bytes = 1,
      .images = 10000,
      .test_images = 10000};
  return kind;
}

const CifarKind& cifar100() {
  static const CifarKind kind{.name = "CIFAR-100",
                              .train_files = {"train.bin"},
                              .test_file = "test.bin",
                              .class_file = "fine_label_names.txt",
                              .classes = 100,
                              .label_bytes = 2,
                              .images = 50000,
                              .test_images = 10000};
  return kind;
}

std::optional<CifarKind> cifar_in(const std::filesystem::path& folder) {
  for (const CifarKind* kind : {&cifar10(), &cifar100()}) {
    std::error_code error;
    if (std::filesystem::is_regular_file(folder / kind->train_files[0], error)) return *kind;
  }
  return std::nullopt;
}

Dataset read_cifar(const std::filesystem::path& folder, std::string name, const CifarKind& kind) {
  const LabelledImages none{.height = kSide, .width = kSide, .channels = kChannels};
  Dataset data{.name = std::move(name), .train = none, .test = none};
  for (const std::string_view file : kind.train_files)
    append(folder / file, kind, kind.images, data.train);
  append(folder / kind.test_file, kind, kind.test_images, data.test);
  data.classes = class_names(folder / kind.class_file, kind);
  return data;
}

}  // namespace octconv::image
