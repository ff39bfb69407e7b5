// SPDX-License-Identifier: Apache-2.0
#include "workflow/samples.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>
#include <system_error>

#include "octconv/base/error.h"

namespace octconv::workflow {
namespace {

bool is_picture(const std::filesystem::path& path) {
  constexpr std::array<std::string_view, 10> kEndings{".bmp", ".jpeg", ".jpg", ".pgm",  ".png",
                                                      ".pnm", ".ppm",  ".tif", ".tiff", ".webp"};
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::find(kEndings.begin(), kEndings.end(), ending) != kEndings.end();
}

std::vector<std::filesystem::path> pictures_in(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> pictures;
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    std::error_code ignored;
    if (at->is_regular_file(ignored) && is_picture(at->path())) pictures.push_back(at->path());
  }
  if (error) throw FileError("cannot read folder '" + folder.string() + "': " + error.message());
  std::sort(pictures.begin(), pictures.end());
  return pictures;
}

const Model& checked(const Model& model, const std::string& name) {
  check_takes_pictures(model, name);
  return model;
}

}  // namespace

Samples::Samples(const Model& model, const std::string& name, const std::string& source,
                 std::int64_t most)
    : preprocessor_(checked(model, name)),
      channels_(input_channels(model)),
      extents_(model.preprocessing.extents) {
  if (most < 1)
    throw InvalidArgument("at least 1 image must be taken, got " + std::to_string(most));
  std::vector<std::filesystem::path> pictures;
  std::error_code error;
  if (std::filesystem::is_directory(source, error)) pictures = pictures_in(source);
  std::int64_t all = 0;
  if (!pictures.empty()) {
    all = static_cast<std::int64_t>(pictures.size());
    images_ = std::move(pictures);
  } else {
    try {
      images_ = open_dataset(source).train;
    } catch (const FileError& why) {
      throw FileError("'" + source + "' holds neither pictures nor a data set: " + why.what());
    }
    const auto& images = std::get<LabelledImages>(images_);
    if (images.are_clips()) {
      throw InvalidArgument("data set '" + source + "' holds videos, and '" + name +
                            "' takes pictures");
    }
    all = images.count();
    if (images.channels != channels_) {
      throw InvalidArgument("'" + name + "' takes images of " + std::to_string(channels_) +
                            " channels, those of data set '" + source + "' have " +
                            std::to_string(images.channels));
    }
  }
  const std::int64_t taken = std::min(all, most);
  for (std::int64_t i = 0; i < taken; ++i) chosen_.push_back(i * all / taken);
}

Tensor Samples::batch(std::int64_t first, std::int64_t count) const {
  Tensor batch = preprocessor_.make_batch(count);
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t index = chosen_[static_cast<std::size_t>(first + i)];
    if (const auto* images = std::get_if<LabelledImages>(&images_)) {
      preprocessor_.fill(image_at(*images, index), batch, i);
    } else {
      const auto& paths = std::get<std::vector<std::filesystem::path>>(images_);
      preprocessor_.fill(read_image(paths[static_cast<std::size_t>(index)], channels_), batch, i);
    }
  }
  return batch;
}

}  // namespace octconv::workflow
