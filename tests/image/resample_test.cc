// SPDX-License-Identifier: Apache-2.0
// Resampling against its definition in double, for every instruction set.
#include "image/resample.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <gmock/gmock.h>

#include "octconv/base/random.h"
#include "support/targets.h"

namespace octconv::image {
namespace {

// How much of pixel p is in result i of an axis.
double weight(std::int64_t p, std::int64_t i, std::int64_t from, std::int64_t to) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const auto at = static_cast<double>(p);
  if (to <= from) {
    const double begin = static_cast<double>(i) * scale;
    const double end = static_cast<double>(i + 1) * scale;
    return std::max(0.0, std::min(at + 1, end) - std::max(at, begin)) / scale;
  }
  const double centre = (static_cast<double>(i) + 0.5) * scale - 0.5;
  const double inside = std::clamp(centre, 0.0, static_cast<double>(from - 1));
  return std::max(0.0, 1 - std::abs(inside - at));
}

struct Picture {
  std::vector<std::uint8_t> bytes;
  Levels levels;
};

// Rows are further apart than they are long.
Picture random_levels(std::int64_t height, std::int64_t width, std::int64_t channels,
                      Random& random) {
  const std::int64_t pitch = width * channels + 5;
  Picture picture;
  for (std::int64_t i = 0; i < height * pitch; ++i)
    picture.bytes.push_back(static_cast<std::uint8_t>(random.below(256)));
  picture.bytes.resize(static_cast<std::size_t>((height - 1) * pitch + width * channels));
  picture.bytes.shrink_to_fit();  // reading beyond it is seen by a sanitizer
  picture.levels = {.first = picture.bytes.data(),
                    .pitch_bytes = pitch,
                    .height = height,
                    .width = width,
                    .channels = channels};
  return picture;
}

std::vector<double> expected(const Levels& from, std::int64_t height, std::int64_t width) {
  std::vector<double> result;
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      for (std::int64_t c = 0; c < from.channels; ++c) {
        double sum = 0;
        for (std::int64_t v = 0; v < from.height; ++v) {
          const double down = weight(v, y, from.height, height);
          if (down == 0) continue;
          for (std::int64_t u = 0; u < from.width; ++u) {
            sum += down * weight(u, x, from.width, width) *
                   from.first[v * from.pitch_bytes + u * from.channels + c];
          }
        }
        result.push_back(sum);
      }
    }
  }
  return result;
}

struct Case {
  std::int64_t from_height, from_width, height, width;
};

// Equal, larger, smaller, and one of each; rows around the lengths of vectors.
constexpr Case kCases[]{{1, 1, 1, 1},   {1, 1, 3, 5},     {5, 7, 5, 7},   {9, 11, 4, 5},
                        {3, 4, 10, 9},  {20, 3, 7, 8},    {4, 30, 9, 11}, {40, 41, 3, 2},
                        {13, 17, 1, 1}, {16, 16, 15, 17}, {2, 2, 40, 40}, {33, 22, 16, 11}};

class Resample : public testing::TargetTest {};

TEST_P(Resample, IsItsDefinitionRoundedOnce) {
  Random random(1);
  for (const Case& size : kCases) {
    for (const std::int64_t channels : {1, 3}) {
      const Picture picture = random_levels(size.from_height, size.from_width, channels, random);
      const std::vector<double> want = expected(picture.levels, size.height, size.width);
      std::vector<std::uint8_t> levels(want.size());
      resample(picture.levels, size.height, size.width, levels.data());
      // Each product and sum of the two axes rounds a number up to 255 by 2^-24 of it at most.
      const std::int64_t terms = size.from_height + size.from_width;
      const double rounding = 2.0 * static_cast<double>(terms) * 255 * 0x1p-24;
      for (std::size_t i = 0; i < want.size(); ++i)
        ASSERT_NEAR(levels[i], want[i], 0.5 + rounding) << size.from_width << " " << size.width;
    }
  }
}

TEST_P(Resample, ToFloatsIsTheRescaledLevelAndMirroredIfAsked) {
  Random random(2);
  const Rescaling plain{.scale = {0.5F, 2, 3}, .offset = {-1, 0.25F, 7}};
  for (const Case& size : kCases) {
    for (const std::int64_t channels : {1, 3}) {
      const Picture picture = random_levels(size.from_height, size.from_width, channels, random);
      const auto count = static_cast<std::size_t>(size.height * size.width * channels);
      std::vector<std::uint8_t> levels(count);
      resample(picture.levels, size.height, size.width, levels.data());
      for (const bool mirrored : {false, true}) {
        Rescaling rescaling = plain;
        rescaling.mirrored = mirrored;
        constexpr float kUntouched = -12345;
        std::vector<float> floats(count + 1, kUntouched);
        resample(picture.levels, size.height, size.width, rescaling, floats.data());
        EXPECT_EQ(floats.back(), kUntouched);
        for (std::int64_t y = 0; y < size.height; ++y) {
          for (std::int64_t x = 0; x < size.width; ++x) {
            for (std::int64_t c = 0; c < channels; ++c) {
              const std::int64_t source = mirrored ? size.width - 1 - x : x;
              const auto at = [&](std::int64_t column) {
                return static_cast<std::size_t>((y * size.width + column) * channels + c);
              };
              const auto channel = static_cast<std::size_t>(c);
              // Exact in float: multiples of a quarter.
              ASSERT_EQ(floats[at(x)],
                        static_cast<float>(levels[at(source)]) * plain.scale[channel] +
                            plain.offset[channel]);
            }
          }
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, Resample, testing::all_targets(), testing::target_name);

TEST(ResampleBits, AreTheSameForEveryInstructionSet) {
  Random random(3);
  const Picture picture = random_levels(211, 173, 3, random);
  // A fused product and sum would change many of the floats.
  const Rescaling rescaling{.scale = {0.0171F, 0.0175F, 0.0174F},
                            .offset = {-2.118F, -2.036F, -1.8F}};
  std::vector<float> first;
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    std::vector<float> floats(std::size_t{128} * 311 * 3);
    resample(picture.levels, 128, 311, rescaling, floats.data());
    if (first.empty()) first = floats;
    EXPECT_TRUE(floats == first) << hwy::TargetName(target);
  }
  hwy::SetSupportedTargetsForTest(0);
}

}  // namespace
}  // namespace octconv::image
