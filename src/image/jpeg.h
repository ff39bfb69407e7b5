// SPDX-License-Identifier: Apache-2.0
// What a JPEG file says of itself before it is decoded.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace octconv::image {

struct JpegExtents {
  std::int64_t height = 0;
  std::int64_t width = 0;
  int orientation = 1;  // how it is stored, as EXIF counts (1 to 8)
};

// The extents of a JPEG picture after it is turned upright as its EXIF data says; nothing if the
// bytes are not those of a JPEG file, or its header says no extents. As in OpenCV, EXIF data is
// looked for in the first segment that may hold some (APP1), and in no other.
std::optional<JpegExtents> jpeg_extents(std::string_view bytes);

// Whether a picture of that orientation is stored with rows and columns exchanged.
constexpr bool exchanges_axes(int orientation) {
  return orientation >= 5;
}

}  // namespace octconv::image
