// SPDX-License-Identifier: Apache-2.0
// Folders of small pictures, as data sets are made of.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>

#include "octconv/base/random.h"

namespace octconv {

/// Smooth colours with some noise, of which a JPEG keeps most; `bright` to be told apart by.
inline cv::Mat random_picture(int height, int width, int bright, Random& random) {
  cv::Mat picture(height, width, CV_8UC3);
  const double slope = random.uniform();
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) {
        const double wave = 40 * (slope * y / height + x * (c + 1.0) / width / 3);
        picture.at<cv::Vec3b>(y, x)[c] =
            static_cast<std::uint8_t>(bright + wave + static_cast<double>(random.below(8)));
      }
    }
  }
  return picture;
}

inline void write_picture(const std::filesystem::path& path, const cv::Mat& picture) {
  std::filesystem::create_directories(path.parent_path());
  std::vector<std::uint8_t> bytes;
  cv::imencode(path.extension().string(), picture, bytes);
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

/// Writes train/ and val/ of two classes, "bright" and "dark": JPEG, PNG and WebP files of several
/// extents.
inline void write_picture_folder(const std::filesystem::path& folder, int train_images,
                                 int test_images) {
  Random random(7);
  for (const auto& [part, count] : {std::pair{"train", train_images}, {"val", test_images}}) {
    for (int i = 0; i < count; ++i) {
      const bool bright = i % 2 == 0;
      const char* endings[] = {".jpg", ".png", ".JPEG", ".webp"};
      const int height = 20 + static_cast<int>(random.below(60));
      const int width = 20 + static_cast<int>(random.below(60));
      write_picture(
          folder / part / (bright ? "bright" : "dark") / (std::to_string(i) + endings[i % 4]),
          random_picture(height, width, bright ? 150 : 20, random));
    }
  }
}

}  // namespace octconv
