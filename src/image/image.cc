// SPDX-License-Identifier: Apache-2.0
#include "octconv/image/image.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "image/container.h"
#include "octconv/base/error.h"
#include "octconv/base/file.h"

namespace octconv {
namespace {

// OpenCV counts rows and bytes of a row in int.
constexpr std::int64_t kMaxExtent = 1 << 20;

/// Keeps OpenCV's logger quiet for the time of a call: what went wrong is in the exception.
class QuietLog {
 public:
  QuietLog() : level_(cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT)) {}
  QuietLog(const QuietLog&) = delete;
  QuietLog& operator=(const QuietLog&) = delete;
  ~QuietLog() { cv::utils::logging::setLogLevel(level_); }

 private:
  cv::utils::logging::LogLevel level_;
};

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

// Checks the image against its own pixels and looks at it through OpenCV's eyes, without a copy.
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

}  // namespace

Image read_image(const std::filesystem::path& path, std::int64_t channels) {
  check_channels("read_image", channels);
  return decode_image(read_file(path, std::numeric_limits<int>::max()), path.string(), channels);
}

Image decode_image(std::string_view bytes, std::string_view name, std::int64_t channels) {
  check_channels("decode_image", channels);
  const auto fail = [&](const std::string& why) {
    throw FormatError("cannot decode '" + std::string(name) + "': " + why);
  };
  if (bytes.empty()) fail("it is empty");
  if (bytes.size() > std::numeric_limits<int>::max()) fail("it is larger than 2 GiB");
  if (const std::string why = image::container_obstacle(bytes); !why.empty()) fail(why);
  cv::Mat decoded;
  try {
    const QuietLog quiet;
    const cv::Mat row(1, static_cast<int>(bytes.size()), CV_8UC1, const_cast<char*>(bytes.data()));
    decoded = cv::imdecode(row, channels == 1 ? cv::IMREAD_GRAYSCALE : cv::IMREAD_COLOR);
    if (channels == 3 && !decoded.empty()) cv::cvtColor(decoded, decoded, cv::COLOR_BGR2RGB);
  } catch (const cv::Exception& error) {
    fail(error.err);
  }
  if (decoded.empty()) fail("it is not an image, or a broken one");
  return from_matrix(decoded);
}

std::string encode_png(const Image& image) {
  cv::Mat pixels = matrix("encode_png", image);
  if (image.channels == 3) {
    cv::Mat swapped;
    cv::cvtColor(pixels, swapped, cv::COLOR_RGB2BGR);
    pixels = swapped;
  }
  std::vector<std::uint8_t> png;
  if (!cv::imencode(".png", pixels, png)) {
    throw InvalidArgument("encode_png: OpenCV cannot encode an image of " +
                          std::to_string(image.height) + " x " + std::to_string(image.width));
  }
  return {png.begin(), png.end()};
}

Image resize(const Image& image, std::int64_t height, std::int64_t width) {
  check_extents("resize", height, width);
  cv::Mat pixels = matrix("resize", image);
  // OpenCV averages areas only if neither axis grows, so the axes that shrink go first.
  const cv::Size shrunk(static_cast<int>(std::min(width, image.width)),
                        static_cast<int>(std::min(height, image.height)));
  const cv::Size full(static_cast<int>(width), static_cast<int>(height));
  for (const auto& [size, method] :
       {std::pair{shrunk, cv::INTER_AREA}, std::pair{full, cv::INTER_LINEAR}}) {
    if (size == pixels.size()) continue;
    cv::Mat resized;
    cv::resize(pixels, resized, size, 0, 0, method);
    pixels = resized;
  }
  return from_matrix(pixels);
}

}  // namespace octconv
