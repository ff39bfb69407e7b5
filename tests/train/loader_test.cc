// SPDX-License-Identifier: Apache-2.0
#include "train/loader.h"

#include <algorithm>
#include <functional>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octconv/base/error.h"
#include "octconv/base/file.h"
#include "octconv/base/random.h"
#include "octconv/image/colour.h"
#include "octconv/image/crop.h"
#include "support/picture_files.h"
#include "support/scratch.h"

namespace octconv::train {
namespace {

constexpr std::int64_t kHeight = 5;
constexpr std::int64_t kWidth = 7;
constexpr std::int64_t kChannels = 2;
constexpr std::int64_t kSize = kHeight * kWidth * kChannels;
constexpr std::int64_t kClasses = 4;
const std::vector<float> kNoMean{0.F, 0.F};
const std::vector<float> kUnit{1.F, 1.F};

LabelledImages random_images(std::int64_t count) {
  Random random(11);
  LabelledImages images{.height = kHeight, .width = kWidth, .channels = kChannels};
  for (std::int64_t i = 0; i < count * kSize; ++i) {
    images.pixels.push_back(static_cast<std::uint8_t>(1 + random.below(255)));
  }
  for (std::int64_t i = 0; i < count; ++i)
    images.labels.push_back(static_cast<std::int32_t>(i % kClasses));
  return images;
}

std::vector<float> filled(const Loader& loader, const std::vector<std::int64_t>& indices,
                          const Augmentation& augmentation) {
  std::vector<float> pixels(indices.size() * kSize);
  for (std::size_t i = 0; i < indices.size(); ++i)
    loader.fill(indices[i], augmentation, pixels.data() + i * kSize);
  return pixels;
}

TEST(Loader, WithoutAugmentationNormalisesEachChannel) {
  const LabelledImages images = random_images(9);
  const std::vector<float> mean{0.25F, 0.5F};
  const std::vector<float> deviation{0.5F, 0.125F};
  const Loader loader(images, mean, deviation, kClasses, "training");
  const std::vector<float> pixels = filled(loader, {6, 3}, {});
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    const std::size_t image = i < kSize ? 6 : 3;
    const float pixel = static_cast<float>(images.pixels[image * kSize + i % kSize]) / 255.0F;
    EXPECT_EQ(pixels[i], (pixel - mean[i % 2]) / deviation[i % 2]);
  }
}

// The image moved by (down, right), mirrored or not, black coming in.
std::vector<float> moved(const LabelledImages& images, std::int64_t down, std::int64_t right,
                         bool mirrored) {
  std::vector<float> result(kSize, 0.F);
  for (std::int64_t y = 0; y < kHeight; ++y) {
    for (std::int64_t x = 0; x < kWidth; ++x) {
      const std::int64_t to_y = y + down;
      std::int64_t to_x = x + right;
      if (to_y < 0 || to_y >= kHeight || to_x < 0 || to_x >= kWidth) continue;
      if (mirrored) to_x = kWidth - 1 - to_x;
      for (std::int64_t c = 0; c < kChannels; ++c) {
        const std::uint8_t value =
            images.pixels[static_cast<std::size_t>((y * kWidth + x) * kChannels + c)];
        result[static_cast<std::size_t>((to_y * kWidth + to_x) * kChannels + c)] =
            static_cast<float>(value) / 255.0F;
      }
    }
  }
  return result;
}

TEST(Loader, AugmentsByEveryShiftAndMirrorAndNothingElse) {
  const LabelledImages images = random_images(1);
  const Loader loader(images, kNoMean, kUnit, kClasses, "training");
  std::vector<std::vector<float>> allowed;
  for (std::int64_t down = -1; down <= 1; ++down) {
    for (std::int64_t right = -1; right <= 1; ++right) {
      for (const bool mirrored : {false, true})
        allowed.push_back(moved(images, down, right, mirrored));
    }
  }
  std::set<std::ptrdiff_t> seen;
  for (std::uint64_t seed = 0; seed < 400;
       ++seed) {  // a chance of 18 * (17 / 18)^400 = 2e-9 to miss one
    const std::vector<float> image =
        filled(loader, {0}, {.crop_padding = 1, .flip = true, .seed = seed});
    const auto found = std::find(allowed.begin(), allowed.end(), image);
    ASSERT_NE(found, allowed.end()) << "seed " << seed;
    seen.insert(found - allowed.begin());
  }
  EXPECT_EQ(seen.size(), allowed.size());
}

TEST(Loader, AugmentationDependsOnTheSeedAndTheImageAlone) {
  const LabelledImages images = random_images(64);
  const Loader loader(images, kNoMean, kUnit, kClasses, "training");
  const Augmentation augmentation{.crop_padding = 2, .flip = true, .seed = 5};
  std::vector<std::int64_t> all(64);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::int64_t>(i);
  const std::vector<float> together = filled(loader, all, augmentation);
  for (const std::int64_t image : all) {
    const std::vector<float> alone = filled(loader, {image}, augmentation);
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + image * kSize)) << image;
  }
  EXPECT_NE(filled(loader, all, {.crop_padding = 2, .flip = true, .seed = 6}), together);
}

TEST(Loader, ARandomCropOfImagesInMemoryIsThatOfTheImageLayer) {
  LabelledImages images{.height = 9, .width = 12, .channels = 3, .labels = {0, 1}};
  Random values(3);
  for (int i = 0; i < 2 * 9 * 12 * 3; ++i)
    images.pixels.push_back(static_cast<std::uint8_t>(values.below(256)));
  const Loader loader(images, {0, 0, 0}, {1, 1, 1}, kClasses, "training");
  constexpr std::uint64_t kSeed = 8;
  std::vector<float> pixels(9 * 12 * 3);
  loader.fill(1, {.random_crop = true, .seed = kSeed}, pixels.data());
  Random random(derive_seed(kSeed, 1));
  const Image expected = crop(image_at(images, 1), random_crop(9, 12, random), 9, 12);
  for (std::size_t i = 0; i < pixels.size(); ++i)
    EXPECT_EQ(pixels[i], static_cast<float>(expected.pixels[i]) / 255.0F);
}

class LoaderOfFiles : public ScratchFolder {
 protected:
  LoaderOfFiles() {
    Random random(4);
    for (const char* name : {"0.jpg", "1.png", "2.jpg"})
      write_picture(folder_ / name, random_picture(50, 64, 90, random));
  }

  LabelledImages images() const {
    return {.height = 16,
            .width = 20,
            .channels = 3,
            .labels = {0, 1, 2},
            .folder = folder_,
            .files = {"0.jpg", "1.png", "2.jpg"}};
  }
};

TEST_F(LoaderOfFiles, ARandomCropIsThatOfTheImageLayerMirroredAndNormalised) {
  const LabelledImages files = images();
  const std::vector<float> mean{0.5F, 0.25F, 0.125F};
  const std::vector<float> deviation{0.5F, 0.75F, 1.F};
  const Loader loader(files, mean, deviation, kClasses, "training");
  std::set<bool> seen;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    for (const bool coloured : {false, true}) {
      const std::int64_t index = static_cast<std::int64_t>(seed % 3);
      Augmentation augmentation{.random_crop = true, .flip = true, .seed = seed};
      if (coloured) augmentation.colour_jitter = 0.4;
      std::vector<float> pixels(16 * 20 * 3);
      loader.fill(index, augmentation, pixels.data());

      Random random(derive_seed(seed, static_cast<std::uint64_t>(index)));
      const ChooseCrop choose = [&](std::int64_t height, std::int64_t width) {
        return random_crop(height, width, random);
      };
      const std::string path = files.path(index).string();
      const Image image = decode_crop(read_file(path), path, 3, choose, 16, 20);
      static_cast<void>(random.below(1));  // the two shifts of no padding
      static_cast<void>(random.below(1));
      const bool mirrored = random.below(2) == 1;
      seen.insert(mirrored);
      std::vector<float> levels;
      for (std::size_t y = 0; y < 16; ++y) {
        for (std::size_t x = 0; x < 20; ++x) {
          for (std::size_t c = 0; c < 3; ++c)
            levels.push_back(image.pixels[(y * 20 + (mirrored ? 19 - x : x)) * 3 + c]);
        }
      }
      if (coloured) jitter_colours(levels, random_jitter(0.4, random));
      // The scale has two roundings, the offset two, product and sum one each, of numbers below 5.
      for (std::size_t i = 0; i < levels.size(); ++i) {
        const double level = levels[i] / 255.0;
        ASSERT_NEAR(pixels[i], (level - mean[i % 3]) / deviation[i % 3], 6 * 5 * 0x1p-24);
      }
    }
  }
  EXPECT_EQ(seen.size(), 2U);
}

TEST(Loader, ChangesColoursBeforeItNormalises) {
  LabelledImages images{.height = 4, .width = 5, .channels = 3, .labels = {0, 1}};
  Random values(3);
  for (int i = 0; i < 2 * 4 * 5 * 3; ++i)
    images.pixels.push_back(static_cast<std::uint8_t>(values.below(256)));
  const std::vector<float> mean{0.5F, 0.25F, 0.125F};
  const std::vector<float> deviation{0.5F, 1.F, 2.F};
  const Loader loader(images, mean, deviation, kClasses, "training");
  constexpr std::uint64_t kSeed = 8;
  std::vector<float> pixels(4 * 5 * 3);
  loader.fill(1, {.colour_jitter = 0.4, .colour_noise = 0.1, .seed = kSeed}, pixels.data());
  Random random(derive_seed(kSeed, 1));
  static_cast<void>(random.below(1));  // the two shifts of no padding
  static_cast<void>(random.below(1));
  std::vector<float> levels(images.pixels.begin() + 60, images.pixels.end());
  jitter_colours(levels, random_jitter(0.4, random));
  const std::array<double, 3> shift = random_colour_shift(0.1, random);
  // Two roundings of numbers below 5 each.
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const double level = (levels[i] + shift[i % 3]) / 255;
    EXPECT_NEAR(pixels[i], (level - mean[i % 3]) / deviation[i % 3], 2e-6);
  }
}

TEST(Loader, RefusesImagesThatContradictThemselves) {
  const auto message = [](const std::function<void(LabelledImages&)>& change,
                          const std::vector<float>& mean,
                          const std::vector<float>& deviation) -> std::string {
    LabelledImages images = random_images(3);
    change(images);
    try {
      const Loader loader(images, mean, deviation, kClasses, "test");
    } catch (const InvalidArgument& error) {
      return error.what();
    }
    return "no error";
  };
  const auto with = [&](const std::function<void(LabelledImages&)>& change) {
    return message(change, kNoMean, kUnit);
  };
  using testing::HasSubstr;
  EXPECT_THAT(with([](LabelledImages& i) { i.labels.clear(); }), HasSubstr("test images are none"));
  EXPECT_THAT(with([](LabelledImages& i) { i.pixels.pop_back(); }),
              HasSubstr("209 values instead of 210"));
  EXPECT_THAT(with([](LabelledImages& i) { i.labels[1] = 4; }), HasSubstr("label 4"));
  EXPECT_THAT(with([](LabelledImages& i) { i.labels[1] = -1; }), HasSubstr("label -1"));
  EXPECT_THAT(with([](LabelledImages& i) { i.pixels.clear(), i.files = {"a.png"}; }),
              HasSubstr("1 files with 3 labels"));
  EXPECT_THAT(with([](LabelledImages& i) { i.width = 0; }), HasSubstr("5 x 0"));
  EXPECT_THAT(message([](LabelledImages&) {}, {0.F}, kUnit), HasSubstr("have 1 and 2"));
  EXPECT_THAT(message([](LabelledImages&) {}, kNoMean, {1.F, 0.F}), HasSubstr("deviation 0"));
}

TEST(Shuffled, IsAPermutationThatTheSeedDecides) {
  const std::vector<std::int64_t> order = shuffled(100, 3);
  EXPECT_EQ(order, shuffled(100, 3));
  EXPECT_NE(order, shuffled(100, 4));
  EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
  std::vector<std::int64_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  for (std::int64_t i = 0; i < 100; ++i) EXPECT_EQ(sorted[static_cast<std::size_t>(i)], i);
}

}  // namespace
}  // namespace octconv::train
