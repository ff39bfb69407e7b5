// SPDX-License-Identifier: Apache-2.0
#include "image/jpeg.h"

#include <utility>

namespace octconv::image {
namespace {

using std::string_view_literals::operator""sv;

std::uint32_t byte_at(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint8_t>(bytes[at]);
}

// A number of some bytes; 0 if they are not all there.
std::uint32_t number(std::string_view bytes, std::size_t at, std::size_t size, bool big_endian) {
  if (at > bytes.size() || bytes.size() - at < size) return 0;
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < size; ++i) {
    value = value << 8 | byte_at(bytes, big_endian ? at + i : at + size - 1 - i);
  }
  return value;
}

// Source: Exif 2.3 (JEITA CP-3451C), section 4.6: a TIFF header, then a directory of entries of 12
// bytes, of which entry 0x0112 is the orientation.
int orientation_of(std::string_view segment) {
  constexpr std::string_view kExif = "Exif\0\0"sv;
  constexpr std::uint32_t kOrientation = 0x0112;
  if (!segment.starts_with(kExif)) return 1;
  const std::string_view tiff = segment.substr(kExif.size());
  const bool big = tiff.starts_with("MM"sv);
  if (!big && !tiff.starts_with("II"sv)) return 1;
  const std::size_t directory = number(tiff, 4, 4, big);
  const std::size_t entries = number(tiff, directory, 2, big);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + 12 * i;
    if (number(tiff, entry, 2, big) != kOrientation) continue;
    const std::uint32_t orientation = number(tiff, entry + 8, 2, big);
    return orientation >= 1 && orientation <= 8 ? static_cast<int>(orientation) : 1;
  }
  return 1;
}

// Start of frame: 0xc0 to 0xcf but for tables (c4, cc) and the extension (c8).
bool is_frame(std::uint32_t marker) {
  return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

}  // namespace

// Source: ITU-T T.81, annex B.
std::optional<JpegExtents> jpeg_extents(std::string_view bytes) {
  if (!bytes.starts_with("\xff\xd8\xff"sv)) return std::nullopt;
  std::optional<int> orientation;
  std::size_t at = 2;
  while (at + 4 <= bytes.size()) {
    if (byte_at(bytes, at) != 0xff) return std::nullopt;
    const std::uint32_t marker = byte_at(bytes, at + 1);
    if (marker == 0xff) {  // fill
      ++at;
      continue;
    }
    const std::size_t length = number(bytes, at + 2, 2, true);
    if (length < 2 || marker == 0xda) return std::nullopt;
    const std::string_view segment = bytes.substr(at + 4, length - 2);
    if (marker == 0xe1 && !orientation) orientation = orientation_of(segment);
    if (is_frame(marker)) {
      JpegExtents extents{.height = number(segment, 1, 2, true),
                          .width = number(segment, 3, 2, true),
                          .orientation = orientation.value_or(1)};
      if (extents.height == 0 || extents.width == 0) return std::nullopt;
      if (exchanges_axes(extents.orientation)) std::swap(extents.height, extents.width);
      return extents;
    }
    at += 2 + length;
  }
  return std::nullopt;
}

}  // namespace octconv::image
