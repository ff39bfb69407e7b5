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
};

// The extents of a JPEG picture after it is turned upright as its EXIF data says; nothing if the
// bytes are not those of a JPEG file, or its header says no extents.
std::optional<JpegExtents> jpeg_extents(std::string_view bytes);

}  // namespace octconv::image
