// SPDX-License-Identifier: Apache-2.0
#include "octconv/image/crop.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include <opencv2/imgproc.hpp>

#include "image/container.h"
#include "image/jpeg.h"
#include "image/jpeg_part.h"
#include "image/matrix.h"
#include "image/orientation.h"
#include "image/resample.h"
#include "octconv/base/error.h"

namespace octconv {
namespace {

void require(bool good, const char* who, const std::string& what) {
  if (!good) throw InvalidArgument(std::string(who) + ": " + what);
}

void check(const RandomCropOptions& o) {
  require(o.min_area > 0 && o.min_area <= o.max_area && o.max_area <= 1, "random_crop",
          "areas must be in (0, 1] and ordered, got " + std::to_string(o.min_area) + " to " +
              std::to_string(o.max_area));
  require(o.min_aspect > 0 && o.min_aspect <= o.max_aspect && std::isfinite(o.max_aspect),
          "random_crop",
          "aspects must be positive and ordered, got " + std::to_string(o.min_aspect) + " to " +
              std::to_string(o.max_aspect));
}

Rectangle centred(double picture_height, double picture_width, double height, double width) {
  return {.top = (picture_height - height) / 2,
          .left = (picture_width - width) / 2,
          .height = height,
          .width = width};
}

// How much smaller a part may be decoded without being smaller than what is made of it.
int reduction(const Rectangle& part, std::int64_t height, std::int64_t width) {
  for (const int times : {8, 4, 2}) {
    if (part.height >= static_cast<double>(times * height) &&
        part.width >= static_cast<double>(times * width)) {
      return times;
    }
  }
  return 1;
}

// The pixels of a JPEG picture's part, upright; nothing if it must be decoded in full.
std::optional<cv::Mat> upright_jpeg_part(std::string_view bytes, std::int64_t channels,
                                         const image::JpegExtents& jpeg, const Rectangle& part,
                                         int times) {
  const auto reduced = [&](std::int64_t extent) {
    return static_cast<int>((extent + times - 1) / times);
  };
  const cv::Size size(reduced(jpeg.width), reduced(jpeg.height));
  const cv::Rect upright = image::part_in(size, part, jpeg.height, jpeg.width);
  const std::optional<cv::Mat> stored = image::decode_jpeg_part(
      bytes, channels, times, image::stored_rect(upright, size, jpeg.orientation));
  if (!stored) return std::nullopt;
  return image::turned_upright(*stored, jpeg.orientation);
}

// What is chosen of an encoded picture, to become height x width; red first.
cv::Mat decoded_part(std::string_view bytes, std::string_view name, std::int64_t channels,
                     const ChooseCrop& choose, std::int64_t height, std::int64_t width) {
  cv::Mat made;
  if (const auto jpeg = image::jpeg_extents(bytes)) {
    const Rectangle part = choose(jpeg->height, jpeg->width);
    const int times = reduction(part, height, width);
    if (image::container_obstacle(bytes).empty()) {
      if (auto quick = upright_jpeg_part(bytes, channels, *jpeg, part, times)) return *quick;
    }
    const cv::Mat pixels = image::decode(bytes, name, channels, times);
    made = image::part_of(pixels, part, jpeg->height, jpeg->width);
  } else {
    const cv::Mat pixels = image::decode(bytes, name, channels);
    const Rectangle part = choose(pixels.rows, pixels.cols);
    made = image::part_of(pixels, part, pixels.rows, pixels.cols);
  }
  if (channels == 3) {
    cv::Mat swapped;
    cv::cvtColor(made, swapped, cv::COLOR_BGR2RGB);
    return swapped;
  }
  return made;
}

}  // namespace

Rectangle random_crop(std::int64_t height, std::int64_t width, Random& random,
                      const RandomCropOptions& options) {
  image::check_extents("random_crop", height, width);
  check(options);
  constexpr int kDraws = 10;
  const auto h = static_cast<double>(height);
  const auto w = static_cast<double>(width);
  const double low = std::log(options.min_aspect);
  const double high = std::log(options.max_aspect);
  for (int draw = 0; draw < kDraws; ++draw) {
    const double share =
        options.min_area + (options.max_area - options.min_area) * random.uniform();
    const double aspect = std::exp(low + (high - low) * random.uniform());
    const double crop_height = std::sqrt(share * h * w / aspect);
    const double crop_width = std::sqrt(share * h * w * aspect);
    if (crop_height > h || crop_width > w) continue;
    const double top = (h - crop_height) * random.uniform();
    const double left = (w - crop_width) * random.uniform();
    return {.top = top, .left = left, .height = crop_height, .width = crop_width};
  }
  return centred(h, w, std::min(h, w / options.min_aspect), std::min(w, h * options.max_aspect));
}

Rectangle centre_crop(std::int64_t height, std::int64_t width, std::int64_t to_height,
                      std::int64_t to_width, double ratio) {
  image::check_extents("centre_crop", height, width);
  image::check_extents("centre_crop", to_height, to_width);
  require(ratio > 0 && ratio <= 1, "centre_crop",
          "the ratio must be in (0, 1], got " + std::to_string(ratio));
  const auto h = static_cast<double>(height);
  const auto w = static_cast<double>(width);
  const auto to_h = static_cast<double>(to_height);
  const auto to_w = static_cast<double>(to_width);
  const double pixels_of_one = ratio * std::min(h / to_h, w / to_w);
  return centred(h, w, to_h * pixels_of_one, to_w * pixels_of_one);
}

std::array<Rectangle, 3> side_crops(std::int64_t height, std::int64_t width, std::int64_t to_height,
                                    std::int64_t to_width) {
  const Rectangle middle = centre_crop(height, width, to_height, to_width, 1);
  Rectangle first = middle;
  first.top = 0;
  first.left = 0;
  Rectangle last = middle;
  last.top *= 2;
  last.left *= 2;
  return {first, middle, last};
}

Image crop(const Image& image, const Rectangle& part, std::int64_t height, std::int64_t width) {
  image::check_extents("crop", height, width);
  const cv::Mat pixels = image::matrix("crop", image);
  return image::from_matrix(
      image::resized(image::part_of(pixels, part, image.height, image.width), height, width));
}

Image decode_crop(std::string_view bytes, std::string_view name, std::int64_t channels,
                  const ChooseCrop& choose, std::int64_t height, std::int64_t width) {
  image::check_channels("decode_crop", channels);
  image::check_extents("decode_crop", height, width);
  return image::from_matrix(
      image::resized(decoded_part(bytes, name, channels, choose, height, width), height, width));
}

void decode_view(std::string_view bytes, std::string_view name, std::int64_t channels,
                 const ChooseView& choose, std::int64_t height, std::int64_t width,
                 const LevelScale& levels, float* pixels) {
  image::check_channels("decode_view", channels);
  image::check_extents("decode_view", height, width);
  bool mirrored = false;
  const ChooseCrop choose_part = [&](std::int64_t full_height, std::int64_t full_width) {
    const View view = choose(full_height, full_width);
    mirrored = view.mirrored;
    return view.part;
  };
  const cv::Mat part = decoded_part(bytes, name, channels, choose_part, height, width);
  image::resample(image::levels_of(part), height, width,
                  {.mirrored = mirrored, .scale = levels.scale, .offset = levels.offset}, pixels);
}

}  // namespace octconv
