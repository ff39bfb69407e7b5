// SPDX-License-Identifier: Apache-2.0
// Keeps count of images that cannot be read, and says when there are too many.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "train/prefetch.h"

namespace octconv::train {

class BrokenImages {
 public:
  /// @param images  how many there are in all
  BrokenImages(std::int64_t images, const char* what) : images_(images), what_(what) {}

  /// Takes note of a batch's; returns those that were not known.
  std::vector<BrokenImage> add(std::span<const BrokenImage> broken);

  /// @throws Error if more than 1 % of the images, and 10 or more, cannot be read, or none of them
  /// can
  void check() const;

  [[nodiscard]] std::int64_t count() const noexcept {
    return static_cast<std::int64_t>(known_.size());
  }

 private:
  std::int64_t images_;
  const char* what_;
  std::set<std::int64_t> known_;  // indices
  std::string last_;              // why the last one cannot be read
};

}  // namespace octconv::train
