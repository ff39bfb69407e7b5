// SPDX-License-Identifier: Apache-2.0
#include "train/broken_images.h"

#include "octconv/base/error.h"

namespace octconv::train {

std::vector<BrokenImage> BrokenImages::add(std::span<const BrokenImage> broken) {
  std::vector<BrokenImage> fresh;
  for (const BrokenImage& image : broken) {
    if (!known_.insert(image.index).second) continue;
    fresh.push_back(image);
    last_ = image.why;
  }
  return fresh;
}

void BrokenImages::check() const {
  constexpr std::int64_t kAlwaysBorne = 9;
  constexpr std::int64_t kOneIn = 100;
  const bool too_many = count() > kAlwaysBorne && count() * kOneIn > images_;
  if (too_many || (count() > 0 && count() == images_)) {
    throw Error("train: " + std::to_string(count()) + " of " + std::to_string(images_) + " " +
                what_ + " images cannot be read; the last one: " + last_);
  }
}

}  // namespace octconv::train
