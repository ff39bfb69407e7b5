// SPDX-License-Identifier: Apache-2.0
#include "image/video.h"

#include <cstdlib>
#include <mutex>

#include <opencv2/videoio/registry.hpp>

#include "image/quiet_log.h"
#include "octconv/base/error.h"

namespace octconv::image {

void quiet_ffmpeg() {
  static std::once_flag once;
  constexpr const char* kQuiet = "-8";  // AV_LOG_QUIET
  std::call_once(once, [] { ::setenv("OPENCV_FFMPEG_LOGLEVEL", kQuiet, 0); });
}

Video::Video(const std::filesystem::path& path) : name_(path.string()) {
  quiet_ffmpeg();
  const QuietLog quiet;
  // FFmpeg takes what stands before a colon for a protocol, but for a path from the root.
  const std::string absolute = std::filesystem::absolute(path).string();
  try {
    // Others that OpenCV would try (GStreamer, cameras, numbered pictures) take long to fail, and
    // its own reader of AVI writes to the standard error stream.
    const bool ffmpeg = cv::videoio_registry::hasBackend(cv::CAP_FFMPEG);
    capture_.open(absolute, ffmpeg ? cv::CAP_FFMPEG : cv::CAP_OPENCV_MJPEG);
  } catch (const cv::Exception& error) {
    fail(error.err);
  }
  if (!capture_.isOpened()) fail("it is missing, not a video, or a broken one");
  constexpr double kMost = 1e9;  // of what is no number of frames
  const double announced = capture_.get(cv::CAP_PROP_FRAME_COUNT);
  if (announced >= 1 && announced < kMost) announced_ = static_cast<std::int64_t>(announced);
}

bool Video::next() {
  const QuietLog quiet;
  if (!capture_.grab()) return false;
  ++passed_;
  return true;
}

cv::Mat Video::frame() {
  cv::Mat frame;
  try {
    const QuietLog quiet;
    if (!capture_.retrieve(frame) || frame.empty())
      fail("frame " + std::to_string(passed_) + " cannot be decoded");
  } catch (const cv::Exception& error) {
    fail(error.err);
  }
  if (frame.type() != CV_8UC3 && frame.type() != CV_8UC1)
    fail("its pixels are not of 8 bits and 1 or 3 channels");
  return frame;
}

bool Video::is_torn() {
  constexpr double kWhole = 0.9;
  if (static_cast<double>(passed_) >= kWhole * static_cast<double>(announced_)) return false;
  const double rate = capture_.get(cv::CAP_PROP_FPS);
  const double seconds = capture_.get(cv::CAP_PROP_POS_MSEC) / 1e3;
  return !(rate > 0 && seconds >= kWhole * static_cast<double>(announced_) / rate);
}

void Video::fail(const std::string& why) const {
  throw FormatError("cannot read video '" + name_ + "': " + why);
}

}  // namespace octconv::image
