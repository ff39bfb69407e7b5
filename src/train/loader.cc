// SPDX-License-Identifier: Apache-2.0
#include "train/loader.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "octconv/base/error.h"
#include "octconv/base/parallel.h"
#include "octconv/base/random.h"

namespace octconv::train {

std::vector<std::int64_t> shuffled(std::int64_t count, std::uint64_t seed) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  Random random(seed);
  for (std::size_t left = order.size(); left > 1; --left) {
    std::swap(order[left - 1], order[static_cast<std::size_t>(random.below(left))]);
  }
  return order;
}

Loader::Loader(const LabelledImages& images, const std::vector<float>& mean,
               const std::vector<float>& deviation, std::int64_t classes, const char* what)
    : images_(images) {
  const auto fail = [&](const std::string& why) {
    throw InvalidArgument("train: the " + std::string(what) + " images " + why);
  };
  if (images.count() == 0) fail("are none");
  if (images.height < 1 || images.width < 1 || images.channels < 1) {
    fail("have " + std::to_string(images.height) + " x " + std::to_string(images.width) +
         " pixels of " + std::to_string(images.channels) + " channels");
  }
  const std::int64_t expected = images.count() * images.height * images.width * images.channels;
  if (static_cast<std::int64_t>(images.pixels.size()) != expected) {
    fail("have " + std::to_string(images.pixels.size()) + " values instead of " +
         std::to_string(expected));
  }
  const auto channels = static_cast<std::size_t>(images.channels);
  if (mean.size() != channels || deviation.size() != channels) {
    fail("have " + std::to_string(channels) + " channels, but mean and deviation have " +
         std::to_string(mean.size()) + " and " + std::to_string(deviation.size()));
  }
  for (const std::int32_t label : images.labels) {
    if (label < 0 || label >= classes) {
      fail("have label " + std::to_string(label) + ", and the network has " +
           std::to_string(classes) + " classes");
    }
  }
  normalised_.resize(channels);
  for (std::size_t channel = 0; channel < channels; ++channel) {
    if (!(deviation[channel] > 0)) fail("have deviation " + std::to_string(deviation[channel]));
    for (std::size_t value = 0; value < 256; ++value) {
      normalised_[channel][value] =
          (static_cast<float>(value) / 255.0F - mean[channel]) / deviation[channel];
    }
  }
}

void Loader::fill(std::span<const std::int64_t> indices, const Augmentation& augmentation,
                  float* pixels, std::int64_t* labels) const {
  const std::int64_t size = images_.height * images_.width * images_.channels;
  parallel_for(
      static_cast<std::int64_t>(indices.size()), 16, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          const std::int64_t index = indices[static_cast<std::size_t>(i)];
          Random random(derive_seed(augmentation.seed, static_cast<std::uint64_t>(index)));
          const auto shift = [&] {
            const auto places = static_cast<std::uint64_t>(2 * augmentation.crop_padding + 1);
            return static_cast<std::int64_t>(random.below(places)) - augmentation.crop_padding;
          };
          const std::int64_t down = shift();
          const std::int64_t right = shift();
          const bool flipped = augmentation.flip && random.below(2) == 1;
          fill_image(index, down, right, flipped, pixels + i * size);
          labels[i] = images_.labels[static_cast<std::size_t>(index)];
        }
      });
}

void Loader::fill_image(std::int64_t index, std::int64_t down, std::int64_t right, bool flipped,
                        float* pixels) const {
  const std::int64_t height = images_.height;
  const std::int64_t width = images_.width;
  const std::int64_t channels = images_.channels;
  const std::uint8_t* image = images_.pixels.data() + index * height * width * channels;
  for (std::int64_t y = 0; y < height; ++y) {
    const std::int64_t from_y = y - down;
    for (std::int64_t x = 0; x < width; ++x) {
      const std::int64_t from_x = (flipped ? width - 1 - x : x) - right;
      const bool inside = from_y >= 0 && from_y < height && from_x >= 0 && from_x < width;
      const std::uint8_t* from = inside ? image + (from_y * width + from_x) * channels : nullptr;
      for (std::int64_t channel = 0; channel < channels; ++channel) {
        const std::size_t value = inside ? from[channel] : 0;
        *pixels++ = normalised_[static_cast<std::size_t>(channel)][value];
      }
    }
  }
}

}  // namespace octconv::train
