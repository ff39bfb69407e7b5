// SPDX-License-Identifier: Apache-2.0
// Low and high parts of pictures and of layers.
#include "workflow/decompose.h"

#include <cmath>
#include <functional>
#include <numeric>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "octconv/base/error.h"
#include "octconv/base/file.h"
#include "octconv/engine/network.h"
#include "octconv/graph/octavize.h"
#include "octconv/graph/zoo.h"
#include "support/scratch.h"
#include "workflow/mosaic.h"
#include "workflow/preprocess.h"
#include "workflow/sample.h"

namespace octconv::workflow {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Tensor made(std::int64_t channels, std::int64_t height, std::int64_t width,
            const std::function<float(std::int64_t, std::int64_t)>& value) {
  Tensor maps({1, channels, height, width});
  float* out = maps.data();
  for (std::int64_t c = 0; c < channels; ++c) {
    for (std::int64_t i = 0; i < height; ++i) {
      for (std::int64_t j = 0; j < width; ++j) *out++ = value(i, j);
    }
  }
  return maps;
}

// Whole numbers, as pixels are.
Tensor random_pixels(std::int64_t channels, std::int64_t height, std::int64_t width) {
  Random random(static_cast<std::uint64_t>(height * 1000 + width));
  return made(channels, height, width,
              [&](std::int64_t, std::int64_t) { return static_cast<float>(random.below(256)); });
}

constexpr std::pair<int, int> kExtents[] = {{1, 1}, {1, 2}, {2, 2}, {5, 7}, {8, 6}, {31, 33}};

TEST(Decompose, LowAndHighAreThePictureToTheBit) {
  for (const Upsample upsample : {Upsample::kNearest, Upsample::kBilinear}) {
    for (const auto& [height, width] : kExtents) {
      const Tensor maps = random_pixels(3, height, width);
      const Parts parts = decompose(maps, upsample);
      ASSERT_EQ(parts.low.shape(), maps.shape());
      ASSERT_EQ(parts.high.shape(), maps.shape());
      for (std::int64_t i = 0; i < maps.elements(); ++i) {
        ASSERT_EQ(parts.low.data()[i] + parts.high.data()[i], maps.data()[i]);
      }
    }
  }
}

TEST(Decompose, TheGridIsTheMeanOfTheRealPixelsOfEachCell) {
  for (const auto& [height, width] : kExtents) {
    const Tensor maps = random_pixels(2, height, width);
    const Parts parts = decompose(maps, Upsample::kNearest);
    const std::int64_t rows = (height + 1) / 2;
    const std::int64_t columns = (width + 1) / 2;
    ASSERT_EQ(parts.grid.shape(), (Shape{1, 2, rows, columns}));
    for (std::int64_t c = 0; c < 2; ++c) {
      for (std::int64_t i = 0; i < height; ++i) {
        for (std::int64_t j = 0; j < width; ++j) {
          double sum = 0;
          int count = 0;
          for (std::int64_t y = i / 2 * 2; y < std::min<std::int64_t>(i / 2 * 2 + 2, height); ++y) {
            for (std::int64_t x = j / 2 * 2; x < std::min<std::int64_t>(j / 2 * 2 + 2, width);
                 ++x) {
              sum += maps.data()[(c * height + y) * width + x];
              ++count;
            }
          }
          EXPECT_EQ(parts.grid.data()[(c * rows + i / 2) * columns + j / 2], sum / count);
          EXPECT_EQ(parts.low.data()[(c * height + i) * width + j], sum / count);
        }
      }
    }
  }
}

TEST(Decompose, NearestPartsShareTheEnergyWithoutARest) {
  for (const auto& [height, width] : kExtents) {
    const Tensor maps = random_pixels(3, height, width);
    const Parts parts = decompose(maps, Upsample::kNearest);
    // The parts are orthogonal. Every deviation is at most 255.
    const double tolerance = 1e-12 * static_cast<double>(maps.elements()) * 255 * 255;
    EXPECT_NEAR(energy(parts.low) + energy(parts.high), energy(maps), tolerance);
  }
}

TEST(Decompose, AConstantHasNoHighPart) {
  for (const Upsample upsample : {Upsample::kNearest, Upsample::kBilinear}) {
    const Tensor maps = made(1, 7, 9, [](auto, auto) { return 113.0F; });
    EXPECT_THAT(decompose(maps, upsample).high.values(), testing::Each(0));
  }
}

TEST(Decompose, ACheckerboardHasNoLowPart) {
  const Tensor maps =
      made(1, 8, 6, [](auto i, auto j) { return (i + j) % 2 == 0 ? 255.0F : 0.0F; });
  for (const Upsample upsample : {Upsample::kNearest, Upsample::kBilinear}) {
    const Parts parts = decompose(maps, upsample);
    EXPECT_THAT(parts.low.values(), testing::Each(127.5));
    EXPECT_EQ(energy(parts.low), 0);
    EXPECT_EQ(energy(parts.high), energy(maps));
  }
}

TEST(Decompose, RefusesWhatIsNoMap) {
  EXPECT_THROW(static_cast<void>(decompose(Tensor({3, 4, 4}), Upsample::kNearest)),
               InvalidArgument);
  EXPECT_THROW(static_cast<void>(decompose(Tensor({1, 3, 0, 4}), Upsample::kNearest)),
               InvalidArgument);
  EXPECT_THROW(static_cast<void>(decompose(Tensor({2, 3, 4, 4}), Upsample::kNearest)),
               InvalidArgument);
}

TEST(Upsampled, BilinearGivesALineWhatItHas) {
  // The means of the cells of the line 0, 1, 2, ... are 0.5, 2.5, ...; half-pixel centres bring the
  // line back but for its ends, where the last value is repeated.
  const Tensor line = made(1, 1, 8, [](auto, auto j) { return static_cast<float>(j); });
  const Parts parts = decompose(line, Upsample::kBilinear);
  EXPECT_THAT(parts.low.values(), ElementsAre(0.5, 1, 2, 3, 4, 5, 6, 6.5));
}

TEST(RadialPower, OfAWaveLiesInItsRing) {
  // 8 cycles in 32 pixels.
  const Tensor maps = made(2, 32, 32, [](auto, auto j) {
    return static_cast<float>(std::array{1, 0, -1, 0}[static_cast<std::size_t>(j % 4)]);
  });
  for (const int scale : {1, 2}) {
    for (const Ring& ring : radial_power(maps, scale)) {
      // Rings are 1/32 wide, and one begins at the wave's frequency.
      const double frequency = ring.frequency * scale;
      EXPECT_EQ(ring.power > 1e-9, frequency >= 0.25 && frequency < 0.25 + 1.0 / 32) << frequency;
      EXPECT_LE(frequency, std::sqrt(0.5));
    }
  }
}

TEST(Mosaic, SetsPicturesInRowsAndCentresTheSmallOnes) {
  const Image white{
      .height = 3, .width = 3, .channels = 1, .pixels = std::vector<std::uint8_t>(9, 255)};
  const Image red{.height = 1, .width = 1, .channels = 3, .pixels = {255, 0, 0}};
  const Image all = mosaic({white, red, white}, 2);
  EXPECT_EQ(all.height, 4 + 2 * (3 + 4));
  EXPECT_EQ(all.width, 4 + 2 * (3 + 4));
  EXPECT_EQ(all.channels, 3);
  const auto pixel = [&](std::int64_t i, std::int64_t j) {
    const auto at = static_cast<std::size_t>((i * all.width + j) * 3);
    return std::vector<int>(all.pixels.begin() + static_cast<std::ptrdiff_t>(at),
                            all.pixels.begin() + static_cast<std::ptrdiff_t>(at + 3));
  };
  EXPECT_THAT(pixel(4, 4), ElementsAre(255, 255, 255));
  EXPECT_THAT(pixel(6, 6), ElementsAre(255, 255, 255));
  EXPECT_THAT(pixel(5, 12), ElementsAre(255, 0, 0));
  EXPECT_EQ(pixel(4, 11), pixel(0, 0));
  EXPECT_THAT(pixel(11, 4), ElementsAre(255, 255, 255));
  EXPECT_EQ(pixel(11, 11), pixel(0, 0));
}

TEST(Enlarged, RepeatsPixels) {
  const Image image{.height = 1, .width = 2, .channels = 1, .pixels = {3, 9}};
  EXPECT_THAT(enlarged(image, 2).pixels, ElementsAre(3, 3, 9, 9, 3, 3, 9, 9));
}

class DecomposeFile : public ScratchFolder {
 protected:
  std::filesystem::path write_picture(std::int64_t height, std::int64_t width,
                                      std::int64_t channels) {
    const LabelledImages images = random_images(1, std::max(height, width), channels, 2, 5);
    return write("picture.png", encode_png(resize(image_at(images, 0), height, width)));
  }
};

const std::string& file_of(const Decomposed& decomposed, const std::string& name) {
  for (const Decomposed::File& file : decomposed.files) {
    if (file.name == name) return file.bytes;
  }
  throw std::out_of_range(name);
}

TEST_F(DecomposeFile, PicturesShowThePartsOfEverySize) {
  for (const auto& [height, width] : {std::pair{1, 1}, {1, 5}, {6, 4}, {17, 23}}) {
    for (const std::int64_t channels : {1, 3}) {
      const std::filesystem::path path = write_picture(height, width, channels);
      const Decomposed decomposed = decompose_picture(path, Upsample::kNearest);
      EXPECT_NEAR(decomposed.low_share + decomposed.high_share, 1, 1e-12);
      ASSERT_EQ(decomposed.parts.size(), 3U);
      EXPECT_EQ(decomposed.parts[0].channels, channels);
      const Image original = read_image(path, 3);
      const Image low = read_image(write("low.png", file_of(decomposed, "low.png")), 3);
      const Image high = read_image(write("high.png", file_of(decomposed, "high.png")), 3);
      ASSERT_EQ(low.pixels.size(), original.pixels.size());
      ASSERT_EQ(high.pixels.size(), original.pixels.size());
      for (std::size_t i = 0; i < low.pixels.size(); ++i) {
        if (high.pixels[i] == 0 || high.pixels[i] == 255) continue;  // clamped
        // Both are rounded to whole levels.
        EXPECT_NEAR(low.pixels[i] + (high.pixels[i] - 128) / decomposed.gain, original.pixels[i],
                    0.5 + 0.5 / decomposed.gain);
      }
    }
  }
}

TEST_F(DecomposeFile, OfAConstantPictureAllIsLow) {
  const Image grey{
      .height = 4, .width = 5, .channels = 1, .pixels = std::vector<std::uint8_t>(20, 7)};
  const Decomposed decomposed =
      decompose_picture(write("grey.png", encode_png(grey)), Upsample::kNearest);
  EXPECT_EQ(decomposed.low_share, 1);
  EXPECT_EQ(decomposed.high_share, 0);
  EXPECT_THAT(read_image(write("high.png", file_of(decomposed, "high.png")), 1).pixels,
              testing::Each(128));
}

class DecomposeLayer : public DecomposeFile {
 protected:
  DecomposeLayer() {
    const Graph graph =
        octavize(make_network("resnet20", {.in_channels = 1}), {.alpha = 0.25}).graph;
    Weights weights = initial_weights(graph, 1);
    model_ = std::make_unique<Model>(
        Model{.graph = graph,
              .weights = std::move(weights),
              .preprocessing = {.mean = {0.5F}, .deviation = {0.25F}, .extents = {17, 18}}});
    picture_ = write_picture(20, 20, 1);
  }

  const Node& octave_node() const {
    for (const Node& node : model_->graph.nodes()) {
      if (node.channels.low > 0 && node.channels.high > 0) return node;
    }
    throw std::logic_error("no octave node");
  }

  std::unique_ptr<Model> model_;
  std::filesystem::path picture_;
};

TEST_F(DecomposeLayer, ShowsEveryChannelOfBothFrequencies) {
  const Node& node = octave_node();
  const Decomposed decomposed = decompose_layer(*model_, "m.onnx", node.name, picture_);
  ASSERT_EQ(decomposed.parts.size(), 2U);
  EXPECT_EQ(decomposed.parts[0].name, "high");
  EXPECT_EQ(decomposed.parts[0].channels, node.channels.high);
  EXPECT_EQ(decomposed.parts[0].height, 17);
  EXPECT_EQ(decomposed.parts[1].channels, node.channels.low);
  EXPECT_EQ(decomposed.parts[1].height, 9);
  // 112 / 18 = 6 times enlarged, low ones twice that.
  const Image high = read_image(write("high.png", file_of(decomposed, "high.png")), 3);
  EXPECT_EQ(high.width, 4 + 4 * (6 * 18 + 4));
  const Image low = read_image(write("low.png", file_of(decomposed, "low.png")), 3);
  EXPECT_EQ(low.width, 4 + 2 * (12 * 9 + 4));

  // The energies are those of the engine's own values.
  Session session(compile(*model_, {.keep = {node.name}}));
  const Preprocessor preprocessor(*model_);
  Tensor input = preprocessor.make_batch(1);
  preprocessor.fill(read_image(picture_, 1), input, 0);
  static_cast<void>(session.run(input));
  const double high_energy = energy(session.value(node.name, Frequency::kHigh));
  const double low_energy =
      energy(upsampled(session.value(node.name, Frequency::kLow), 17, 18, Upsample::kNearest));
  EXPECT_EQ(decomposed.parts[0].energy, high_energy);
  EXPECT_EQ(decomposed.parts[1].energy, low_energy);
  EXPECT_DOUBLE_EQ(decomposed.high_share, high_energy / (high_energy + low_energy));
  EXPECT_TRUE(decomposed.fine_share.has_value());
}

TEST_F(DecomposeLayer, TheLowGridEndsAtHalfTheFrequency) {
  const Decomposed decomposed = decompose_layer(*model_, "m", octave_node().name, picture_);
  EXPECT_GT(decomposed.parts[0].rings.back().frequency, 0.5);
  EXPECT_LE(decomposed.parts[1].rings.back().frequency, std::sqrt(0.5) / 2);
}

TEST_F(DecomposeLayer, AnOrdinaryLayerIsAllHigh) {
  const std::string name = model_->graph.node(model_->graph.inputs()[0]).name;
  const Decomposed decomposed = decompose_layer(*model_, "m", name, picture_);
  ASSERT_EQ(decomposed.parts.size(), 1U);
  EXPECT_EQ(decomposed.high_share, 1);
  EXPECT_THROW(static_cast<void>(file_of(decomposed, "low.png")), std::out_of_range);
}

TEST_F(DecomposeLayer, AnUnknownLayerNamesThoseNearIt) {
  const std::string name = octave_node().name;
  try {
    static_cast<void>(decompose_layer(*model_, "m.onnx", name + "x", picture_));
    FAIL();
  } catch (const InvalidArgument& error) {
    EXPECT_THAT(error.what(), HasSubstr("m.onnx"));
    EXPECT_THAT(error.what(), HasSubstr("'" + name + "x'"));
    EXPECT_THAT(error.what(), HasSubstr(": " + name + ","));
  }
}

TEST_F(DecomposeLayer, WhatHasNoExtentsOrTakesNoPicturesIsRefused) {
  const std::string last = model_->graph.node(model_->graph.outputs()[0]).name;
  EXPECT_THROW(static_cast<void>(decompose_layer(*model_, "m", last, picture_)), InvalidArgument);
  model_->preprocessing = {};
  EXPECT_THROW(static_cast<void>(decompose_layer(*model_, "m", octave_node().name, picture_)),
               Unsupported);
}

TEST_F(DecomposeFile, WritesEveryFileAndTheSummary) {
  const Decomposed decomposed = decompose_picture(write_picture(9, 8, 3), Upsample::kBilinear);
  octconv::workflow::write(decomposed, folder_ / "new" / "out");
  const nlohmann::json summary =
      nlohmann::json::parse(read_file(folder_ / "new" / "out" / kSummaryName));
  EXPECT_EQ(summary["upsample"], "bilinear");
  EXPECT_EQ(summary["files"].size(), decomposed.files.size());
  for (const Decomposed::File& file : decomposed.files) {
    EXPECT_EQ(read_file(folder_ / "new" / "out" / file.name), file.bytes);
  }
  EXPECT_THROW(octconv::workflow::write(decomposed, folder_ / "picture.png"), FileError);
}

}  // namespace
}  // namespace octconv::workflow
