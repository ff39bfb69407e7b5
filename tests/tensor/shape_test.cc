// SPDX-License-Identifier: Apache-2.0
// Short lists of extents.
#include "octconv/tensor/shape.h"

#include <limits>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octconv/base/error.h"

namespace octconv {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

std::vector<std::int64_t> extents(const Shape& shape) {
  return {shape.begin(), shape.end()};
}

constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();

TEST(Shape, HoldsItsExtentsInOrder) {
  Shape shape{2, 3};
  shape.push_back(5);
  shape[0] = 7;
  EXPECT_THAT(extents(shape), ElementsAre(7, 3, 5));
  EXPECT_EQ(shape.rank(), 3u);
  EXPECT_EQ(shape.to_string(), "[7, 3, 5]");
  EXPECT_EQ(Shape(std::vector<std::int64_t>{7, 3, 5}), shape);
}

TEST(Shape, WithoutExtentsIsAScalar) {
  const Shape shape;
  EXPECT_TRUE(shape.empty());
  EXPECT_EQ(shape.elements(), 1);
  EXPECT_EQ(shape.to_string(), "[]");
}

TEST(Shape, FilledRepeatsOneExtent) {
  EXPECT_THAT(extents(Shape::filled(3, 2)), ElementsAre(2, 2, 2));
  EXPECT_EQ(Shape::filled(0, 2), Shape());
}

TEST(Shape, ComparesExtentsAndRank) {
  EXPECT_EQ((Shape{1, 2}), (Shape{1, 2}));
  EXPECT_NE((Shape{1, 2}), (Shape{2, 1}));
  EXPECT_NE((Shape{1}), (Shape{1, 1}));
  EXPECT_NE((Shape{}), (Shape{0}));  // the unused extents are zero too
}

TEST(Shape, RefusesANinthExtent) {
  Shape shape = Shape::filled(8, 1);
  EXPECT_THROW(shape.push_back(1), InvalidArgument);
  EXPECT_EQ(shape.rank(), 8u);
  EXPECT_THROW(Shape({1, 1, 1, 1, 1, 1, 1, 1, 1}), InvalidArgument);
  EXPECT_THROW(static_cast<void>(Shape::filled(9, 1)), InvalidArgument);
}

TEST(Shape, CountsElementsUpTo63Bits) {
  EXPECT_EQ((Shape{2, 3, 4}).elements(), 24);
  EXPECT_EQ((Shape{kMax}).elements(), kMax);
  EXPECT_EQ((Shape{std::int64_t{1} << 31, std::int64_t{1} << 31}).elements(),
            std::int64_t{1} << 62);
  EXPECT_EQ((Shape{0, kMax, kMax}).elements(), 0);
}

TEST(Shape, RefusesMoreElementsThan63BitsCount) {
  for (const Shape& shape :
       {Shape{std::int64_t{1} << 32, std::int64_t{1} << 31}, Shape{kMax, 2},
        // 2^64: a product that wraps around to 0.
        Shape{std::int64_t{1} << 32, std::int64_t{1} << 32}, Shape{kMax, kMax, kMax}}) {
    EXPECT_THAT([&] { static_cast<void>(shape.elements()); },
                ThrowsMessage<InvalidArgument>(HasSubstr(shape.to_string())));
  }
}

TEST(Shape, RefusesToCountNegativeExtents) {
  for (const Shape& shape : {Shape{-1}, Shape{-2, -3}, Shape{2, -1}, Shape{0, -1}}) {
    EXPECT_THAT([&] { static_cast<void>(shape.elements()); },
                ThrowsMessage<InvalidArgument>(HasSubstr(shape.to_string())));
  }
}

}  // namespace
}  // namespace octconv
