// SPDX-License-Identifier: Apache-2.0
#include "train/broken_images.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octconv/base/error.h"

namespace octconv::train {
namespace {

std::vector<BrokenImage> broken(std::int64_t first, std::int64_t end) {
  std::vector<BrokenImage> images;
  for (std::int64_t i = first; i < end; ++i)
    images.push_back({.index = i, .why = "cannot decode '" + std::to_string(i) + "'"});
  return images;
}

TEST(BrokenImages, AreNewOnlyOnce) {
  BrokenImages images(1000, "training");
  EXPECT_EQ(images.add(broken(2, 5)).size(), 3U);
  EXPECT_EQ(images.add(broken(2, 5)).size(), 0U);
  EXPECT_EQ(images.add(broken(4, 6)).size(), 1U);
  EXPECT_EQ(images.count(), 4);
}

TEST(BrokenImages, NineAreBorneAndTenOfAThousandAndElevenAreNot) {
  const auto borne = [](std::int64_t count, std::int64_t images) {
    BrokenImages all(images, "training");
    static_cast<void>(all.add(broken(0, count)));
    try {
      all.check();
      return true;
    } catch (const Error&) {
      return false;
    }
  };
  EXPECT_TRUE(borne(9, 10));
  EXPECT_TRUE(borne(9, 999));
  EXPECT_FALSE(borne(10, 999));
  EXPECT_TRUE(borne(10, 1000));
  EXPECT_FALSE(borne(11, 1000));
  EXPECT_TRUE(borne(2, 3));
  EXPECT_FALSE(borne(3, 3)) << "none can be read";
  EXPECT_TRUE(borne(0, 0));
}

TEST(BrokenImages, TooManyAreCountedAndTheLastIsNamed) {
  BrokenImages images(1000, "test");
  EXPECT_EQ(images.add(broken(0, 20)).size(), 20U) << "all of a batch are named before it ends";
  try {
    images.check();
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "train: 20 of 1000 test images cannot be read; the last one: cannot decode '19'");
  }
}

}  // namespace
}  // namespace octconv::train
