// SPDX-License-Identifier: Apache-2.0
// Labelled images in memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "octconv/base/api.h"

namespace octconv {

/// Images of one size with a class each.
struct LabelledImages {
  std::int64_t height = 0;           ///< of each image
  std::int64_t width = 0;            ///< of each image
  std::int64_t channels = 0;         ///< 1 or 3
  std::vector<std::uint8_t> pixels;  ///< count * height * width * channels, channels interleaved
  std::vector<std::int32_t> labels;  ///< count, each in [0, classes)

  /// Images.
  [[nodiscard]] std::int64_t count() const noexcept {
    return static_cast<std::int64_t>(labels.size());
  }
};

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

/// Opens a data set by name or folder.
///
/// A name ("fashion-mnist", "mnist") is looked for as a folder in the one that the environment
/// variable OCTCONV_DATA names, by default /usr/share/datasets, where Debian's package
/// dataset-fashion-mnist puts it. A folder must hold the four idx files of the MNIST family
/// (train-images-idx3-ubyte, train-labels-idx1-ubyte and the same with t10k, plain or .gz); unless
/// it is called like a known data set, its classes are the numbers up to the largest training
/// label.
/// @throws InvalidArgument for a name that is neither, suggesting the nearest; FileError if a file
/// is missing
///         (saying which package or file); FormatError for a truncated or inconsistent file
[[nodiscard]] OCTCONV_API Dataset open_dataset(std::string_view name_or_folder);

}  // namespace octconv
