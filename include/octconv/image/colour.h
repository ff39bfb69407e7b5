// SPDX-License-Identifier: Apache-2.0
// Random changes of a picture's colours.
#pragma once

#include <array>
#include <span>

#include "octconv/base/api.h"
#include "octconv/base/random.h"

namespace octconv {

/// What becomes of a level in [0, 255]: level * scale + offset, by channel.
struct LevelScale {
  std::array<float, 3> scale{1, 1, 1};  ///< of grey the first alone
  std::array<float, 3> offset{};        ///< the same
};

/// A change of colours: three factors, applied one after the other.
struct ColourJitter {
  /// What is changed.
  enum class Kind { kBrightness, kContrast, kSaturation };
  /// A change of one kind.
  struct Step {
    Kind kind = Kind::kBrightness;  ///< what
    double factor = 1;              ///< 1 changes nothing
  };
  std::array<Step, 3> steps;  ///< in the order in which they are applied
};

/// Each kind once, in random order, each factor uniform in [1 - strength, 1 + strength].
/// @throws InvalidArgument unless 0 <= strength <= 1
[[nodiscard]] OCTCONV_API ColourJitter random_jitter(double strength, Random& random);

/// Changes pixels with levels in [0, 255], red, green and blue interleaved.
///
/// With f the factor and grey = 0.299 r + 0.587 g + 0.114 b (ITU-R BT.601): brightness is f x;
/// contrast f x + (1 - f) m, m the mean grey of all pixels; saturation f x + (1 - f) grey of the
/// pixel. Each result is cut to [0, 255]. In the end each level is rescaled.
/// @throws InvalidArgument unless the values are a multiple of three
OCTCONV_API void jitter_colours(std::span<float> pixels, const ColourJitter& jitter,
                                const LevelScale& levels = {});

/// What the colour noise of Krizhevsky et al., "ImageNet classification with deep convolutional
/// neural networks", 2012, section 4.1, adds to red, green and blue of all pixels of a picture, in
/// levels up to 255: the principal components of ImageNet's colours, each times its deviation
/// times a normal number of mean 0 and deviation `strength` (0.1 there).
/// @throws InvalidArgument unless strength is finite and at least 0
[[nodiscard]] OCTCONV_API std::array<double, 3> random_colour_shift(double strength,
                                                                    Random& random);

}  // namespace octconv
