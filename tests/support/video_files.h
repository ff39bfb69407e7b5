// SPDX-License-Identifier: Apache-2.0
// Small videos whose frames say which frame they are, and whose pixels say which column.
#pragma once

#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include <opencv2/core.hpp>
#include <opencv2/videoio.hpp>

namespace octconv {

/// Frame `index` < 256: red is its upper hexadecimal digit, green its lower one, blue rises from
/// left to right. Lossy formats change levels by much less than half of a digit's step.
inline cv::Mat numbered_frame(int height, int width, int index) {
  cv::Mat frame(height, width, CV_8UC3);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      frame.at<cv::Vec3b>(y, x) = {static_cast<std::uint8_t>(16 + 224 * x / width),
                                   static_cast<std::uint8_t>(16 * (index % 16) + 8),
                                   static_cast<std::uint8_t>(16 * (index / 16) + 8)};
    }
  }
  return frame;
}

/// The index of a frame, from red and green levels of it.
inline std::int64_t frame_number(double red, double green) {
  return static_cast<std::int64_t>(red / 16) * 16 + static_cast<std::int64_t>(green / 16);
}

/// The column of a frame of that width, from 0 to 1, that blue levels are of.
inline double column_share(double blue) {
  return (blue - 16) / 224;
}

/// A video of `frames` numbered frames; .avi is Motion JPEG, others are MPEG-4.
inline void write_video(const std::filesystem::path& path, int frames, int height = 32,
                        int width = 48) {
  std::filesystem::create_directories(path.parent_path());
  const bool avi = path.extension() == ".avi";
  const int format = avi ? cv::VideoWriter::fourcc('M', 'J', 'P', 'G')
                         : cv::VideoWriter::fourcc('m', 'p', '4', 'v');
  constexpr double kFramesPerSecond = 25;
  cv::VideoWriter writer(path.string(), format, kFramesPerSecond, {width, height});
  if (!writer.isOpened()) throw std::runtime_error("cannot write " + path.string());
  for (int i = 0; i < frames; ++i) writer.write(numbered_frame(height, width, i));
}

}  // namespace octconv
