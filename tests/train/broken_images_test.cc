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
  BrokenImages few(10, "training");
  EXPECT_NO_THROW(few.add(broken(0, 9)));
  BrokenImages less(999, "test");
  EXPECT_NO_THROW(less.add(broken(0, 9)));
  EXPECT_THROW(less.add(broken(9, 10)), Error);
  BrokenImages images(1000, "test");
  EXPECT_NO_THROW(images.add(broken(0, 10)));
  try {
    images.add(broken(10, 20));
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "train: 11 of 1000 test images cannot be read; the last one: cannot decode '10'");
  }
}

TEST(BrokenImages, AllOfFewAreTooMany) {
  BrokenImages images(3, "training");
  EXPECT_NO_THROW(images.add(broken(0, 2)));
  EXPECT_THROW(images.add(broken(2, 3)), Error);
}

}  // namespace
}  // namespace octconv::train
