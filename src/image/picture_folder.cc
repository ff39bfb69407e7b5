// SPDX-License-Identifier: Apache-2.0
#include "image/picture_folder.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>
#include <system_error>

#include "image/video.h"
#include "octconv/base/error.h"

namespace octconv::image {
namespace {

namespace fs = std::filesystem;

bool is_hidden(const fs::path& path) {
  return path.filename().string().starts_with(".");
}

std::string ending_of(const fs::path& path) {
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return ending;
}

bool is_picture(const fs::path& path) {
  constexpr std::array<std::string_view, 10> kEndings{".bmp", ".jpeg", ".jpg", ".pgm",  ".png",
                                                      ".pnm", ".ppm",  ".tif", ".tiff", ".webp"};
  return std::find(kEndings.begin(), kEndings.end(), ending_of(path)) != kEndings.end();
}

bool is_video(const fs::path& path) {
  constexpr std::array<std::string_view, 8> kEndings{".avi", ".m4v",  ".mkv", ".mov",
                                                     ".mp4", ".mpeg", ".mpg", ".webm"};
  return std::find(kEndings.begin(), kEndings.end(), ending_of(path)) != kEndings.end();
}

[[noreturn]] void fail_to_read(const fs::path& folder, const std::error_code& error) {
  throw FileError("cannot read folder '" + folder.string() + "': " + error.message());
}

std::vector<std::string> folders_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::error_code ignored;
    if (at->is_directory(ignored) && !is_hidden(at->path()))
      names.push_back(at->path().filename().string());
  }
  if (error) fail_to_read(folder, error);
  std::sort(names.begin(), names.end());
  return names;
}

// Of a class, named from `folder` on, in the order of their names.
std::vector<std::string> files_in(const fs::path& folder, const std::string& name) {
  std::vector<std::string> files;
  std::error_code error;
  const auto links = fs::directory_options::follow_directory_symlink;
  fs::recursive_directory_iterator at(folder / name, links, error);
  for (const fs::recursive_directory_iterator end; !error && at != end; at.increment(error)) {
    std::error_code ignored;
    if (at->is_regular_file(ignored) && !is_hidden(at->path()) &&
        (is_picture(at->path()) || is_video(at->path())))
      files.push_back(at->path().lexically_relative(folder).string());
  }
  if (error) fail_to_read(folder / name, error);
  std::sort(files.begin(), files.end());
  return files;
}

LabelledImages list_part(const fs::path& folder, const std::vector<std::string>& classes,
                         std::int64_t size) {
  LabelledImages images{.height = size, .width = size, .channels = 3, .folder = folder};
  for (const std::string& name : folders_in(folder)) {
    const auto found = std::lower_bound(classes.begin(), classes.end(), name);
    if (found == classes.end() || *found != name) {
      throw FileError("data set folder '" + folder.string() + "' has a class '" + name +
                      "' that there are no training images of");
    }
    const auto label = static_cast<std::int32_t>(found - classes.begin());
    for (std::string& file : files_in(folder, name)) {
      images.files.push_back(std::move(file));
      images.labels.push_back(label);
    }
  }
  return images;
}

// The first file of that kind, or an empty path.
fs::path first_of(const Dataset& data, bool (*kind)(const fs::path&)) {
  for (const LabelledImages* part : {&data.train, &data.test}) {
    const auto found = std::find_if(part->files.begin(), part->files.end(), kind);
    if (found != part->files.end()) return part->folder / *found;
  }
  return {};
}

// Whether they are videos.
bool are_videos(const Dataset& data, const fs::path& folder) {
  const fs::path picture = first_of(data, is_picture);
  const fs::path video = first_of(data, is_video);
  if (!picture.empty() && !video.empty()) {
    throw FileError("data set folder '" + folder.string() + "' holds pictures and videos, '" +
                    picture.lexically_relative(folder).string() + "' and '" +
                    video.lexically_relative(folder).string() + "'");
  }
  return !video.empty();
}

fs::path test_folder(const fs::path& folder) {
  for (const char* name : {"val", "test"}) {
    std::error_code error;
    if (fs::is_directory(folder / name, error)) return folder / name;
  }
  throw FileError("data set folder '" + folder.string() +
                  "' has training images in 'train', but no folder 'val' or 'test'");
}

}  // namespace

bool is_picture_folder(const fs::path& folder) {
  std::error_code error;
  return fs::is_directory(folder / "train", error);
}

Dataset open_picture_folder(const fs::path& folder, std::string name, std::int64_t size) {
  const fs::path train = folder / "train";
  const fs::path test = test_folder(folder);
  Dataset data{.name = std::move(name), .classes = folders_in(train)};
  if (data.classes.empty()) {
    throw FileError("data set folder '" + train.string() +
                    "' has no folder, and wants one a class");
  }
  data.train = list_part(train, data.classes, size);
  data.test = list_part(test, data.classes, size);
  const bool videos = are_videos(data, folder);
  const std::string what = videos ? "videos" : "pictures";
  if (videos) {
    quiet_ffmpeg();
    for (LabelledImages* part : {&data.train, &data.test}) {
      part->frames = ClipTiming().frames;
      part->frame_stride = ClipTiming().stride;
    }
  }
  std::vector<bool> has_images(data.classes.size());
  for (const std::int32_t label : data.train.labels)
    has_images[static_cast<std::size_t>(label)] = true;
  const auto without = std::find(has_images.begin(), has_images.end(), false);
  if (without != has_images.end()) {
    throw FileError("data set folder '" + train.string() + "' has no " + what + " of class '" +
                    data.classes[static_cast<std::size_t>(without - has_images.begin())] + "'");
  }
  if (data.test.count() == 0)
    throw FileError("data set folder '" + test.string() + "' has no " + what);
  // As facebookresearch/OctConv normalises ImageNet, of pixels up to 255.
  constexpr std::array<float, 3> kMean{123.68F, 116.779F, 103.939F};
  constexpr std::array<float, 3> kDeviation{58.393F, 57.12F, 57.375F};
  for (std::size_t c = 0; c < 3; ++c) {
    data.mean.push_back(kMean[c] / 255.0F);
    data.deviation.push_back(kDeviation[c] / 255.0F);
  }
  return data;
}

}  // namespace octconv::image
