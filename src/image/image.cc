// SPDX-License-Identifier: Apache-2.0
#include "octconv/image/image.h"

#include <limits>

#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "image/matrix.h"
#include "octconv/base/error.h"
#include "octconv/base/file.h"

namespace octconv {

Image read_image(const std::filesystem::path& path, std::int64_t channels) {
  image::check_channels("read_image", channels);
  return decode_image(read_file(path, std::numeric_limits<int>::max()), path.string(), channels);
}

Image decode_image(std::string_view bytes, std::string_view name, std::int64_t channels) {
  image::check_channels("decode_image", channels);
  cv::Mat decoded = image::decode(bytes, name, channels);
  if (channels == 3) cv::cvtColor(decoded, decoded, cv::COLOR_BGR2RGB);
  return image::from_matrix(decoded);
}

std::string encode_png(const Image& image) {
  cv::Mat pixels = image::matrix("encode_png", image);
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
  image::check_extents("resize", height, width);
  return image::from_matrix(image::resized(image::matrix("resize", image), height, width));
}

}  // namespace octconv
