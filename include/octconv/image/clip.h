// SPDX-License-Identifier: Apache-2.0
// Clips: frames of a video, brought to one size.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "octconv/base/api.h"
#include "octconv/base/random.h"
#include "octconv/image/crop.h"

namespace octconv {

/// Frames one after the other, each as an Image has its pixels.
struct Clip {
  std::int64_t frames = 0;           ///< images
  std::int64_t height = 0;           ///< rows of each
  std::int64_t width = 0;            ///< pixels of a row
  std::int64_t channels = 0;         ///< 1 or 3
  std::vector<std::uint8_t> pixels;  ///< frames * height * width * channels
};

/// How many frames of a video a clip has, and how far apart: it stands for frames * stride frames
/// of the video, of which the first of every `stride` is taken.
struct ClipTiming {
  std::int64_t frames = 8;  ///< in [1, 2^10]
  std::int64_t stride = 8;  ///< in [1, 2^10]
};

/// @throws InvalidArgument naming the one that is out of its range
OCTCONV_API void check(const ClipTiming& timing);

/// First frames of `clips` clips that are spread evenly over a video of `count` frames:
/// floor(i * room / (clips - 1)) with room = max(count - frames * stride, 0), so that the first
/// begins with the video and the last ends with it; of one clip floor(room / 2), the middle.
/// @throws InvalidArgument for count or clips below 1
[[nodiscard]] OCTCONV_API std::vector<std::int64_t> clip_starts(std::int64_t count,
                                                                const ClipTiming& timing,
                                                                std::int64_t clips);

/// The first frame of a random clip: uniform in [0, room] (`clip_starts`).
/// @throws InvalidArgument for a count below 1
[[nodiscard]] OCTCONV_API std::int64_t random_clip_start(std::int64_t count,
                                                         const ClipTiming& timing, Random& random);

/// Frames of the clip that begins at `start`: (start + i * stride) mod count. A video that is
/// shorter than a clip is read again from its beginning.
///
/// Source: facebookresearch/video-nonlocal-net, caffe2_customized_ops/video/customized_video_io.cc
/// ("periodic sampling").
/// @throws InvalidArgument for a count below 1 or a start outside [0, count)
[[nodiscard]] OCTCONV_API std::vector<std::int64_t> clip_frames(std::int64_t count,
                                                                std::int64_t start,
                                                                const ClipTiming& timing);

/// What is taken of a video: every part of every clip.
struct ClipChoice {
  /// First frames of the clips, of a video of `count` frames. Asked again if the video turns out to
  /// have fewer frames than its file announces.
  std::function<std::vector<std::int64_t>(std::int64_t count)> starts;
  /// Parts of a frame; the same of all frames of all clips.
  std::function<std::vector<Rectangle>(std::int64_t height, std::int64_t width)> crops;
};

/// Clips of a video file in any format that OpenCV reads with FFmpeg, or Motion JPEG in AVI
/// without: those of the first start, a clip for each crop, then those of the next.
///
/// Frames are decoded one after the other up to the last that is wanted, never sought: only so are
/// they exactly the ones that are wanted. They are upright as the file says, and cut and resized as
/// `crop` does.
/// @throws InvalidArgument for channels other than 1 and 3, or extents or a timing out of their
///         range; FormatError naming the file if it cannot be read, is no video, or ends before
///         nine tenths of what it announces
[[nodiscard]] OCTCONV_API std::vector<Clip> read_clips(const std::filesystem::path& path,
                                                       std::int64_t channels,
                                                       const ClipTiming& timing,
                                                       const ClipChoice& choice,
                                                       std::int64_t height, std::int64_t width);

}  // namespace octconv
