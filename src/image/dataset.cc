// SPDX-License-Identifier: Apache-2.0
#include "octconv/image/dataset.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>

#include "image/cifar.h"
#include "image/idx.h"
#include "image/picture_folder.h"
#include "octconv/base/error.h"
#include "octconv/base/file.h"
#include "octconv/base/text.h"
#include "octconv/image/crop.h"

namespace octconv {
namespace {

/// A data set that has a name: where it is found, and what its classes are called.
struct KnownDataset {
  const char* name;
  const char* install;  ///< how one gets it
  std::vector<std::string> classes;
};

const std::vector<KnownDataset>& known_datasets() {
  static const std::vector<KnownDataset> datasets{
      {"fashion-mnist",
       "`apt-get install dataset-fashion-mnist` installs it",
       // Xiao, Rasul, Vollgraf, "Fashion-MNIST", 2017 (https://arxiv.org/abs/1708.07747), table 2.
       {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
        "Ankle boot"}},
      {"mnist", "put its four files there", {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}}};
  return datasets;
}

/// Where data sets are found by name: a folder each.
std::filesystem::path data_root() {
  constexpr const char* kDebianRoot = "/usr/share/datasets";
  const char* root = std::getenv("OCTCONV_DATA");
  return root == nullptr || *root == '\0' ? kDebianRoot : root;
}

std::filesystem::path find_file(const std::filesystem::path& folder, const std::string& stem) {
  for (const char* ending : {"", ".gz"}) {
    std::error_code error;
    if (std::filesystem::path path = folder / (stem + ending);
        std::filesystem::exists(path, error)) {
      return path;
    }
  }
  throw FileError("data set folder '" + folder.string() + "' has no file '" + stem + "' or '" +
                  stem + ".gz'");
}

LabelledImages read_part(const std::filesystem::path& folder, const std::string& part) {
  const std::filesystem::path image_path = find_file(folder, part + "-images-idx3-ubyte");
  const std::filesystem::path label_path = find_file(folder, part + "-labels-idx1-ubyte");
  image::IdxArray images = image::read_idx(image_path, 3);
  const image::IdxArray labels = image::read_idx(label_path, 1);
  if (images.extents[0] != labels.extents[0]) {
    throw FormatError("'" + image_path.string() + "' has " + std::to_string(images.extents[0]) +
                      " images, but '" + label_path.string() + "' has " +
                      std::to_string(labels.extents[0]) + " labels");
  }
  return {.height = images.extents[1],
          .width = images.extents[2],
          .channels = 1,
          .pixels = std::move(images.values),
          .labels = {labels.values.begin(), labels.values.end()}};
}

void check_labels(const std::filesystem::path& folder, const char* part,
                  const LabelledImages& images, std::size_t classes) {
  for (std::size_t i = 0; i < images.labels.size(); ++i) {
    if (static_cast<std::size_t>(images.labels[i]) >= classes) {
      throw FormatError("data set '" + folder.string() + "': the label of " + part + " image " +
                        std::to_string(i) + " is " + std::to_string(images.labels[i]) +
                        ", but there are " + std::to_string(classes) + " classes");
    }
  }
}

/// Mean and deviation of each channel of pixels scaled to [0, 1], in double from exact integer
/// sums.
void set_statistics(Dataset& dataset) {
  constexpr double kWhite = 255;
  const LabelledImages& images = dataset.train;
  const auto channels = static_cast<std::size_t>(images.channels);
  for (std::size_t c = 0; c < channels; ++c) {
    std::uint64_t sum = 0;
    std::uint64_t squares = 0;
    for (std::size_t i = c; i < images.pixels.size(); i += channels) {
      const std::uint64_t pixel = images.pixels[i];
      sum += pixel;
      squares += pixel * pixel;
    }
    const double count = static_cast<double>(images.pixels.size() / channels);
    const double mean = static_cast<double>(sum) / count;
    const double variance = static_cast<double>(squares) / count - mean * mean;
    dataset.mean.push_back(static_cast<float>(mean / kWhite));
    // A channel that never changes stays as it is instead of being divided by zero.
    dataset.deviation.push_back(variance > 0 ? static_cast<float>(std::sqrt(variance) / kWhite)
                                             : 1.0F);
  }
}

/// Without `classes` they are as many as the training labels say, and called by their numbers.
Dataset read_folder(const std::filesystem::path& folder, std::string name,
                    std::vector<std::string> classes) {
  Dataset dataset{.name = std::move(name),
                  .train = read_part(folder, "train"),
                  .test = read_part(folder, "t10k")};
  if (dataset.train.height != dataset.test.height || dataset.train.width != dataset.test.width) {
    throw FormatError("data set '" + folder.string() + "': training images are " +
                      std::to_string(dataset.train.height) + " x " +
                      std::to_string(dataset.train.width) + ", but test images " +
                      std::to_string(dataset.test.height) + " x " +
                      std::to_string(dataset.test.width));
  }
  if (classes.empty()) {
    const std::int32_t last =
        *std::max_element(dataset.train.labels.begin(), dataset.train.labels.end());
    for (std::int32_t label = 0; label <= last; ++label) classes.push_back(std::to_string(label));
  }
  check_labels(folder, "training", dataset.train, classes.size());
  check_labels(folder, "test", dataset.test, classes.size());
  dataset.classes = std::move(classes);
  set_statistics(dataset);
  return dataset;
}

constexpr std::int64_t kUsualSize = 224;
constexpr std::int64_t kMaxSize = 1 << 14;

void check_size(const Dataset& data, const OpenOptions& options) {
  if (options.size == 0 || (options.size == data.train.height && options.size == data.train.width))
    return;
  throw InvalidArgument(
      "the images of data set '" + data.name + "' are of " + std::to_string(data.train.height) +
      " x " + std::to_string(data.train.width) + " pixels, not of " + std::to_string(options.size));
}

// Of clips; images have none.
void set_timing(Dataset& data, const OpenOptions& options) {
  if (!data.train.are_clips()) {
    if (options.frames == 0 && options.frame_stride == 0) return;
    throw InvalidArgument("data set '" + data.name +
                          "' holds pictures, and frames and their stride are of videos");
  }
  ClipTiming timing;
  if (options.frames != 0) timing.frames = options.frames;
  if (options.frame_stride != 0) timing.stride = options.frame_stride;
  check(timing);
  for (LabelledImages* part : {&data.train, &data.test}) {
    part->frames = timing.frames;
    part->frame_stride = timing.stride;
  }
}

Dataset open_folder(const std::filesystem::path& folder, const std::string& name,
                    const KnownDataset* known, const OpenOptions& options) {
  if (image::is_picture_folder(folder)) {
    Dataset data =
        image::open_picture_folder(folder, name, options.size == 0 ? kUsualSize : options.size);
    set_timing(data, options);
    return data;
  }
  Dataset data;
  if (const auto cifar = image::cifar_in(folder)) {
    data = image::read_cifar(folder, name, *cifar);
    set_statistics(data);
  } else {
    data =
        read_folder(folder, name, known == nullptr ? std::vector<std::string>{} : known->classes);
  }
  check_size(data, options);
  set_timing(data, options);
  return data;
}

const KnownDataset* find_known(std::string_view name) {
  for (const KnownDataset& known : known_datasets()) {
    if (known.name == name) return &known;
  }
  return nullptr;
}

}  // namespace

Image image_at(const LabelledImages& images, std::int64_t index) {
  if (images.are_clips())
    throw InvalidArgument("image_at: '" + images.path(index).string() + "' is a video");
  const std::int64_t height = images.height;
  const std::int64_t width = images.width;
  if (images.are_files()) {
    const std::filesystem::path path = images.path(index);
    return decode_crop(
        read_file(path), path.string(), images.channels,
        [&](std::int64_t h, std::int64_t w) {
          return centre_crop(h, w, height, width, images.crop_ratio);
        },
        height, width);
  }
  const std::int64_t bytes = height * width * images.channels;
  const auto first = images.pixels.begin() + index * bytes;
  return {.height = height,
          .width = width,
          .channels = images.channels,
          .pixels = {first, first + bytes}};
}

Clip clip_at(const LabelledImages& clips, std::int64_t index) {
  return std::move(views_at(clips, index, {}).front());
}

std::vector<Clip> views_at(const LabelledImages& clips, std::int64_t index, const Views& views) {
  if (!clips.are_clips()) throw InvalidArgument("views_at: images are no clips");
  const ClipTiming timing = clips.timing();
  const auto crops = [&](std::int64_t height, std::int64_t width) -> std::vector<Rectangle> {
    if (!views.three_crops)
      return {centre_crop(height, width, clips.height, clips.width, clips.crop_ratio)};
    const auto sides = side_crops(height, width, clips.height, clips.width);
    return {sides.begin(), sides.end()};
  };
  return read_clips(
      clips.path(index), clips.channels, timing,
      {.starts = [&](std::int64_t count) { return clip_starts(count, timing, views.clips); },
       .crops = crops},
      clips.height, clips.width);
}

Dataset open_dataset(std::string_view name_or_folder, const OpenOptions& options) {
  const std::string name(name_or_folder);
  if (options.size < 0 || options.size > kMaxSize) {
    throw InvalidArgument("the size of images must be in [1, " + std::to_string(kMaxSize) +
                          "], got " + std::to_string(options.size));
  }
  std::error_code error;
  if (const KnownDataset* known = find_known(name)) {
    const std::filesystem::path folder = data_root() / name;
    if (!std::filesystem::is_directory(folder, error)) {
      throw FileError("data set '" + name + "' is not in '" + folder.string() +
                      "': " + known->install + ", or set OCTCONV_DATA to the folder that holds '" +
                      name + "'");
    }
    return open_folder(folder, name, known, options);
  }
  const std::filesystem::path folder(name);
  if (std::filesystem::is_directory(folder, error)) {
    std::filesystem::path last = folder.filename();
    if (last.empty()) last = folder.parent_path().filename();
    return open_folder(folder, last.string(), find_known(last.string()), options);
  }
  std::vector<std::string> names;
  for (const KnownDataset& known : known_datasets()) names.emplace_back(known.name);
  const std::string nearest = nearest_name(name, names);
  throw InvalidArgument("'" + name + "' is neither a folder nor a known data set (" +
                        join(names, ", ") + ")" +
                        (nearest.empty() ? "" : "; did you mean '" + nearest + "'?"));
}

}  // namespace octconv
