// SPDX-License-Identifier: Apache-2.0
// Decoding only the part of a JPEG picture that is wanted.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include <opencv2/core.hpp>

namespace octconv::image {

// The part of a picture that is decoded at 1 / reduction of its size (1, 2, 4 or 8), as it is
// stored: not turned upright. To grey (1 channel) or to red, green, blue; every pixel is the same
// as if all were decoded. What is stored below of the part is not looked at.
//
// Nothing unless the picture is an ordinary one (grey or three colours, these at half the
// resolution at least, sequential, in one scan) and
// the library that decodes it finds no fault: then OpenCV says what is to be made of it.
std::optional<cv::Mat> decode_jpeg_part(std::string_view bytes, std::int64_t channels,
                                        int reduction, const cv::Rect& part);

}  // namespace octconv::image
