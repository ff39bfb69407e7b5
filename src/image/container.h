// SPDX-License-Identifier: Apache-2.0
// Whether the file around a picture is whole, before a decoder sees it.
#pragma once

#include <string>
#include <string_view>

namespace octconv::image {

// Why these bytes cannot be a whole PNG, JPEG or BMP file, or "" if nothing speaks against it.
//
// The decoders behind OpenCV paint the missing part of a truncated JPEG grey and report success,
// and those of PNG and BMP write to the standard error stream by themselves. Formats other than
// these three are not looked at.
std::string container_obstacle(std::string_view bytes);

}  // namespace octconv::image
