// SPDX-License-Identifier: Apache-2.0
// Pictures to and from files, colours, orientation, resizing.
#include "octconv/image/image.h"

#include <cmath>
#include <numeric>

#include <gmock/gmock.h>
#include <opencv2/imgcodecs.hpp>

#include "octconv/base/error.h"
#include "octconv/base/random.h"
#include "support/scratch.h"

namespace octconv {
namespace {

using testing::ElementsAre;

Image random_image(std::int64_t height, std::int64_t width, std::int64_t channels,
                   std::uint64_t seed) {
  Image image{.height = height, .width = width, .channels = channels};
  Random random(seed);
  image.pixels.resize(static_cast<std::size_t>(height * width * channels));
  for (std::uint8_t& pixel : image.pixels) pixel = static_cast<std::uint8_t>(random.below(256));
  return image;
}

double mean(const Image& image) {
  return std::accumulate(image.pixels.begin(), image.pixels.end(), 0.0) /
         static_cast<double>(image.pixels.size());
}

class ImageFile : public ScratchFolder {};

TEST_F(ImageFile, PngRoundTripKeepsEveryByte) {
  for (const std::int64_t channels : {1, 3}) {
    const Image image = random_image(13, 29, channels, 1);
    const Image back = read_image(write("image.png", encode_png(image)), channels);
    EXPECT_EQ(back.height, 13);
    EXPECT_EQ(back.width, 29);
    EXPECT_EQ(back.channels, channels);
    EXPECT_EQ(back.pixels, image.pixels);
  }
}

TEST_F(ImageFile, RedComesFirst) {
  // A portable pixmap says its channel order itself: red, green, blue.
  const Image image = read_image(write("image.ppm", "P6 2 1 255 \xff\x10\x20\x30\x40\xfe"), 3);
  EXPECT_THAT(image.pixels, ElementsAre(0xff, 0x10, 0x20, 0x30, 0x40, 0xfe));
}

TEST_F(ImageFile, GreyIsTheWeightedSumOfTheColours) {
  const Image image = random_image(9, 7, 3, 2);
  const Image grey = read_image(write("image.png", encode_png(image)), 1);
  ASSERT_EQ(grey.pixels.size(), 9U * 7);
  for (std::size_t i = 0; i < grey.pixels.size(); ++i) {
    // ITU-R BT.601. One step for rounding.
    const double expected = 0.299 * image.pixels[3 * i] + 0.587 * image.pixels[3 * i + 1] +
                            0.114 * image.pixels[3 * i + 2];
    EXPECT_NEAR(grey.pixels[i], expected, 1.0);
  }
}

TEST_F(ImageFile, GreyBecomesThreeEqualChannels) {
  const Image grey = random_image(5, 4, 1, 3);
  const Image colour = read_image(write("image.png", encode_png(grey)), 3);
  ASSERT_EQ(colour.pixels.size(), 3 * grey.pixels.size());
  for (std::size_t i = 0; i < colour.pixels.size(); ++i) {
    EXPECT_EQ(colour.pixels[i], grey.pixels[i / 3]);
  }
}

std::string jpeg(int height, int width) {
  cv::Mat picture(height, width, CV_8UC3, cv::Scalar(200, 200, 200));
  picture(cv::Rect(0, 0, width / 4, height)) = cv::Scalar(0, 0, 0);
  std::vector<std::uint8_t> bytes;
  cv::imencode(".jpg", picture, bytes);
  return {bytes.begin(), bytes.end()};
}

TEST_F(ImageFile, IsTurnedUprightAsExifSays) {
  // An APP1 segment with the one TIFF entry "orientation 6": turn by 90 degrees clockwise.
  const std::string exif(
      "\xff\xe1\x00\x22"
      "Exif\0\0"
      "MM\0\x2a\0\0\0\x08"
      "\0\x01"
      "\x01\x12\0\x03\0\0\0\x01\0\x06\0\0"
      "\0\0\0\0",
      36);
  std::string bytes = jpeg(40, 80);
  bytes.insert(2, exif);
  const Image image = read_image(write("turned.jpg", bytes), 1);
  ASSERT_EQ(image.height, 80);
  ASSERT_EQ(image.width, 40);
  EXPECT_LT(image.pixels[5 * 40 + 20], 50);  // the black left edge is on top now
  EXPECT_GT(image.pixels[70 * 40 + 20], 150);
}

TEST_F(ImageFile, ATruncatedPictureIsAFormatErrorAtEveryLength) {
  std::vector<std::uint8_t> bmp;
  cv::imencode(".bmp", cv::Mat(6, 7, CV_8UC3, cv::Scalar(1, 2, 3)), bmp);
  for (const std::string& whole :
       {encode_png(random_image(6, 7, 3, 4)), jpeg(24, 24), std::string(bmp.begin(), bmp.end())}) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
      testing::internal::CaptureStderr();
      EXPECT_THROW(static_cast<void>(read_image(write("image", whole.substr(0, size)), 3)),
                   FormatError)
          << size;
      EXPECT_EQ(testing::internal::GetCapturedStderr(), "") << size;
    }
    EXPECT_NO_THROW(static_cast<void>(read_image(write("image", whole), 3)));
  }
}

TEST_F(ImageFile, APngWithAFlippedBitIsAFormatErrorAndSilent) {
  const std::string whole = encode_png(random_image(6, 7, 3, 5));
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string broken = whole;
    broken[at] = static_cast<char>(broken[at] ^ 4);
    testing::internal::CaptureStderr();
    EXPECT_THROW(static_cast<void>(read_image(write("image.png", broken), 3)), FormatError) << at;
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "") << at;
  }
}

std::string encoded(const char* kind, const cv::Mat& picture,
                    const std::vector<int>& options = {}) {
  std::vector<std::uint8_t> bytes;
  cv::imencode(kind, picture, bytes, options);
  return {bytes.begin(), bytes.end()};
}

TEST(DecodeImage, TakesTheUpperEightOfSixteenBits) {
  cv::Mat picture(3, 5, CV_16UC1);
  for (int i = 0; i < 15; ++i) picture.at<std::uint16_t>(i) = static_cast<std::uint16_t>(i * 4369);
  const Image image = decode_image(encoded(".png", picture), "deep.png", 1);
  ASSERT_EQ(image.pixels.size(), 15U);
  for (std::size_t i = 0; i < 15; ++i) EXPECT_EQ(image.pixels[i], i * 4369 / 256);
}

TEST(DecodeImage, DropsAlpha) {
  cv::Mat picture(1, 2, CV_8UC4, cv::Scalar(10, 20, 30, 128));
  picture.at<cv::Vec4b>(1) = {40, 50, 60, 0};
  const Image image = decode_image(encoded(".png", picture), "clear.png", 3);
  EXPECT_THAT(image.pixels, ElementsAre(30, 20, 10, 60, 50, 40));
}

TEST(DecodeImage, ReadsWebP) {
  const cv::Mat picture(4, 6, CV_8UC3, cv::Scalar(10, 20, 30));
  constexpr int kLossless = 101;
  const Image image = decode_image(encoded(".webp", picture, {cv::IMWRITE_WEBP_QUALITY, kLossless}),
                                   "picture.webp", 3);
  ASSERT_EQ(image.pixels.size(), 4U * 6 * 3);
  EXPECT_EQ(image.pixels[0], 30);
  EXPECT_EQ(image.pixels[71], 10);
}

TEST(DecodeImage, TurnsPrintersInksIntoColours) {
  // A JPEG of cyan, magenta, yellow and black (inverted, as Adobe writes them): red, then cyan.
  const std::string bytes(
      "\xff\xd8\xff\xee\x00\x0e\x41\x64\x6f\x62\x65\x00\x64\x00\x00\x00\x00\x00\xff\xdb"
      "\x00\x43\x00\x10\x0b\x0c\x0e\x0c\x0a\x10\x0e\x0d\x0e\x12\x11\x10\x13\x18\x28\x1a"
      "\x18\x16\x16\x18\x31\x23\x25\x1d\x28\x3a\x33\x3d\x3c\x39\x33\x38\x37\x40\x48\x5c"
      "\x4e\x40\x44\x57\x45\x37\x38\x50\x6d\x51\x57\x5f\x62\x67\x68\x67\x3e\x4d\x71\x79"
      "\x70\x64\x78\x5c\x65\x67\x63\xff\xc0\x00\x14\x08\x00\x08\x00\x10\x04\x43\x11\x00"
      "\x4d\x11\x00\x59\x11\x00\x4b\x11\x00\xff\xc4\x00\x16\x00\x01\x01\x01\x00\x00\x00"
      "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07\x08\x00\xff\xc4\x00\x14\x10\x01\x00"
      "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xda\x00\x0e\x04"
      "\x43\x00\x4d\x00\x59\x00\x4b\x00\x00\x3f\x00\x40\x1f\x8f\xc8\x09\xfd\x40\x28\x06"
      "\x7f\xff\xd9",
      183);
  const Image image = decode_image(bytes, "cmyk.jpg", 3);
  ASSERT_EQ(image.height, 8);
  ASSERT_EQ(image.width, 16);
  const auto pixel = [&](std::size_t x) {
    return std::vector<int>{image.pixels.begin() + static_cast<std::ptrdiff_t>(3 * x),
                            image.pixels.begin() + static_cast<std::ptrdiff_t>(3 * x + 3)};
  };
  EXPECT_THAT(pixel(2), ElementsAre(testing::Gt(240), testing::Lt(15), testing::Lt(15)));
  EXPECT_THAT(pixel(13), ElementsAre(testing::Lt(15), testing::Gt(240), testing::Gt(240)));
}

TEST(DecodeImage, NamesWhatItCannotDecode) {
  try {
    static_cast<void>(decode_image("not a picture", "this one", 3));
    FAIL();
  } catch (const FormatError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("'this one'"));
  }
  EXPECT_THROW(static_cast<void>(decode_image("", "x", 2)), InvalidArgument);
}

TEST_F(ImageFile, WhatIsNotAnImageIsAFormatErrorNamingTheFile) {
  try {
    static_cast<void>(read_image(write("text.png", "this is a text\n"), 3));
    FAIL();
  } catch (const FormatError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("text.png"));
  }
  EXPECT_THROW(static_cast<void>(read_image(folder_ / "absent.png", 3)), FileError);
  EXPECT_THROW(static_cast<void>(read_image(folder_, 3)), FileError);
}

TEST_F(ImageFile, ChannelsOtherThanOneAndThreeAreRefused) {
  const std::filesystem::path path = write("image.png", encode_png(random_image(2, 2, 1, 1)));
  for (const std::int64_t channels : {-1, 0, 2, 4}) {
    EXPECT_THROW(static_cast<void>(read_image(path, channels)), InvalidArgument);
  }
}

TEST(EncodePng, RefusesImagesThatContradictThemselves) {
  Image image = random_image(3, 3, 3, 1);
  image.pixels.pop_back();
  EXPECT_THROW(static_cast<void>(encode_png(image)), InvalidArgument);
  EXPECT_THROW(static_cast<void>(encode_png(Image{})), InvalidArgument);
  EXPECT_THROW(static_cast<void>(encode_png(random_image(3, 3, 2, 1))), InvalidArgument);
}

TEST(Resize, HalvingIsTheRoundedMeanOfEachSquare) {
  const Image image = random_image(8, 10, 3, 6);
  const Image half = resize(image, 4, 5);
  ASSERT_EQ(half.pixels.size(), 4U * 5 * 3);
  for (std::size_t i = 0; i < 4; ++i) {
    for (std::size_t j = 0; j < 5; ++j) {
      for (std::size_t c = 0; c < 3; ++c) {
        const auto at = [&](std::size_t row, std::size_t column) {
          return image.pixels[(row * 10 + column) * 3 + c];
        };
        const double sum = at(2 * i, 2 * j) + at(2 * i, 2 * j + 1) + at(2 * i + 1, 2 * j) +
                           at(2 * i + 1, 2 * j + 1);
        EXPECT_NEAR(half.pixels[(i * 5 + j) * 3 + c], sum / 4, 0.5);
      }
    }
  }
}

TEST(Resize, ShrinkingKeepsTheMean) {
  const Image image = random_image(60, 90, 1, 7);
  for (const auto& [height, width] : {std::pair{20, 30}, {7, 90}, {60, 11}, {1, 1}, {59, 89}}) {
    // Each output pixel is rounded by at most one half.
    EXPECT_NEAR(mean(resize(image, height, width)), mean(image), 0.5) << height << " x " << width;
  }
}

TEST(Resize, AnAxisThatShrinksIsAveragedAlsoIfTheOtherGrows) {
  // Columns alternate 0 and 200: only averaging gives 100 everywhere.
  Image image{.height = 4, .width = 64, .channels = 1, .pixels = std::vector<std::uint8_t>(4 * 64)};
  for (std::size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = i % 2 == 0 ? 0 : 200;
  const Image resized = resize(image, 9, 16);
  EXPECT_THAT(resized.pixels, testing::Each(100));
}

TEST(Resize, GrowingKeepsAConstantAndTheRange) {
  const Image image = random_image(3, 4, 3, 8);
  const auto [low, high] = std::minmax_element(image.pixels.begin(), image.pixels.end());
  const Image large = resize(image, 31, 17);
  EXPECT_EQ(large.height, 31);
  EXPECT_EQ(large.width, 17);
  EXPECT_THAT(large.pixels, testing::Each(testing::AllOf(testing::Ge(*low), testing::Le(*high))));
}

TEST(Resize, ToTheSameExtentsChangesNothing) {
  const Image image = random_image(5, 6, 3, 9);
  EXPECT_EQ(resize(image, 5, 6).pixels, image.pixels);
}

TEST(Resize, RefusesExtentsOutOfRange) {
  const Image image = random_image(2, 2, 1, 1);
  EXPECT_THROW(static_cast<void>(resize(image, 0, 1)), InvalidArgument);
  EXPECT_THROW(static_cast<void>(resize(image, 1, -1)), InvalidArgument);
  EXPECT_THROW(static_cast<void>(resize(image, 1, std::int64_t{1} << 40)), InvalidArgument);
}

}  // namespace
}  // namespace octconv
