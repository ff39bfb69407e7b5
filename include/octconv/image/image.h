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
  std::int64_t height = 0;           ///< rows
  std::int64_t width = 0;            ///< pixels of a row
  std::int64_t channels = 0;         ///< 1 or 3
  std::vector<std::uint8_t> pixels;  ///< height * width * channels
};

/// Decodes any format that OpenCV reads (JPEG, PNG, WebP, BMP, ...), to 1 or 3 channels of 8 bits.
///
/// Turned upright as its EXIF data says; an alpha channel is dropped.
/// @throws InvalidArgument for channels other than 1 and 3; FileError if the file cannot be read;
/// FormatError
///         if it is not an image or a truncated one, naming the path
[[nodiscard]] OCTCONV_API Image read_image(const std::filesystem::path& path,
                                           std::int64_t channels);

/// The same from bytes in memory; `name` stands for the file in errors.
[[nodiscard]] OCTCONV_API Image decode_image(std::string_view bytes, std::string_view name,
                                             std::int64_t channels);

/// The bytes of a PNG file.
/// @throws InvalidArgument for an empty image, channels other than 1 and 3, or pixels that do not
/// fit the extents
[[nodiscard]] OCTCONV_API std::string encode_png(const Image& image);

/// Resized to height x width; averages areas when shrinking, interpolates bilinearly when growing.
/// @throws InvalidArgument for extents outside [1, 2^20] or an image that contradicts its extents
[[nodiscard]] OCTCONV_API Image resize(const Image& image, std::int64_t height, std::int64_t width);

}  // namespace octconv
