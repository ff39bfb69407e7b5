// SPDX-License-Identifier: Apache-2.0
#include "image/container.h"

#include <cstdint>

#include <zlib.h>

namespace octconv::image {
namespace {

using std::string_view_literals::operator""sv;

constexpr std::string_view kPngSignature = "\x89PNG\r\n\x1a\n"sv;
constexpr std::string_view kJpegSignature = "\xff\xd8\xff"sv;
constexpr std::string_view kBmpSignature = "BM"sv;
constexpr const char* kTruncated = "it is truncated";

std::uint32_t byte_at(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint8_t>(bytes[at]);
}

std::uint32_t big_endian_32(std::string_view bytes, std::size_t at) {
  return byte_at(bytes, at) << 24 | byte_at(bytes, at + 1) << 16 | byte_at(bytes, at + 2) << 8 |
         byte_at(bytes, at + 3);
}

// Source: PNG specification, section 5 (https://www.w3.org/TR/png): length, type, data, CRC of type
// and data.
std::string png_obstacle(std::string_view bytes) {
  constexpr std::size_t kAround = 12;
  std::size_t at = kPngSignature.size();
  for (;;) {
    if (bytes.size() - at < kAround) return kTruncated;
    const std::size_t length = big_endian_32(bytes, at);
    if (bytes.size() - at - kAround < length) return kTruncated;
    const std::string_view type = bytes.substr(at + 4, 4);
    const auto* data = reinterpret_cast<const Bytef*>(type.data());
    if (crc32_z(crc32_z(0, nullptr, 0), data, length + 4) !=
        big_endian_32(bytes, at + 8 + length)) {
      return "the checksum of a part is wrong";
    }
    if (type == "IEND") return "";
    at += kAround + length;
  }
}

bool has_length(std::uint32_t marker) {
  const bool restart = marker >= 0xd0 && marker <= 0xd7;
  return !restart && marker != 0x01 && marker != 0xd8;
}

// Source: ITU-T T.81, annex B: segments carry their length; entropy-coded data escapes 0xff as 0xff
// 0x00.
std::string jpeg_obstacle(std::string_view bytes) {
  constexpr std::uint32_t kEndOfImage = 0xd9;
  std::size_t at = 2;
  for (;;) {
    // Anything that is not a marker is entropy-coded data, fill, or rubbish that decoders skip.
    at = bytes.find('\xff', at);
    if (at == std::string_view::npos || at + 1 >= bytes.size()) return kTruncated;
    const std::uint32_t marker = byte_at(bytes, at + 1);
    if (marker == kEndOfImage) return "";
    if (marker == 0xff) {
      ++at;
    } else if (marker == 0x00 || !has_length(marker)) {
      at += 2;
    } else {
      if (at + 3 >= bytes.size()) return kTruncated;
      at += 2 + (byte_at(bytes, at + 2) << 8 | byte_at(bytes, at + 3));
    }
  }
}

std::string bmp_obstacle(std::string_view bytes) {
  if (bytes.size() < 6) return kTruncated;
  const std::uint32_t size = byte_at(bytes, 2) | byte_at(bytes, 3) << 8 | byte_at(bytes, 4) << 16 |
                             byte_at(bytes, 5) << 24;
  return size > bytes.size() ? kTruncated : "";
}

}  // namespace

std::string container_obstacle(std::string_view bytes) {
  if (bytes.starts_with(kPngSignature)) return png_obstacle(bytes);
  if (bytes.starts_with(kJpegSignature)) return jpeg_obstacle(bytes);
  if (bytes.starts_with(kBmpSignature)) return bmp_obstacle(bytes);
  return "";
}

}  // namespace octconv::image
