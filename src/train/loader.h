// SPDX-License-Identifier: Apache-2.0
// Images and clips as network input.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "octconv/base/random.h"
#include "octconv/image/colour.h"
#include "octconv/image/dataset.h"

namespace octconv::train {

/// 0 ... count - 1 in an order that the seed alone decides.
[[nodiscard]] std::vector<std::int64_t> shuffled(std::int64_t count, std::uint64_t seed);

/// What happens to an image, or in the same way to every frame of a clip, before a network sees it.
struct Augmentation {
  bool random_start = false;      ///< of a clip in its video (`random_clip_start`); else the middle
  bool random_crop = false;       ///< a random part, resized (`octconv::random_crop`)
  std::int64_t crop_padding = 0;  ///< shifted by up to so many pixels each way, black comes in; 0
                                  ///< where files are cut at random
  bool flip = false;              ///< every second image is mirrored
  double colour_jitter = 0;       ///< strength of `random_jitter`, of images of 3 channels
  double colour_noise = 0;        ///< strength of `random_colour_shift`, of images of 3 channels
  std::uint64_t seed =
      0;  ///< of the epoch; what happens to an image depends on it and the image's index alone
};

/// Turns 8-bit images or clips into normalised float ones, channels last. The images must outlive
/// it.
class Loader {
 public:
  /// @param mean, deviation  one per channel, of pixels scaled to [0, 1]
  /// @throws InvalidArgument naming `what` if the images contradict themselves or there are none
  Loader(const LabelledImages& images, const std::vector<float>& mean,
         const std::vector<float>& deviation, std::int64_t classes, const char* what);

  [[nodiscard]] const LabelledImages& images() const noexcept { return images_; }

  /// Values of an image, or of a clip.
  [[nodiscard]] std::int64_t image_size() const noexcept { return frames() * frame_size(); }

  /// Writes one image [height, width, channels], or clip [frames, height, width, channels]. May be
  /// called by several threads at once.
  /// @throws FileError or FormatError naming a file that cannot be read or decoded
  void fill(std::int64_t index, const Augmentation& augmentation, float* pixels) const;

 private:
  struct Shift {
    std::int64_t down = 0;
    std::int64_t right = 0;
    bool flipped = false;
  };
  using Levels = std::vector<std::array<float, 256>>;  // by channel and pixel value

  // Of each image.
  [[nodiscard]] std::int64_t frames() const noexcept {
    return images_.are_clips() ? images_.frames : 1;
  }
  [[nodiscard]] std::int64_t frame_size() const noexcept {
    return images_.height * images_.width * images_.channels;
  }
  // Pixels of an image or a clip, cut; empty if it can be used where it lies.
  std::vector<std::uint8_t> made(std::int64_t index, const Augmentation& augmentation,
                                 Random& random) const;
  void shift_into(const std::uint8_t* image, const Shift& shift, const Levels& levels,
                  float* pixels) const;
  void fill_from_file(std::int64_t index, const Augmentation& augmentation, Random& random,
                      float* pixels) const;
  [[nodiscard]] LevelScale normalisation(const std::array<double, 3>& shift) const;
  void vary_colours(const Augmentation& augmentation, Random& random, float* pixels) const;

  const LabelledImages& images_;
  std::vector<float> mean_;
  std::vector<float> deviation_;
  Levels normalised_;
  Levels unchanged_;  // each level as it is
};

}  // namespace octconv::train
