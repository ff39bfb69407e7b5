// SPDX-License-Identifier: Apache-2.0
#include "image/spectrum.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

namespace octconv::image {

std::int64_t spectrum_extent(std::int64_t extent) {
  const auto is_smooth = [](std::int64_t n) {
    for (const std::int64_t prime : {2, 3, 5, 7, 11, 13}) {
      while (n % prime == 0) n /= prime;
    }
    return n == 1;
  };
  while (!is_smooth(extent)) ++extent;
  return extent;
}

Spectrum power_spectrum(std::span<const float> values, std::int64_t height, std::int64_t width) {
  Spectrum spectrum{.height = spectrum_extent(height), .width = spectrum_extent(width)};
  const double mean =
      std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  cv::Mat_<double> map(static_cast<int>(spectrum.height), static_cast<int>(spectrum.width), 0.0);
  for (std::int64_t i = 0; i < height; ++i) {
    double* row = map[static_cast<int>(i)];
    for (std::int64_t j = 0; j < width; ++j) {
      row[j] = values[static_cast<std::size_t>(i * width + j)] - mean;
    }
  }
  cv::Mat_<cv::Vec2d> transform;
  cv::dft(map, transform, cv::DFT_COMPLEX_OUTPUT);
  const auto coefficients = static_cast<double>(map.total());
  spectrum.power.resize(map.total());
  for (std::int64_t i = 0; i < spectrum.height; ++i) {
    const std::int64_t to_row = (i + spectrum.height / 2) % spectrum.height;
    for (std::int64_t j = 0; j < spectrum.width; ++j) {
      const std::int64_t to_column = (j + spectrum.width / 2) % spectrum.width;
      const cv::Vec2d& value = transform(static_cast<int>(i), static_cast<int>(j));
      spectrum.power[static_cast<std::size_t>(to_row * spectrum.width + to_column)] =
          (value[0] * value[0] + value[1] * value[1]) / coefficients;
    }
  }
  // Nothing but rounding is left of it.
  spectrum
      .power[static_cast<std::size_t>(spectrum.height / 2 * spectrum.width + spectrum.width / 2)] =
      0;
  return spectrum;
}

Image heat_map(std::span<const float> levels, std::int64_t height, std::int64_t width) {
  constexpr float kWhite = 255;
  cv::Mat_<std::uint8_t> grey(static_cast<int>(height), static_cast<int>(width));
  std::transform(levels.begin(), levels.end(), grey.begin(), [](float level) {
    return static_cast<std::uint8_t>(std::lround(std::clamp(level, 0.0F, 1.0F) * kWhite));
  });
  cv::Mat_<cv::Vec3b> coloured;
  cv::applyColorMap(grey, coloured, cv::COLORMAP_INFERNO);
  Image image{.height = height, .width = width, .channels = 3};
  for (const cv::Vec3b& pixel : coloured) {
    image.pixels.insert(image.pixels.end(), {pixel[2], pixel[1], pixel[0]});
  }
  return image;
}

}  // namespace octconv::image
