// SPDX-License-Identifier: Apache-2.0
// The power of maps by spatial frequency, against the transform's definition.
#include "image/spectrum.h"

#include <cmath>
#include <complex>
#include <numbers>
#include <numeric>
#include <tuple>

#include <gmock/gmock.h>

#include "octconv/base/random.h"

namespace octconv::image {
namespace {

std::vector<float> random_map(std::int64_t height, std::int64_t width, std::uint64_t seed) {
  std::vector<float> map(static_cast<std::size_t>(height * width));
  Random random(seed);
  for (float& value : map) value = static_cast<float>(3 + random.normal());
  return map;
}

double deviation_energy(const std::vector<float>& map) {
  const double mean =
      std::accumulate(map.begin(), map.end(), 0.0) / static_cast<double>(map.size());
  double sum = 0;
  for (const float value : map) sum += (value - mean) * (value - mean);
  return sum;
}

// The definition, term by term: power of the coefficient of `row` and `column` cycles per map.
double coefficient(const std::vector<float>& map, std::int64_t height, std::int64_t width,
                   std::int64_t row, std::int64_t column) {
  const double mean =
      std::accumulate(map.begin(), map.end(), 0.0) / static_cast<double>(map.size());
  std::complex<double> sum = 0;
  for (std::int64_t i = 0; i < height; ++i) {
    for (std::int64_t j = 0; j < width; ++j) {
      const double cycles = static_cast<double>(row * i) / static_cast<double>(height) +
                            static_cast<double>(column * j) / static_cast<double>(width);
      sum += (map[static_cast<std::size_t>(i * width + j)] - mean) *
             std::polar(1.0, -2 * std::numbers::pi * cycles);
    }
  }
  return std::norm(sum) / static_cast<double>(map.size());
}

TEST(PowerSpectrum, EqualsTheDefinitionForOddAndEvenExtents) {
  for (const auto& [height, width] : {std::pair{6, 8}, {5, 7}, {1, 9}, {4, 1}}) {
    const std::vector<float> map = random_map(height, width, 1);
    const Spectrum spectrum = power_spectrum(map, height, width);
    ASSERT_EQ(spectrum.height, height);
    ASSERT_EQ(spectrum.width, width);
    const double tolerance = 1e-12 * deviation_energy(map);
    for (std::int64_t i = 0; i < height; ++i) {
      for (std::int64_t j = 0; j < width; ++j) {
        EXPECT_NEAR(spectrum.power[static_cast<std::size_t>(i * width + j)],
                    coefficient(map, height, width, i - height / 2, j - width / 2), tolerance)
            << i << ", " << j << " of " << height << " x " << width;
      }
    }
  }
}

TEST(PowerSpectrum, SumsToTheEnergyAlsoWhereTheExtentsGrow) {
  for (const auto& [height, width] : {std::pair{1, 1}, {30, 28}, {17, 19}, {64, 101}}) {
    const std::vector<float> map = random_map(height, width, 2);
    const Spectrum spectrum = power_spectrum(map, height, width);
    EXPECT_EQ(spectrum.power.size(), static_cast<std::size_t>(spectrum.height * spectrum.width));
    const double sum = std::accumulate(spectrum.power.begin(), spectrum.power.end(), 0.0);
    EXPECT_NEAR(sum, deviation_energy(map), 1e-12 * deviation_energy(map))
        << height << " x " << width;
  }
}

TEST(PowerSpectrum, OfACheckerboardIsOneCoefficientAtTheCorner) {
  std::vector<float> map;
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < 6; ++j) map.push_back((i + j) % 2 == 0 ? 7.0F : 1.0F);
  }
  const Spectrum spectrum = power_spectrum(map, 4, 6);
  for (std::size_t n = 0; n < spectrum.power.size(); ++n) {
    EXPECT_NEAR(spectrum.power[n], n == 0 ? 24 * 9 : 0, 1e-9) << n;
  }
}

TEST(SpectrumExtent, HasNoPrimeFactorAboveThirteen) {
  for (const auto& [extent, expected] : {std::pair{1, 1},
                                         {2, 2},
                                         {17, 18},
                                         {19, 20},
                                         {28, 28},
                                         {169, 169},
                                         {509, 512},
                                         {2053, 2058}}) {
    EXPECT_EQ(spectrum_extent(extent), expected);
  }
}

TEST(HeatMap, GoesFromBlackToPaleAndClamps) {
  const Image image = heat_map(std::vector<float>{-1, 0, 0.5, 1, 2}, 1, 5);
  ASSERT_EQ(image.pixels.size(), 15U);
  const auto brightness = [&](std::size_t pixel) {
    return image.pixels[3 * pixel] + image.pixels[3 * pixel + 1] + image.pixels[3 * pixel + 2];
  };
  EXPECT_EQ(brightness(0), brightness(1));
  EXPECT_LT(brightness(1), brightness(2));
  EXPECT_LT(brightness(2), brightness(3));
  EXPECT_EQ(brightness(3), brightness(4));
  EXPECT_GT(image.pixels[6], image.pixels[8]);  // red, not blue, in the middle
}

}  // namespace
}  // namespace octconv::image
