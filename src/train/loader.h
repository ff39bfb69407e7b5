// SPDX-License-Identifier: Apache-2.0
// Images as batches of network input.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "octconv/image/dataset.h"

namespace octconv::train {

/// 0 ... count - 1 in an order that the seed alone decides.
[[nodiscard]] std::vector<std::int64_t> shuffled(std::int64_t count, std::uint64_t seed);

struct Augmentation {
  std::int64_t crop_padding = 0;
  bool flip = false;
  std::uint64_t seed =
      0;  ///< of the epoch; what happens to an image depends on it and the image's index alone
};

/// Turns 8-bit images into normalised float ones, channels last. The images must outlive it.
class Loader {
 public:
  /// @param mean, deviation  one per channel, of pixels scaled to [0, 1]
  /// @throws InvalidArgument naming `what` if the images contradict themselves or there are none
  Loader(const LabelledImages& images, const std::vector<float>& mean,
         const std::vector<float>& deviation, std::int64_t classes, const char* what);

  [[nodiscard]] const LabelledImages& images() const noexcept { return images_; }

  /// Writes indices.size() images [height, width, channels] and labels.
  void fill(std::span<const std::int64_t> indices, const Augmentation& augmentation, float* pixels,
            std::int64_t* labels) const;

 private:
  void fill_image(std::int64_t index, std::int64_t down, std::int64_t right, bool flipped,
                  float* pixels) const;

  const LabelledImages& images_;
  std::vector<std::array<float, 256>> normalised_;  // by channel and pixel value
};

}  // namespace octconv::train
