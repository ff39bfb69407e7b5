// SPDX-License-Identifier: Apache-2.0
// Parts of JPEG pictures against the same parts of pictures that OpenCV decodes in full.
#include "image/jpeg_part.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <opencv2/imgproc.hpp>

#include "image/matrix.h"
#include "support/jpeg_file.h"

namespace octconv::image {
namespace {

cv::Mat decoded(const std::string& bytes, std::int64_t channels, int reduction) {
  cv::Mat all = decode(bytes, "x", channels, reduction);
  if (channels == 3) cv::cvtColor(all, all, cv::COLOR_BGR2RGB);
  return all;
}

// Whether all bytes are the same.
bool equal(const cv::Mat& a, const cv::Mat& b) {
  if (a.size() != b.size() || a.type() != b.type()) return false;
  for (int y = 0; y < a.rows; ++y) {
    if (!std::equal(a.ptr(y), a.ptr(y) + a.cols * a.channels(), b.ptr(y))) return false;
  }
  return true;
}

int below(int bound, Random& random) {
  return static_cast<int>(random.below(static_cast<std::uint64_t>(bound)));
}

cv::Rect random_part(const cv::Size& size, Random& random) {
  const int x = below(size.width, random);
  const int y = below(size.height, random);
  return {x, y, 1 + below(size.width - x, random), 1 + below(size.height - y, random)};
}

// Many parts, and all that touch edges.
std::vector<cv::Rect> parts_of(const cv::Size& size, Random& random) {
  std::vector<cv::Rect> parts{{0, 0, size.width, size.height}};
  for (int i = 0; i < 20; ++i) {
    cv::Rect part = random_part(size, random);
    parts.push_back(part);
    parts.push_back({0, part.y, part.width, part.height});
    parts.push_back({part.x, 0, part.width, part.height});
    parts.push_back({size.width - part.width, part.y, part.width, part.height});
    parts.push_back({part.x, size.height - part.height, part.width, part.height});
  }
  return parts;
}

void expect_parts(const std::string& file, const std::string& what, Random& random) {
  for (const std::int64_t channels : {1, 3}) {
    for (const int reduction : {1, 2, 4, 8}) {
      const cv::Mat all = decoded(file, channels, reduction);
      for (const cv::Rect& part : parts_of(all.size(), random)) {
        const auto found = decode_jpeg_part(file, channels, reduction, part);
        ASSERT_TRUE(found) << what << " 1/" << reduction << " " << part;
        ASSERT_TRUE(equal(*found, all(part))) << what << " 1/" << reduction << " " << part;
      }
    }
  }
}

TEST(JpegPart, IsThatOfTheWholePictureBitForBit) {
  Random random(1);
  for (const auto& [height, width] : {std::pair{97, 131}, {64, 96}, {50, 17}}) {
    for (const auto& [across, down] : {std::pair{1, 1}, {2, 1}, {1, 2}, {2, 2}}) {
      const std::string what = std::to_string(height) + " x " + std::to_string(width) + ", " +
                               std::to_string(across) + " x " + std::to_string(down);
      const cv::Mat picture = noisy_picture(height, width, 3, random);
      expect_parts(jpeg_file(picture, {.across = across, .down = down}), what, random);
      expect_parts(jpeg_file(picture, {.across = across, .down = down, .restart_interval = 3}),
                   what + ", restarted", random);
    }
    expect_parts(jpeg_file(noisy_picture(height, width, 1, random), {.colours = JCS_GRAYSCALE}),
                 "grey", random);
  }
}

TEST(JpegPart, OfTinyPicturesIsThatOfTheWholeToo) {
  Random random(2);
  for (int height = 1; height <= 4; ++height) {
    for (int width = 1; width <= 18; ++width)
      expect_parts(jpeg_file(noisy_picture(height, width, 3, random)), "tiny", random);
  }
}

TEST(JpegPart, IsNothingOfPicturesThatAreNotOrdinary) {
  Random random(3);
  const cv::Mat picture = noisy_picture(40, 50, 3, random);
  const cv::Rect part(8, 9, 20, 21);
  EXPECT_TRUE(decode_jpeg_part(jpeg_file(picture), 3, 1, part));
  EXPECT_FALSE(decode_jpeg_part(jpeg_file(picture, {.progressive = true}), 3, 1, part));
  EXPECT_FALSE(decode_jpeg_part(jpeg_file(picture, {.arithmetic = true}), 3, 1, part));
  EXPECT_FALSE(decode_jpeg_part(jpeg_file(picture, {.across = 4, .down = 1}), 3, 1, part));
  EXPECT_FALSE(decode_jpeg_part(jpeg_file(picture, {.across = 4, .down = 2}), 3, 2, {0, 0, 9, 9}));
  const cv::Mat four = noisy_picture(40, 50, 4, random);
  EXPECT_FALSE(decode_jpeg_part(jpeg_file(four, {.colours = JCS_CMYK}), 3, 1, part));
  EXPECT_FALSE(decode_jpeg_part("", 3, 1, part));
  EXPECT_FALSE(decode_jpeg_part("\xff\xd8\xff no picture", 3, 1, part));
}

TEST(JpegPart, IsNothingBeyondThePicture) {
  Random random(4);
  const std::string file = jpeg_file(noisy_picture(40, 50, 3, random));
  EXPECT_TRUE(decode_jpeg_part(file, 3, 2, {0, 0, 25, 20}));
  EXPECT_FALSE(decode_jpeg_part(file, 3, 2, {1, 0, 25, 20}));
  EXPECT_FALSE(decode_jpeg_part(file, 3, 2, {0, 1, 25, 20}));
}

TEST(JpegPart, IsNothingWhereDataAreMissingOrDamagedAboveItsEnd) {
  Random random(5);
  const std::string file = jpeg_file(noisy_picture(64, 64, 3, random));
  const cv::Rect top(0, 0, 64, 16);
  const cv::Rect bottom(0, 48, 64, 16);
  const std::string most = file.substr(0, file.size() / 4 * 3);
  EXPECT_TRUE(decode_jpeg_part(most, 3, 1, top));
  EXPECT_FALSE(decode_jpeg_part(most, 3, 1, bottom));
  std::string damaged = file;
  damaged.replace(file.size() / 2, 2, "\xff\xd9");  // the end of the picture
  EXPECT_FALSE(decode_jpeg_part(damaged, 3, 1, bottom));
}

}  // namespace
}  // namespace octconv::image
