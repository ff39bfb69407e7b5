// SPDX-License-Identifier: Apache-2.0
#include "workflow/mosaic.h"

#include <algorithm>
#include <array>

namespace octconv::workflow {
namespace {

constexpr std::int64_t kGap = 4;
// Unlike any grey, so that black and white tiles both end visibly.
constexpr std::array<std::uint8_t, 3> kGround{36, 44, 58};

}  // namespace

Image enlarged(const Image& image, std::int64_t zoom) {
  Image large{
      .height = image.height * zoom, .width = image.width * zoom, .channels = image.channels};
  large.pixels.reserve(image.pixels.size() * static_cast<std::size_t>(zoom * zoom));
  for (std::int64_t i = 0; i < large.height; ++i) {
    for (std::int64_t j = 0; j < large.width; ++j) {
      const auto from =
          image.pixels.begin() + ((i / zoom) * image.width + j / zoom) * image.channels;
      large.pixels.insert(large.pixels.end(), from, from + image.channels);
    }
  }
  return large;
}

Image mosaic(const std::vector<Image>& images, std::int64_t columns) {
  std::int64_t cell_height = 0;
  std::int64_t cell_width = 0;
  for (const Image& image : images) {
    cell_height = std::max(cell_height, image.height);
    cell_width = std::max(cell_width, image.width);
  }
  const auto count = static_cast<std::int64_t>(images.size());
  const std::int64_t rows = (count + columns - 1) / columns;
  Image all{.height = kGap + rows * (cell_height + kGap),
            .width = kGap + columns * (cell_width + kGap),
            .channels = 3};
  for (std::int64_t p = 0; p < all.height * all.width; ++p) {
    all.pixels.insert(all.pixels.end(), kGround.begin(), kGround.end());
  }
  for (std::int64_t n = 0; n < count; ++n) {
    const Image& image = images[static_cast<std::size_t>(n)];
    const std::int64_t top =
        kGap + n / columns * (cell_height + kGap) + (cell_height - image.height) / 2;
    const std::int64_t left =
        kGap + n % columns * (cell_width + kGap) + (cell_width - image.width) / 2;
    for (std::int64_t i = 0; i < image.height; ++i) {
      for (std::int64_t j = 0; j < image.width; ++j) {
        for (std::int64_t c = 0; c < 3; ++c) {
          all.pixels[static_cast<std::size_t>(((top + i) * all.width + left + j) * 3 + c)] =
              image.pixels[static_cast<std::size_t>((i * image.width + j) * image.channels +
                                                    std::min(c, image.channels - 1))];
        }
      }
    }
  }
  return all;
}

}  // namespace octconv::workflow
