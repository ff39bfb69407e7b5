// SPDX-License-Identifier: Apache-2.0
#include "image/orientation.h"

#include <utility>

#include "image/jpeg.h"

namespace octconv::image {
namespace {

// Source: Exif 2.3 (JEITA CP-3451C), section 4.6.4: where the first row and column of what is
// stored are seen. An upright picture is the stored one, transposed if axes are exchanged, then
// turned over.
bool upside_down(int orientation) {
  return orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
}

bool left_to_right(int orientation) {
  return orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
}

}  // namespace

cv::Rect stored_rect(const cv::Rect& upright, const cv::Size& size, int orientation) {
  cv::Rect rect = upright;
  if (left_to_right(orientation)) rect.x = size.width - rect.x - rect.width;
  if (upside_down(orientation)) rect.y = size.height - rect.y - rect.height;
  if (exchanges_axes(orientation)) {
    std::swap(rect.x, rect.y);
    std::swap(rect.width, rect.height);
  }
  return rect;
}

cv::Mat turned_upright(const cv::Mat& stored, int orientation) {
  cv::Mat transposed;
  if (exchanges_axes(orientation)) cv::transpose(stored, transposed);
  const cv::Mat& pixels = transposed.empty() ? stored : transposed;
  const bool rows = upside_down(orientation);
  const bool columns = left_to_right(orientation);
  if (!rows && !columns) return pixels;
  constexpr int kRows = 0;
  constexpr int kColumns = 1;
  constexpr int kBoth = -1;
  cv::Mat turned;
  cv::flip(pixels, turned, rows && columns ? kBoth : rows ? kRows : kColumns);
  return turned;
}

}  // namespace octconv::image
