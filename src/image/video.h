// SPDX-License-Identifier: Apache-2.0
// Video files, frame by frame.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include <opencv2/core.hpp>
#include <opencv2/videoio.hpp>

namespace octconv::image {

// Keeps FFmpeg from writing to the standard error stream, unless OPENCV_FFMPEG_LOGLEVEL says how
// much it shall say. Sets that variable, which OpenCV reads when it opens its first video: best
// called before there are threads.
void quiet_ffmpeg();

// A video file from its first frame on.
class Video {
 public:
  // Throws FormatError naming the file if it cannot be opened.
  explicit Video(const std::filesystem::path& path);

  // Frames as the file announces them, exactly or nearly; 0 if it does not.
  [[nodiscard]] std::int64_t announced() const noexcept { return announced_; }

  // Goes to the next frame; false at the end, or where no further frame can be decoded.
  bool next();
  // Frames so far.
  [[nodiscard]] std::int64_t passed() const noexcept { return passed_; }
  // The frame that `next` came to: blue, green, red, or grey. Throws FormatError.
  [[nodiscard]] cv::Mat frame();

  // Whether a file that ended after passed() frames lacks a tenth or more of what it announces,
  // both in frames and in time: what it says of its frames may be an estimate from either.
  [[nodiscard]] bool is_torn();

  [[noreturn]] void fail(const std::string& why) const;

 private:
  std::string name_;
  cv::VideoCapture capture_;
  std::int64_t announced_ = 0;
  std::int64_t passed_ = 0;
};

}  // namespace octconv::image
