// SPDX-License-Identifier: Apache-2.0
// The binary files of CIFAR-10 and CIFAR-100.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "octconv/image/dataset.h"

namespace octconv::image {

// Which files there are, and what is in them. Source: https://www.cs.toronto.edu/~kriz/cifar.html.
struct CifarKind {
  std::string_view name;
  std::vector<std::string_view> train_files;
  std::string_view test_file;
  std::string_view class_file;  // names, one a line
  std::int64_t classes = 0;
  std::int64_t label_bytes = 0;  // in front of each image; the last one counts
  std::int64_t images = 0;       // in a file to train on
  std::int64_t test_images = 0;
};

const CifarKind& cifar10();
const CifarKind& cifar100();

// The kind whose first file the folder holds.
std::optional<CifarKind> cifar_in(const std::filesystem::path& folder);

// Without its class file the classes are called by their numbers. The statistics are not set.
// Throws FileError for a missing file, FormatError for one of another size, a label out of range,
// or another number of class names.
Dataset read_cifar(const std::filesystem::path& folder, std::string name, const CifarKind& kind);

}  // namespace octconv::image
