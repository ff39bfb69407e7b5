// SPDX-License-Identifier: Apache-2.0
// The energy of a map by spatial frequency.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "octconv/image/image.h"

namespace octconv::image {

// Energy of each coefficient of the discrete Fourier transform of a map around its mean.
struct Spectrum {
  std::int64_t height = 0;
  std::int64_t width = 0;
  // Rows of coefficients; that of frequency 0 is at (height / 2, width / 2), and its value is 0.
  std::vector<double> power;
};

// The smallest extent >= `extent` without a prime factor above 13. Requires extent >= 1.
std::int64_t spectrum_extent(std::int64_t extent);

// |DFT|^2 / coefficients, so that by Parseval's theorem the sum over all coefficients is the sum of
// the squared deviations from the mean. Extents become spectrum_extent of the map's by zeros
// after the mean was taken off: a transform of prime length takes minutes for a large photograph.
//
// Requires height * width == values.size() >= 1.
Spectrum power_spectrum(std::span<const float> values, std::int64_t height, std::int64_t width);

// Values in [0, 1] from black over red to pale yellow; what is outside is clamped. Requires
// height * width == levels.size() >= 1.
Image heat_map(std::span<const float> levels, std::int64_t height, std::int64_t width);

}  // namespace octconv::image
