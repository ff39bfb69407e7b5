// SPDX-License-Identifier: Apache-2.0
// Labelled images, in memory or as files that are decoded when they are used.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "octconv/base/api.h"
#include "octconv/image/image.h"

namespace octconv {

/// Images of one size with a class each: pixels, or files of any size that are brought to it.
struct LabelledImages {
  std::int64_t height = 0;            ///< of each image, as a network takes it
  std::int64_t width = 0;             ///< of each image, as a network takes it
  std::int64_t channels = 0;          ///< 1 or 3
  std::vector<std::uint8_t> pixels;   ///< count * height * width * channels, channels interleaved;
                                      ///< empty if the images are files
  std::vector<std::int32_t> labels;   ///< count, each in [0, classes)
  std::filesystem::path folder = {};  ///< of the files
  std::vector<std::string> files = {};  ///< count names below the folder, or none
  double crop_ratio = 0.875;  ///< in (0, 1]; the share of a file's shorter side that is tested on

  /// Images.
  [[nodiscard]] std::int64_t count() const noexcept {
    return static_cast<std::int64_t>(labels.size());
  }
  /// Whether the images are files.
  [[nodiscard]] bool are_files() const noexcept { return !files.empty(); }
  /// Where file `index` is. Requires are_files() and 0 <= index < count().
  [[nodiscard]] std::filesystem::path path(std::int64_t index) const {
    return folder / files[static_cast<std::size_t>(index)];
  }
};

/// Image `index`, height x width x channels; of a file the middle, as networks are tested on it
/// (`centre_crop`). Requires 0 <= index < count().
/// @throws FileError or FormatError naming a file that cannot be read or decoded
[[nodiscard]] OCTCONV_API Image image_at(const LabelledImages& images, std::int64_t index);

/// A data set: what to train on and what to test on.
struct Dataset {
  std::string name;                  ///< as reports call it
  LabelledImages train;              ///< to learn from
  LabelledImages test;               ///< to measure with; of the same extents
  std::vector<std::string> classes;  ///< names by label
  /// Statistics of the training images' channels, of pixels scaled to [0, 1].
  /// @{
  std::vector<float> mean;
  std::vector<float> deviation;
  /// @}
};

/// How pictures of any size become images of one size.
struct OpenOptions {
  std::int64_t size = 0;  ///< height and width of images from files; 0: 224. In memory images keep
                          ///< their own, and another is refused
};

/// Opens a data set by name or folder.
///
/// A name ("fashion-mnist", "mnist") is looked for as a folder in the one that the environment
/// variable OCTCONV_DATA names, by default /usr/share/datasets, where Debian's package
/// dataset-fashion-mnist puts it. A folder holds one of:
/// - the four idx files of the MNIST family (train-images-idx3-ubyte, train-labels-idx1-ubyte and
///   the same with t10k, plain or .gz); unless it is called like a known data set, its classes are
///   the numbers up to the largest training label;
/// - the binary files of CIFAR-10 (data_batch_1.bin to data_batch_5.bin, test_batch.bin) or
///   CIFAR-100 (train.bin, test.bin; the fine labels), with their files of class names or without;
/// - pictures by class (train/CLASS/..., and val/CLASS/... or test/CLASS/...): JPEG, PNG, WebP,
/// BMP,
///   TIFF and PNM files of any size, also in folders below a class's. Classes are numbered in the
///   order of their names (by bytes); they are read as three channels. Files are listed, not
///   opened. The mean and the deviation are those of ImageNet as the article's authors use them.
/// @throws InvalidArgument for a name that is neither, suggesting the nearest, and for a size
///         outside [1, 2^14] or other than that of images in memory; FileError if a file is missing
///         (saying which package or file) or a class has no pictures; FormatError for a truncated
///         or inconsistent file
[[nodiscard]] OCTCONV_API Dataset open_dataset(std::string_view name_or_folder,
                                               const OpenOptions& options = {});

}  // namespace octconv
