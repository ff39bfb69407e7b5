// SPDX-License-Identifier: Apache-2.0
// Pixels brought to other extents: areas averaged where an axis shrinks, interpolated linearly
// where it grows.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace octconv::image {

// Rows of interleaved levels, of 1 or 3 channels; extents in [1, 2^20].
struct Levels {
  const std::uint8_t* first = nullptr;
  std::ptrdiff_t pitch_bytes = 0;  // from a row to the next
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t channels = 0;
};

// Writes height * width * channels levels, rounded to the nearest (to even between two).
//
// An axis that shrinks: each result is the mean of its share of the axis, pixels that are cut by
// its ends weighted by what is inside. One that grows: linear between the centres of the two
// nearest pixels, beyond the outermost centres constant. Sums are rounded once for both axes; the
// bits are the same for every instruction set.
void resample(const Levels& from, std::int64_t height, std::int64_t width, std::uint8_t* to);

// What becomes of a resampled picture on its way into floats.
struct Rescaling {
  bool mirrored = false;         // left and right exchanged
  std::array<float, 3> scale{};  // by channel
  std::array<float, 3> offset{};
};

// The same, each rounded level times scale plus offset.
void resample(const Levels& from, std::int64_t height, std::int64_t width,
              const Rescaling& rescaling, float* to);

}  // namespace octconv::image
