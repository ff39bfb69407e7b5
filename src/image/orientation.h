// SPDX-License-Identifier: Apache-2.0
// Between a picture as it is stored and as it is seen: the eight orientations of EXIF.
#pragma once

#include <opencv2/core.hpp>

namespace octconv::image {

// Where a part of the upright picture, which has that size, is stored.
cv::Rect stored_rect(const cv::Rect& upright, const cv::Size& size, int orientation);

// Pixels as they are seen, of those that are stored; the same matrix if nothing is to be done.
cv::Mat turned_upright(const cv::Mat& stored, int orientation);

}  // namespace octconv::image
