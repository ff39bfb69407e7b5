// SPDX-License-Identifier: Apache-2.0
// Pictures in memory, and to and from files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "octconv/base/api.h"

namespace octconv {

/// Rows of interleaved 8-bit pixels: grey (1 channel) or red, green, blue (3 channels).
struct Image {
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t channels = 0;
  std::vector<std::uint8_t> pixels;  ///< height * width * channels
};

/// Decodes any format that OpenCV reads (JPEG, PNG, WebP, BMP, ...), to 1 or 3 channels.
/// @throws FileError if the file cannot be read, FormatError if it is not an image, naming the path
[[nodiscard]] OCTCONV_API Image read_image(const std::filesystem::path& path,
                                           std::int64_t channels);

/// The bytes of a PNG file.
/// @throws InvalidArgument for an empty image or channels other than 1 and 3
[[nodiscard]] OCTCONV_API std::string encode_png(const Image& image);

/// Resized to height x width; averages areas when shrinking, interpolates bilinearly when growing.
/// @throws InvalidArgument for extents < 1
[[nodiscard]] OCTCONV_API Image resize(const Image& image, std::int64_t height, std::int64_t width);

}  // namespace octconv
