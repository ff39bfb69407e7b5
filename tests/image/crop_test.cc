// SPDX-License-Identifier: Apache-2.0
// Parts of pictures: where they are, and that decoding at a reduced size changes little.
#include "octconv/image/crop.h"

#include <algorithm>
#include <cmath>

#include <gmock/gmock.h>
#include <opencv2/imgcodecs.hpp>

#include "image/jpeg.h"
#include "octconv/base/error.h"
#include "support/jpeg_file.h"
#include "support/picture_files.h"

namespace octconv {
namespace {

TEST(RandomCrop, IsInsideWithAreaAndAspectInTheirRanges) {
  Random random(1);
  double least = 1;
  double most = 0;
  double area_sum = 0;
  constexpr int kDraws = 20000;
  for (int i = 0; i < kDraws; ++i) {
    const Rectangle part = random_crop(300, 300, random);
    const double area = part.height * part.width / (300.0 * 300.0);
    const double aspect = part.width / part.height;
    EXPECT_GE(part.top, 0);
    EXPECT_GE(part.left, 0);
    EXPECT_LE(part.top + part.height, 300 + 1e-9);
    EXPECT_LE(part.left + part.width, 300 + 1e-9);
    EXPECT_GE(area, 0.08 - 1e-9);
    EXPECT_GE(aspect, 0.75 - 1e-9);
    EXPECT_LE(aspect, 4.0 / 3 + 1e-9);
    least = std::min(least, area);
    most = std::max(most, area);
    area_sum += area;
  }
  EXPECT_LT(least, 0.081);
  EXPECT_GT(most, 0.99);
  // Of a square, a part of area a fits for aspects in [a, 1 / a]: those areas come up so often. The
  // deviation of an area is below 0.25; five of the mean's.
  double mass = 0;
  double moment = 0;
  for (int i = 0; i < 100000; ++i) {
    const double area = 0.08 + 0.92 * (i + 0.5) / 100000;
    const double fits = std::min(1.0, std::log(area) / std::log(0.75));
    mass += fits;
    moment += fits * area;
  }
  EXPECT_NEAR(area_sum / kDraws, moment / mass, 5 * 0.25 / std::sqrt(kDraws));
}

TEST(RandomCrop, AreasAndAspectsAreUniformWhereEveryDrawFits) {
  // With at most a tenth of the area, every aspect fits.
  const RandomCropOptions options{.min_area = 0.02, .max_area = 0.1};
  Random random(2);
  constexpr int kDraws = 20000;
  double area_sum = 0;
  double log_sum = 0;
  double place_sum = 0;
  for (int i = 0; i < kDraws; ++i) {
    const Rectangle part = random_crop(200, 200, random, options);
    area_sum += part.height * part.width / 40000;
    log_sum += std::log(part.width / part.height);
    place_sum += part.top / (200 - part.height);
  }
  // Five deviations of each mean: range / sqrt(12 draws).
  const auto deviations = [](double range) { return 5 * range / std::sqrt(12.0 * kDraws); };
  EXPECT_NEAR(area_sum / kDraws, 0.06, deviations(0.08));
  EXPECT_NEAR(log_sum / kDraws, 0, deviations(2 * std::log(4.0 / 3)));
  EXPECT_NEAR(place_sum / kDraws, 0.5, deviations(1));
}

TEST(RandomCrop, OfAStripeIsTheLargestPartOfAnAllowedShape) {
  Random random(3);
  const RandomCropOptions whole{.min_area = 1};
  const Rectangle wide = random_crop(30, 300, random, whole);
  EXPECT_DOUBLE_EQ(wide.height, 30);
  EXPECT_DOUBLE_EQ(wide.width, 40);
  EXPECT_DOUBLE_EQ(wide.left, 130);
  const Rectangle tall = random_crop(300, 30, random, whole);
  EXPECT_DOUBLE_EQ(tall.height, 40);
  EXPECT_DOUBLE_EQ(tall.width, 30);
}

TEST(RandomCrop, RefusesWhatIsOutOfRange) {
  Random random(4);
  EXPECT_THROW(static_cast<void>(random_crop(0, 3, random)), InvalidArgument);
  EXPECT_THROW(static_cast<void>(random_crop(3, 3, random, {.min_area = 0})), InvalidArgument);
  EXPECT_THROW(static_cast<void>(random_crop(3, 3, random, {.max_area = 1.1})), InvalidArgument);
  EXPECT_THROW(static_cast<void>(random_crop(3, 3, random, {.min_aspect = 2, .max_aspect = 1})),
               InvalidArgument);
}

TEST(CentreCrop, IsTheMiddleAfterTheShorterSideBecame256) {
  // 512 x 384 becomes 341.3 x 256, of which 224 x 224 are 336 x 336 pixels of the picture.
  const Rectangle part = centre_crop(512, 384, 224, 224, 0.875);
  EXPECT_DOUBLE_EQ(part.height, 336);
  EXPECT_DOUBLE_EQ(part.width, 336);
  EXPECT_DOUBLE_EQ(part.top, 88);
  EXPECT_DOUBLE_EQ(part.left, 24);
  const Rectangle all = centre_crop(100, 50, 64, 32, 1);
  EXPECT_DOUBLE_EQ(all.height, 100);
  EXPECT_DOUBLE_EQ(all.width, 50);
  EXPECT_THROW(static_cast<void>(centre_crop(9, 9, 3, 3, 0)), InvalidArgument);
  EXPECT_THROW(static_cast<void>(centre_crop(9, 9, 3, 3, 1.01)), InvalidArgument);
}

Image noise(std::int64_t height, std::int64_t width) {
  Image image{.height = height, .width = width, .channels = 3};
  Random random(5);
  for (std::int64_t i = 0; i < height * width * 3; ++i)
    image.pixels.push_back(static_cast<std::uint8_t>(random.below(256)));
  return image;
}

TEST(Crop, OfItsOwnSizeIsACopyOfThosePixels) {
  const Image image = noise(9, 11);
  const Image part = crop(image, {.top = 2, .left = 3, .height = 4, .width = 5}, 4, 5);
  for (std::int64_t y = 0; y < 4; ++y) {
    for (std::int64_t x = 0; x < 5; ++x) {
      for (std::int64_t c = 0; c < 3; ++c) {
        EXPECT_EQ(part.pixels[static_cast<std::size_t>((y * 5 + x) * 3 + c)],
                  image.pixels[static_cast<std::size_t>(((y + 2) * 11 + x + 3) * 3 + c)]);
      }
    }
  }
}

TEST(Crop, HoldsAtLeastOnePixelAndRefusesWhatIsOutside) {
  const Image image = noise(4, 4);
  const Image corner = crop(image, {.top = 3.9, .left = 3.9, .height = 0.1, .width = 0.1}, 1, 1);
  EXPECT_EQ(corner.pixels[0], image.pixels[15 * 3]);
  EXPECT_THROW(static_cast<void>(crop(image, {.top = 1, .height = 4, .width = 1}, 1, 1)),
               InvalidArgument);
  EXPECT_THROW(static_cast<void>(crop(image, {.left = -1, .height = 1, .width = 1}, 1, 1)),
               InvalidArgument);
  EXPECT_THROW(static_cast<void>(crop(image, {.height = 0, .width = 1}, 1, 1)), InvalidArgument);
}

std::string encoded(const char* kind, const cv::Mat& picture) {
  std::vector<std::uint8_t> bytes;
  cv::imencode(kind, picture, bytes);
  return {bytes.begin(), bytes.end()};
}

// With an APP1 segment of one TIFF entry, the orientation.
std::string turned(std::string jpeg, char orientation, bool big_endian) {
  using std::string_literals::operator""s;
  const std::string head = "\xff\xe1\x00\x22"s + "Exif\0\0"s;
  const std::string motorola =
      "MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0"s + orientation + "\0\0\0\0\0\0"s;
  const std::string intel =
      "II\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0"s + orientation + "\0\0\0\0\0\0\0"s;
  jpeg.insert(2, head + (big_endian ? motorola : intel));
  return jpeg;
}

TEST(JpegExtents, AreThoseOfTheDecodedPictureInEveryOrientation) {
  Random random(6);
  const std::string whole = encoded(".jpg", random_picture(37, 61, 100, random));
  for (const bool big_endian : {false, true}) {
    for (char orientation = 0; orientation <= 9; ++orientation) {
      const std::string bytes = turned(whole, orientation, big_endian);
      const Image decoded = decode_image(bytes, "turned", 3);
      const auto extents = image::jpeg_extents(bytes);
      ASSERT_TRUE(extents);
      EXPECT_EQ(extents->height, decoded.height) << int{orientation};
      EXPECT_EQ(extents->width, decoded.width) << int{orientation};
    }
  }
}

TEST(JpegExtents, AreNothingForOtherBytesAndEveryTruncation) {
  Random random(6);
  const std::string png = encoded(".png", random_picture(8, 8, 100, random));
  EXPECT_FALSE(image::jpeg_extents(png));
  const std::string jpeg = turned(encoded(".jpg", random_picture(8, 9, 100, random)), 6, true);
  bool found = false;
  for (std::size_t size = 0; size < jpeg.size(); ++size) {
    const auto extents = image::jpeg_extents(std::string_view(jpeg).substr(0, size));
    if (!extents) continue;
    EXPECT_EQ(extents->height, 9);
    found = true;
  }
  EXPECT_TRUE(found);
}

// As a camera's file with editing data: the first segment of this kind decides, and no other.
TEST(JpegExtents, AreThoseOfTheDecodedPictureIfItsExifDataIsNotAlone) {
  using std::string_literals::operator""s;
  Random random(6);
  const std::string whole = encoded(".jpg", random_picture(37, 61, 100, random));
  const std::string other = "\xff\xe1\x00\x12http://ns.x.y/\0\0"s;
  const std::string before = std::string(turned(whole, 6, true)).insert(2, other);
  const std::string after = turned(std::string(whole).insert(2, other), 6, true);
  const std::string twice = turned(turned(whole, 1, true), 6, false);
  for (const std::string& bytes : {before, after, twice}) {
    const Image decoded = decode_image(bytes, "turned", 3);
    const auto extents = image::jpeg_extents(bytes);
    ASSERT_TRUE(extents);
    EXPECT_EQ(extents->height, decoded.height);
    EXPECT_EQ(extents->width, decoded.width);
  }
}

double largest_difference(const Image& a, const Image& b) {
  EXPECT_EQ(a.pixels.size(), b.pixels.size());
  double largest = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i)
    largest = std::max(largest, static_cast<double>(std::abs(int{a.pixels[i]} - int{b.pixels[i]})));
  return largest;
}

TEST(DecodeCrop, IsTheCropOfTheDecodedPicture) {
  Random random(7);
  for (const char* kind : {".png", ".webp", ".jpg"}) {
    const std::string bytes = encoded(kind, random_picture(50, 70, 60, random));
    const Rectangle part{.top = 5, .left = 11, .height = 30, .width = 40};
    const ChooseCrop choose = [&](std::int64_t height, std::int64_t width) {
      EXPECT_EQ(height, 50);
      EXPECT_EQ(width, 70);
      return part;
    };
    // Not half as large: nothing is decoded at a reduced size.
    const Image expected = crop(decode_image(bytes, "x", 3), part, 20, 20);
    EXPECT_EQ(decode_crop(bytes, "x", 3, choose, 20, 20).pixels, expected.pixels) << kind;
    const Image grey = crop(decode_image(bytes, "x", 1), part, 20, 20);
    EXPECT_EQ(decode_crop(bytes, "x", 1, choose, 20, 20).pixels, grey.pixels) << kind;
  }
}

TEST(DecodeCrop, OfAReducedJpegIsNearlyThatOfTheWholeOneInEveryOrientation) {
  Random random(8);
  // The noise of 8 levels averages out; edges move by less than half a reduced pixel, which is 4
  // pixels of a slope of 40 levels in 240: the bound is a few levels.
  const std::string whole = encoded(".jpg", random_picture(240, 320, 60, random));
  for (char orientation = 1; orientation <= 8; ++orientation) {
    const std::string bytes = turned(whole, orientation, true);
    for (const std::int64_t size : {100, 50, 24}) {
      Rectangle part;
      const ChooseCrop choose = [&](std::int64_t height, std::int64_t width) {
        return part = centre_crop(height, width, size, size, 0.9);
      };
      const Image quick = decode_crop(bytes, "x", 3, choose, size, size);
      const Image slow = crop(decode_image(bytes, "x", 3), part, size, size);
      EXPECT_LE(largest_difference(quick, slow), 6) << int{orientation} << " " << size;
    }
  }
}

// A part whose edges are pixels, anywhere, of a picture of those extents.
Rectangle whole_pixels(std::int64_t height, std::int64_t width, Random& random) {
  const auto pick = [&](std::int64_t bound) {
    return static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(bound)));
  };
  const std::int64_t top = pick(height);
  const std::int64_t left = pick(width);
  return {.top = static_cast<double>(top),
          .left = static_cast<double>(left),
          .height = static_cast<double>(1 + pick(height - top)),
          .width = static_cast<double>(1 + pick(width - left))};
}

// Of many parts, each made large enough that nothing is decoded at a reduced size.
void expect_crops(const std::string& bytes, std::int64_t channels, const char* what) {
  Random random(9);
  const Image all = decode_image(bytes, "x", channels);
  for (int round = 0; round < 30; ++round) {
    Rectangle part;
    const ChooseCrop choose = [&](std::int64_t height, std::int64_t width) {
      return part = whole_pixels(height, width, random);
    };
    const Image quick = decode_crop(bytes, "x", channels, choose, 40, 50);
    ASSERT_EQ(quick.pixels, crop(all, part, 40, 50).pixels)
        << what << ": " << part.height << " x " << part.width << " at " << part.top << ", "
        << part.left;
  }
}

TEST(DecodeCrop, OfAJpegIsThatOfTheWholeOneInEveryOrientation) {
  Random random(10);
  const std::string whole = jpeg_file(noisy_picture(62, 75, 3, random));
  for (char orientation = 0; orientation <= 9; ++orientation) {
    const std::string what = "orientation " + std::to_string(int{orientation});
    expect_crops(turned(whole, orientation, true), 3, what.c_str());
  }
}

TEST(DecodeCrop, OfEveryKindOfJpegIsThatOfTheWholeOne) {
  Random random(11);
  const cv::Mat three = noisy_picture(62, 75, 3, random);
  const std::string grey = jpeg_file(noisy_picture(62, 75, 1, random), {.colours = JCS_GRAYSCALE});
  const std::string cmyk = jpeg_file(noisy_picture(62, 75, 4, random), {.colours = JCS_CMYK});
  for (const std::int64_t channels : {1, 3}) {
    expect_crops(jpeg_file(three), channels, "4:2:0");
    expect_crops(jpeg_file(three, {.across = 1, .down = 1}), channels, "4:4:4");
    expect_crops(jpeg_file(three, {.progressive = true}), channels, "progressive");
    expect_crops(grey, channels, "grey");
    expect_crops(cmyk, channels, "CMYK");
    expect_crops(jpeg_file(noisy_picture(3, 5, 3, random)), channels, "tiny");
  }
}

TEST(DecodeCrop, OfADamagedJpegIsThatOfTheWholeOne) {
  Random random(12);
  const std::string file = jpeg_file(noisy_picture(62, 75, 3, random));
  int broken = 0;
  for (int round = 0; round < 200; ++round) {
    // Behind the header, which the first scan ends.
    const std::size_t data = file.find("\xff\xda") + 14;
    std::string damaged = file;
    damaged[data + random.below(file.size() - data)] = static_cast<char>(random.below(256));
    // Down to the last row, so that all damage is met.
    const ChooseCrop choose = [](std::int64_t height, std::int64_t width) {
      return Rectangle{.left = 3,
                       .height = static_cast<double>(height),
                       .width = static_cast<double>(width - 5)};
    };
    Image whole;
    try {
      whole = decode_image(damaged, "x", 3);
    } catch (const FormatError& error) {
      ++broken;
      try {
        static_cast<void>(decode_crop(damaged, "x", 3, choose, 62, 70));
        ADD_FAILURE() << "no error";
      } catch (const FormatError& same) {
        EXPECT_STREQ(same.what(), error.what());
      }
      continue;
    }
    const Rectangle part = choose(62, 75);
    ASSERT_EQ(decode_crop(damaged, "x", 3, choose, 62, 70).pixels,
              crop(whole, part, 62, 70).pixels);
  }
  EXPECT_GT(broken, 0);
}

TEST(DecodeCrop, OfATruncatedJpegFailsAlsoIfTheRestIsNotWanted) {
  Random random(13);
  const std::string file = jpeg_file(noisy_picture(62, 75, 3, random));
  const ChooseCrop top = [](std::int64_t, std::int64_t) {
    return Rectangle{.height = 5, .width = 5};
  };
  EXPECT_EQ(decode_crop(file, "x", 3, top, 5, 5).height, 5);
  EXPECT_THROW(static_cast<void>(decode_crop(file.substr(0, file.size() - 2), "x", 3, top, 5, 5)),
               FormatError);
}

TEST(DecodeView, IsTheCropRescaledAndMirroredIfAsked) {
  Random random(14);
  const LevelScale levels{.scale = {0.5F, 2, 4}, .offset = {-3, 0.25F, 1}};
  for (const char* kind : {".png", ".jpg"}) {
    for (const std::int64_t channels : {1, 3}) {
      for (const bool mirrored : {false, true}) {
        const std::string bytes = encoded(kind, random_picture(50, 70, 60, random));
        const Rectangle part{.top = 5, .left = 11, .height = 30, .width = 40};
        const ChooseCrop choose = [&](std::int64_t, std::int64_t) { return part; };
        const ChooseView view = [&](std::int64_t height, std::int64_t width) {
          EXPECT_EQ(height, 50);
          EXPECT_EQ(width, 70);
          return View{.part = part, .mirrored = mirrored};
        };
        const Image image = decode_crop(bytes, "x", channels, choose, 16, 33);
        std::vector<float> pixels(static_cast<std::size_t>(16 * 33 * channels));
        decode_view(bytes, "x", channels, view, 16, 33, levels, pixels.data());
        for (std::int64_t i = 0; i < 16 * 33 * channels; ++i) {
          const auto channel = static_cast<std::size_t>(i % channels);
          const std::int64_t x = i / channels % 33;
          const std::int64_t source = mirrored ? i + (32 - 2 * x) * channels : i;
          // Exact in float: multiples of a quarter.
          ASSERT_EQ(pixels[static_cast<std::size_t>(i)],
                    static_cast<float>(image.pixels[static_cast<std::size_t>(source)]) *
                            levels.scale[channel] +
                        levels.offset[channel]);
        }
      }
    }
  }
}

}  // namespace
}  // namespace octconv
