// SPDX-License-Identifier: Apache-2.0
// Labelled images or clips, in memory or as files that are decoded when they are used.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "octconv/base/api.h"
#include "octconv/image/clip.h"
#include "octconv/image/image.h"

namespace octconv {

/// Images of one size with a class each: pixels, or files of any size that are brought to it. Or
/// clips, which are always files.
struct LabelledImages {
  std::int64_t height = 0;            ///< of each image, as a network takes it
  std::int64_t width = 0;             ///< of each image, as a network takes it
  std::int64_t channels = 0;          ///< 1 or 3
  std::vector<std::uint8_t> pixels;   ///< count * height * width * channels, channels interleaved;
                                      ///< empty if the images are files
  std::vector<std::int32_t> labels;   ///< count, each in [0, classes)
  std::filesystem::path folder = {};  ///< of the files
  std::vector<std::string> files = {};  ///< count names below the folder, or none
  double crop_ratio = 0.875;  ///< in (0, 1]; the share of a file's shorter side that is tested on
  std::int64_t frames = 0;    ///< of each clip; 0: they are images
  std::int64_t frame_stride = 0;  ///< frames of a video from one of a clip to the next; 0: images

  /// Images, or clips.
  [[nodiscard]] std::int64_t count() const noexcept {
    return static_cast<std::int64_t>(labels.size());
  }
  /// Whether the images are files.
  [[nodiscard]] bool are_files() const noexcept { return !files.empty(); }
  /// Whether the files are videos, of which clips are taken.
  [[nodiscard]] bool are_clips() const noexcept { return frames > 0; }
  /// What a network takes: height and width, of clips frames before them.
  [[nodiscard]] std::vector<std::int64_t> extents() const {
    if (are_clips()) return {frames, height, width};
    return {height, width};
  }
  /// Which frames are a clip. Requires are_clips().
  [[nodiscard]] ClipTiming timing() const noexcept {
    return {.frames = frames, .stride = frame_stride};
  }
  /// Where file `index` is. Requires are_files() and 0 <= index < count().
  [[nodiscard]] std::filesystem::path path(std::int64_t index) const {
    return folder / files[static_cast<std::size_t>(index)];
  }
};

/// Image `index`, height x width x channels; of a file the middle, as networks are tested on it
/// (`centre_crop`). Requires 0 <= index < count().
/// @throws InvalidArgument for clips; FileError or FormatError naming a file that cannot be read or
///         decoded
[[nodiscard]] OCTCONV_API Image image_at(const LabelledImages& images, std::int64_t index);

/// Clip `index`: the middle of its video in time, and of each frame the middle as of an image.
/// Requires 0 <= index < count().
/// @throws InvalidArgument for images; FormatError naming a file that cannot be read or decoded
[[nodiscard]] OCTCONV_API Clip clip_at(const LabelledImages& clips, std::int64_t index);

/// Parts of a video that together stand for it.
struct Views {
  std::int64_t clips = 1;    ///< spread over its time (`clip_starts`); >= 1
  bool three_crops = false;  ///< of each the beginning, the middle and the end of its longer side
                             ///< (`side_crops`); else the middle, as of an image
};

/// These views of clip `index`: the crops of the first clip, then those of the next.
/// Requires 0 <= index < count().
/// @throws what clip_at throws, and InvalidArgument for less than 1 clip
[[nodiscard]] OCTCONV_API std::vector<Clip> views_at(const LabelledImages& clips,
                                                     std::int64_t index, const Views& views);

/// A data set: what to train on and what to test on.
struct Dataset {
  std::string name;                  ///< as reports call it
  LabelledImages train;              ///< to learn from
  LabelledImages test;               ///< to measure with; of the same extents
  std::vector<std::string> classes;  ///< names by label
  /// Statistics of the training images' channels, of pixels scaled to [0, 1].
  /// @{
  std::vector<float> mean;
  std::vector<float> deviation;
  /// @}
};

/// How pictures and videos of any size become images and clips of one size.
struct OpenOptions {
  std::int64_t size = 0;  ///< height and width of images from files; 0: 224. In memory images keep
                          ///< their own, and another is refused
  /// Of clips, refused for images; 0: as `ClipTiming` has it.
  /// @{
  std::int64_t frames = 0;
  std::int64_t frame_stride = 0;
  /// @}
};

/// Opens a data set by name or folder.
///
/// A name ("fashion-mnist", "mnist") is looked for as a folder in the one that the environment
/// variable OCTCONV_DATA names, by default /usr/share/datasets, where Debian's package
/// dataset-fashion-mnist puts it. A folder holds one of:
/// - the four idx files of the MNIST family (train-images-idx3-ubyte, train-labels-idx1-ubyte and
///   the same with t10k, plain or .gz); unless it is called like a known data set, its classes are
///   the numbers up to the largest training label;
/// - the binary files of CIFAR-10 (data_batch_1.bin to data_batch_5.bin, test_batch.bin) or
///   CIFAR-100 (train.bin, test.bin; the fine labels), with their files of class names or without;
/// - pictures by class (train/CLASS/..., and val/CLASS/... or test/CLASS/...): JPEG, PNG, WebP,
///   BMP, TIFF and PNM files of any size, also in folders below a class's. Classes are numbered in
///   the order of their names (by bytes); they are read as three channels. Files are listed, not
///   opened. The mean and the deviation are those of ImageNet as the article's authors use them;
/// - videos by class, in the same way: files called .avi, .m4v, .mkv, .mov, .mp4, .mpeg, .mpg or
///   .webm, in what formats the installed FFmpeg reads.
/// @throws InvalidArgument for a name that is neither, suggesting the nearest, for a size
///         outside [1, 2^14] or other than that of images in memory, and for frames or a stride
///         out of range or of images; FileError if a file is missing (saying which package or
///         file), a class has no files, or there are both pictures and videos (naming one of
///         each); FormatError for a truncated or inconsistent file
[[nodiscard]] OCTCONV_API Dataset open_dataset(std::string_view name_or_folder,
                                               const OpenOptions& options = {});

}  // namespace octconv
