// SPDX-License-Identifier: Apache-2.0
// Between our images and OpenCV's matrices.
#pragma once

#include <cstdint>
#include <string_view>

#include <opencv2/core.hpp>

#include "image/resample.h"
#include "octconv/image/crop.h"
#include "octconv/image/image.h"

namespace octconv::image {

// Throw InvalidArgument naming `who`.
void check_channels(const char* who, std::int64_t channels);
void check_extents(const char* who, std::int64_t height, std::int64_t width);

// Checks the image against its own pixels and looks at it through OpenCV's eyes, without a copy.
cv::Mat matrix(const char* who, const Image& image);

Image from_matrix(const cv::Mat& matrix);

// Decodes to grey or to blue, green, red (OpenCV's order), upright, at 1 / reduction of its size
// (1, 2, 4 or 8; other than 1 for JPEG only). Throws FormatError naming `name`.
cv::Mat decode(std::string_view bytes, std::string_view name, std::int64_t channels,
               int reduction = 1);

// The pixels of a part of a picture whose extents are height x width, in one that shows it at any
// scale; its edges are rounded to whole pixels, of which at least one is left. Throws
// InvalidArgument for a part that is not inside of the picture.
cv::Rect part_in(const cv::Size& pixels, const Rectangle& part, std::int64_t height,
                 std::int64_t width);
// The same of a matrix.
cv::Mat part_of(const cv::Mat& pixels, const Rectangle& part, std::int64_t height,
                std::int64_t width);

// The levels of a matrix, which must outlive them.
Levels levels_of(const cv::Mat& pixels);

// `resample` to a new matrix.
cv::Mat resized(const cv::Mat& pixels, std::int64_t height, std::int64_t width);

}  // namespace octconv::image
