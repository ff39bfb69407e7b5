// SPDX-License-Identifier: Apache-2.0
#include "image/matrix.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include <opencv2/imgcodecs.hpp>

#include "image/container.h"
#include "image/quiet_log.h"
#include "octconv/base/error.h"

namespace octconv::image {
namespace {

// OpenCV counts rows and bytes of a row in int.
constexpr std::int64_t kMaxExtent = 1 << 20;

int decode_flags(std::int64_t channels, int reduction) {
  const bool grey = channels == 1;
  switch (reduction) {
    case 2:
      return grey ? cv::IMREAD_REDUCED_GRAYSCALE_2 : cv::IMREAD_REDUCED_COLOR_2;
    case 4:
      return grey ? cv::IMREAD_REDUCED_GRAYSCALE_4 : cv::IMREAD_REDUCED_COLOR_4;
    case 8:
      return grey ? cv::IMREAD_REDUCED_GRAYSCALE_8 : cv::IMREAD_REDUCED_COLOR_8;
    default:
      return grey ? cv::IMREAD_GRAYSCALE : cv::IMREAD_COLOR;
  }
}

// Where an edge at `at` of `extent` pixels falls if these are `pixels`, in whole ones.
int edge(double at, double extent, int pixels) {
  return std::clamp(static_cast<int>(std::lround(at / extent * pixels)), 0, pixels);
}

}  // namespace

void check_channels(const char* who, std::int64_t channels) {
  if (channels != 1 && channels != 3) {
    throw InvalidArgument(std::string(who) + ": an image has 1 or 3 channels, got " +
                          std::to_string(channels));
  }
}

void check_extents(const char* who, std::int64_t height, std::int64_t width) {
  if (height < 1 || width < 1 || height > kMaxExtent || width > kMaxExtent) {
    throw InvalidArgument(std::string(who) + ": extents must be in [1, " +
                          std::to_string(kMaxExtent) + "], got " + std::to_string(height) + " x " +
                          std::to_string(width));
  }
}

cv::Mat matrix(const char* who, const Image& image) {
  check_channels(who, image.channels);
  check_extents(who, image.height, image.width);
  const std::int64_t bytes = image.height * image.width * image.channels;
  if (static_cast<std::int64_t>(image.pixels.size()) != bytes) {
    throw InvalidArgument(std::string(who) + ": an image of " + std::to_string(image.height) +
                          " x " + std::to_string(image.width) + " x " +
                          std::to_string(image.channels) + " needs " + std::to_string(bytes) +
                          " bytes, got " + std::to_string(image.pixels.size()));
  }
  return {static_cast<int>(image.height), static_cast<int>(image.width),
          CV_8UC(static_cast<int>(image.channels)), const_cast<std::uint8_t*>(image.pixels.data())};
}

Image from_matrix(const cv::Mat& matrix) {
  Image image{.height = matrix.rows, .width = matrix.cols, .channels = matrix.channels()};
  const auto row_bytes = static_cast<std::size_t>(image.width * image.channels);
  image.pixels.resize(static_cast<std::size_t>(image.height) * row_bytes);
  for (int row = 0; row < matrix.rows; ++row) {
    std::memcpy(image.pixels.data() + static_cast<std::size_t>(row) * row_bytes, matrix.ptr(row),
                row_bytes);
  }
  return image;
}

cv::Mat decode(std::string_view bytes, std::string_view name, std::int64_t channels,
               int reduction) {
  const auto fail = [&](const std::string& why) {
    throw FormatError("cannot decode '" + std::string(name) + "': " + why);
  };
  if (bytes.empty()) fail("it is empty");
  if (bytes.size() > std::numeric_limits<int>::max()) fail("it is larger than 2 GiB");
  if (const std::string why = container_obstacle(bytes); !why.empty()) fail(why);
  cv::Mat decoded;
  try {
    const QuietLog quiet;
    const cv::Mat row(1, static_cast<int>(bytes.size()), CV_8UC1, const_cast<char*>(bytes.data()));
    decoded = cv::imdecode(row, decode_flags(channels, reduction));
  } catch (const cv::Exception& error) {
    fail(error.err);
  }
  if (decoded.empty()) fail("it is not an image, or a broken one");
  return decoded;
}

cv::Rect part_in(const cv::Size& pixels, const Rectangle& part, std::int64_t height,
                 std::int64_t width) {
  const auto full_height = static_cast<double>(height);
  const auto full_width = static_cast<double>(width);
  constexpr double kRounding = 1e-6;
  const bool inside = part.top >= -kRounding && part.left >= -kRounding && part.height > 0 &&
                      part.width > 0 && part.top + part.height <= full_height + kRounding &&
                      part.left + part.width <= full_width + kRounding;
  if (!inside) {
    throw InvalidArgument("crop: a part of " + std::to_string(part.height) + " x " +
                          std::to_string(part.width) + " at " + std::to_string(part.top) + ", " +
                          std::to_string(part.left) + " is not inside of a picture of " +
                          std::to_string(height) + " x " + std::to_string(width));
  }
  const int top = std::min(edge(part.top, full_height, pixels.height), pixels.height - 1);
  const int left = std::min(edge(part.left, full_width, pixels.width), pixels.width - 1);
  const int bottom = std::max(edge(part.top + part.height, full_height, pixels.height), top + 1);
  const int right = std::max(edge(part.left + part.width, full_width, pixels.width), left + 1);
  return {left, top, right - left, bottom - top};
}

cv::Mat part_of(const cv::Mat& pixels, const Rectangle& part, std::int64_t height,
                std::int64_t width) {
  return pixels(part_in(pixels.size(), part, height, width));
}

Levels levels_of(const cv::Mat& pixels) {
  return {.first = pixels.data,
          .pitch_bytes = static_cast<std::ptrdiff_t>(pixels.step[0]),
          .height = pixels.rows,
          .width = pixels.cols,
          .channels = pixels.channels()};
}

cv::Mat resized(const cv::Mat& pixels, std::int64_t height, std::int64_t width) {
  cv::Mat result(static_cast<int>(height), static_cast<int>(width), pixels.type());
  resample(levels_of(pixels), height, width, result.data);
  return result;
}

}  // namespace octconv::image
