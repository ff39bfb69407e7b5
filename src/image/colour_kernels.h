// SPDX-License-Identifier: Apache-2.0
// Changes of colours, pixel by pixel, in vectors.
#pragma once

#include <array>
#include <span>

namespace octconv::image {

// A level x becomes factor * x + grey * (the pixel's grey) + constant, cut to [0, 255].
struct ColourStep {
  float factor = 1;
  float grey = 0;
  float constant = 0;
};

// In so many parts of a level the grey of a pixel is counted, so that the order of a sum of many
// does not matter.
inline constexpr int kGreyParts = 1 << 14;

// The mean grey (ITU-R BT.601) of pixels after those steps, which leave no trace. Red, green and
// blue are interleaved, with levels in [0, 255] or not far from it.
float mean_grey(std::span<const float> pixels, std::span<const ColourStep> steps);

// The steps in their order, then times scale plus offset by channel.
void change_colours(std::span<float> pixels, std::span<const ColourStep> steps,
                    const std::array<float, 3>& scale, const std::array<float, 3>& offset);

}  // namespace octconv::image
