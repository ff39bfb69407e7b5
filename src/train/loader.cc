// SPDX-License-Identifier: Apache-2.0
#include "train/loader.h"

#include <algorithm>
#include <numeric>
#include <span>
#include <string>

#include "octconv/base/error.h"
#include "octconv/base/file.h"
#include "octconv/base/random.h"
#include "octconv/image/colour.h"
#include "octconv/image/crop.h"

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
    : images_(images), mean_(mean), deviation_(deviation) {
  const auto fail = [&](const std::string& why) {
    throw InvalidArgument("train: the " + std::string(what) + " images " + why);
  };
  if (images.count() == 0) fail("are none");
  if (images.height < 1 || images.width < 1 || images.channels < 1) {
    fail("have " + std::to_string(images.height) + " x " + std::to_string(images.width) +
         " pixels of " + std::to_string(images.channels) + " channels");
  }
  const std::int64_t expected = images.are_files() ? 0 : images.count() * image_size();
  if (static_cast<std::int64_t>(images.pixels.size()) != expected) {
    fail("have " + std::to_string(images.pixels.size()) + " values instead of " +
         std::to_string(expected));
  }
  if (images.are_clips() && !images.are_files()) fail("are clips without files");
  if (images.are_files() && images.files.size() != images.labels.size()) {
    fail("are " + std::to_string(images.files.size()) + " files with " +
         std::to_string(images.labels.size()) + " labels");
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
  unchanged_.resize(channels);
  for (std::size_t channel = 0; channel < channels; ++channel) {
    if (!(deviation[channel] > 0)) fail("have deviation " + std::to_string(deviation[channel]));
    for (std::size_t value = 0; value < 256; ++value) {
      normalised_[channel][value] =
          (static_cast<float>(value) / 255.0F - mean[channel]) / deviation[channel];
      unchanged_[channel][value] = static_cast<float>(value);
    }
  }
}

std::vector<std::uint8_t> Loader::made(std::int64_t index, const Augmentation& augmentation,
                                       Random& random) const {
  const std::int64_t height = images_.height;
  const std::int64_t width = images_.width;
  if (images_.are_clips()) {
    const ClipTiming timing = images_.timing();
    const auto start = [&](std::int64_t count) {
      return augmentation.random_start ? random_clip_start(count, timing, random)
                                       : clip_starts(count, timing, 1).front();
    };
    const auto part = [&](std::int64_t h, std::int64_t w) {
      return augmentation.random_crop ? random_crop(h, w, random)
                                      : centre_crop(h, w, height, width, images_.crop_ratio);
    };
    const ClipChoice choice{
        .starts = [&](std::int64_t count) { return std::vector{start(count)}; },
        .crops = [&](std::int64_t h, std::int64_t w) { return std::vector{part(h, w)}; }};
    return std::move(
        read_clips(images_.path(index), images_.channels, timing, choice, height, width)
            .front()
            .pixels);
  }
  if (augmentation.random_crop)
    return crop(image_at(images_, index), random_crop(height, width, random), height, width).pixels;
  if (images_.are_files()) return image_at(images_, index).pixels;
  return {};
}

void Loader::fill(std::int64_t index, const Augmentation& augmentation, float* pixels) const {
  Random random(derive_seed(augmentation.seed, static_cast<std::uint64_t>(index)));
  if (images_.are_files() && !images_.are_clips() && augmentation.random_crop) {
    fill_from_file(index, augmentation, random, pixels);
    return;
  }
  const std::vector<std::uint8_t> cut = made(index, augmentation, random);
  const std::uint8_t* const levels =
      cut.empty() ? images_.pixels.data() + index * image_size() : cut.data();
  const auto shift = [&] {
    const auto places = static_cast<std::uint64_t>(2 * augmentation.crop_padding + 1);
    return static_cast<std::int64_t>(random.below(places)) - augmentation.crop_padding;
  };
  const std::int64_t down = shift();
  const std::int64_t right = shift();
  const bool flipped = augmentation.flip && random.below(2) == 1;
  const bool coloured = augmentation.colour_jitter > 0 || augmentation.colour_noise > 0;
  for (std::int64_t frame = 0; frame < frames(); ++frame) {
    shift_into(levels + frame * frame_size(), {.down = down, .right = right, .flipped = flipped},
               coloured ? unchanged_ : normalised_, pixels + frame * frame_size());
  }
  if (coloured) vary_colours(augmentation, random, pixels);
}

// Straight from the file, with the same random numbers.
void Loader::fill_from_file(std::int64_t index, const Augmentation& augmentation, Random& random,
                            float* pixels) const {
  const bool coloured = augmentation.colour_jitter > 0 || augmentation.colour_noise > 0;
  const std::filesystem::path path = images_.path(index);
  const ChooseView choose = [&](std::int64_t height, std::int64_t width) {
    View view{.part = random_crop(height, width, random)};
    for (int shift = 0; shift < 2; ++shift) static_cast<void>(random.below(1));
    view.mirrored = augmentation.flip && random.below(2) == 1;
    return view;
  };
  decode_view(read_file(path), path.string(), images_.channels, choose, images_.height,
              images_.width, coloured ? LevelScale{} : normalisation({}), pixels);
  if (coloured) vary_colours(augmentation, random, pixels);
}

// Of levels up to 255, which become normalised values.
void Loader::vary_colours(const Augmentation& augmentation, Random& random, float* pixels) const {
  const std::span<float> levels(pixels, static_cast<std::size_t>(image_size()));
  ColourJitter jitter;  // changes nothing
  if (augmentation.colour_jitter > 0) jitter = random_jitter(augmentation.colour_jitter, random);
  const std::array<double, 3> shift = random_colour_shift(augmentation.colour_noise, random);
  jitter_colours(levels, jitter, normalisation(shift));
}

// ((level + shift) / 255 - mean) / deviation
LevelScale Loader::normalisation(const std::array<double, 3>& shift) const {
  LevelScale levels;
  for (std::size_t c = 0; c < std::min(mean_.size(), shift.size()); ++c) {
    levels.scale[c] = 1 / (255.0F * deviation_[c]);
    levels.offset[c] = (static_cast<float>(shift[c]) / 255.0F - mean_[c]) / deviation_[c];
  }
  return levels;
}

void Loader::shift_into(const std::uint8_t* image, const Shift& shift, const Levels& levels,
                        float* pixels) const {
  const std::int64_t width = images_.width;
  const std::int64_t channels = images_.channels;
  const auto black = [&](std::int64_t count) {
    for (; count > 0; --count) {
      for (std::int64_t channel = 0; channel < channels; ++channel)
        *pixels++ = levels[static_cast<std::size_t>(channel)][0];
    }
  };
  // Of a row, the pixels that come from the image: x - right, or mirrored, must be on it.
  const std::int64_t begin =
      std::clamp<std::int64_t>(shift.flipped ? -shift.right : shift.right, 0, width);
  const std::int64_t end =
      std::clamp<std::int64_t>(width + (shift.flipped ? -shift.right : shift.right), 0, width);
  const std::int64_t first = shift.flipped ? width - 1 - begin - shift.right : begin - shift.right;
  const std::int64_t step = shift.flipped ? -channels : channels;
  for (std::int64_t y = 0; y < images_.height; ++y) {
    const std::int64_t from_y = y - shift.down;
    if (from_y < 0 || from_y >= images_.height || begin >= end) {
      black(width);
      continue;
    }
    black(begin);
    const std::uint8_t* from = image + (from_y * width + first) * channels;
    if (channels == 3) {
      for (std::int64_t x = begin; x < end; ++x, from += step, pixels += 3) {
        pixels[0] = levels[0][from[0]];
        pixels[1] = levels[1][from[1]];
        pixels[2] = levels[2][from[2]];
      }
    } else {
      for (std::int64_t x = begin; x < end; ++x, from += step) {
        for (std::int64_t channel = 0; channel < channels; ++channel)
          *pixels++ = levels[static_cast<std::size_t>(channel)][from[channel]];
      }
    }
    black(width - end);
  }
}

}  // namespace octconv::train
