// SPDX-License-Identifier: Apache-2.0
#include "octconv/image/clip.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <string>

#include <opencv2/imgproc.hpp>

#include "image/matrix.h"
#include "image/video.h"
#include "octconv/base/error.h"

namespace octconv {
namespace {

void check_count(const char* who, std::int64_t count) {
  if (count < 1) {
    throw InvalidArgument(std::string(who) + ": a video has at least 1 frame, got " +
                          std::to_string(count));
  }
}

// How many frames a clip's beginning can move.
std::int64_t room(std::int64_t count, const ClipTiming& timing) {
  return std::max<std::int64_t>(count - timing.frames * timing.stride, 0);
}

// Red, green, blue or grey from blue, green, red or grey.
cv::Mat with_channels(const cv::Mat& pixels, std::int64_t channels) {
  cv::Mat result = pixels;
  if (channels == 3) {
    cv::cvtColor(pixels, result, pixels.channels() == 3 ? cv::COLOR_BGR2RGB : cv::COLOR_GRAY2RGB);
  } else if (pixels.channels() == 3) {
    cv::cvtColor(pixels, result, cv::COLOR_BGR2GRAY);
  }
  return result;
}

// Where a frame of the video goes.
struct Place {
  std::size_t clip = 0;    // of those of one crop
  std::int64_t frame = 0;  // of the clip
};

// One pass over a video from its first frame.
class Reader {
 public:
  Reader(const std::filesystem::path& path, const ClipTiming& timing, const ClipChoice& choice,
         const Clip& made)
      : video_(path), timing_(timing), choice_(choice), made_(made) {}

  image::Video& video() noexcept { return video_; }

  // Of a video of so many frames; false if it has fewer.
  bool read(std::int64_t count) {
    std::map<std::int64_t, std::vector<Place>> places;
    std::size_t clip = 0;
    for (const std::int64_t start : choice_.starts(count)) {
      const std::vector<std::int64_t> frames = clip_frames(count, start, timing_);
      for (std::size_t i = 0; i < frames.size(); ++i)
        places[frames[i]].push_back({.clip = clip, .frame = static_cast<std::int64_t>(i)});
      ++clip;
    }
    for (const auto& [frame, wanted] : places) {
      while (video_.passed() <= frame) {
        if (!video_.next()) return false;
      }
      take(video_.frame(), wanted, clip);
    }
    return true;
  }

  std::vector<Clip> clips() { return std::move(clips_); }

 private:
  void take(const cv::Mat& pixels, const std::vector<Place>& wanted, std::size_t clips) {
    if (clips_.empty()) {
      crops_ = choice_.crops(pixels.rows, pixels.cols);
      extents_ = pixels.size();
      clips_.assign(clips * crops_.size(), made_);
      for (Clip& clip : clips_)
        clip.pixels.resize(static_cast<std::size_t>(made_.frames) * frame_bytes());
    }
    if (pixels.size() != extents_) {
      video_.fail("its frames are of " + std::to_string(extents_.height) + " x " +
                  std::to_string(extents_.width) + " pixels, and then of " +
                  std::to_string(pixels.rows) + " x " + std::to_string(pixels.cols));
    }
    for (std::size_t i = 0; i < crops_.size(); ++i) {
      const cv::Mat part = image::part_of(pixels, crops_[i], pixels.rows, pixels.cols);
      const cv::Mat made =
          with_channels(image::resized(part, made_.height, made_.width), made_.channels);
      const Image image = image::from_matrix(made);
      for (const Place& place : wanted) {
        std::uint8_t* const dst = clips_[place.clip * crops_.size() + i].pixels.data() +
                                  static_cast<std::size_t>(place.frame) * frame_bytes();
        std::memcpy(dst, image.pixels.data(), frame_bytes());
      }
    }
  }

  [[nodiscard]] std::size_t frame_bytes() const {
    return static_cast<std::size_t>(made_.height * made_.width * made_.channels);
  }

  image::Video video_;
  const ClipTiming& timing_;
  const ClipChoice& choice_;
  const Clip& made_;  // what all clips are like
  cv::Size extents_;
  std::vector<Rectangle> crops_;
  std::vector<Clip> clips_;
};

// Of a video that does not say: by passing all of them.
std::int64_t counted_frames(const std::filesystem::path& path) {
  image::Video video(path);
  while (video.next()) {
  }
  return video.passed();
}

}  // namespace

void check(const ClipTiming& timing) {
  constexpr std::int64_t kMost = 1 << 10;
  const auto in_range = [](const char* what, std::int64_t value) {
    if (value >= 1 && value <= kMost) return;
    throw InvalidArgument("the " + std::string(what) + " of a clip must be in [1, " +
                          std::to_string(kMost) + "], got " + std::to_string(value));
  };
  in_range("frames", timing.frames);
  in_range("frame stride", timing.stride);
}

std::vector<std::int64_t> clip_starts(std::int64_t count, const ClipTiming& timing,
                                      std::int64_t clips) {
  check(timing);
  check_count("clip_starts", count);
  if (clips < 1) {
    throw InvalidArgument("clip_starts: at least 1 clip is taken, got " + std::to_string(clips));
  }
  if (clips == 1) return {room(count, timing) / 2};
  std::vector<std::int64_t> starts;
  for (std::int64_t i = 0; i < clips; ++i) starts.push_back(i * room(count, timing) / (clips - 1));
  return starts;
}

std::int64_t random_clip_start(std::int64_t count, const ClipTiming& timing, Random& random) {
  check(timing);
  check_count("random_clip_start", count);
  const auto places = static_cast<std::uint64_t>(room(count, timing) + 1);
  return static_cast<std::int64_t>(random.below(places));
}

std::vector<std::int64_t> clip_frames(std::int64_t count, std::int64_t start,
                                      const ClipTiming& timing) {
  check(timing);
  check_count("clip_frames", count);
  if (start < 0 || start >= count) {
    throw InvalidArgument("clip_frames: a start must be in [0, " + std::to_string(count) +
                          "), got " + std::to_string(start));
  }
  std::vector<std::int64_t> frames;
  for (std::int64_t i = 0; i < timing.frames; ++i)
    frames.push_back((start + i * timing.stride) % count);
  return frames;
}

std::vector<Clip> read_clips(const std::filesystem::path& path, std::int64_t channels,
                             const ClipTiming& timing, const ClipChoice& choice,
                             std::int64_t height, std::int64_t width) {
  image::check_channels("read_clips", channels);
  image::check_extents("read_clips", height, width);
  check(timing);
  const Clip made{.frames = timing.frames, .height = height, .width = width, .channels = channels};
  const auto first = [&](std::int64_t count, Reader& reader) {
    if (count == 0) reader.video().fail("none of its frames can be decoded");
    return reader.read(count);
  };
  Reader reader(path, timing, choice, made);
  const std::int64_t announced = reader.video().announced();
  if (first(announced > 0 ? announced : counted_frames(path), reader)) return reader.clips();
  // What a file announces may be an estimate.
  const std::int64_t found = reader.video().passed();
  if (reader.video().is_torn()) {
    reader.video().fail("it ends after " + std::to_string(found) + " of " +
                        std::to_string(announced) + " frames");
  }
  Reader again(path, timing, choice, made);
  if (!first(found, again)) again.video().fail("it has not the same frames each time");
  return again.clips();
}

}  // namespace octconv
