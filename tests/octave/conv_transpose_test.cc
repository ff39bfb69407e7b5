// SPDX-License-Identifier: Apache-2.0
// The paths of a transposed octave convolution.
#include "octconv/octave/conv_transpose.h"

#include <gtest/gtest.h>

#include "octconv/base/error.h"

namespace octconv {
namespace {

ConvTransposeOptions layer(std::int64_t kernel, std::int64_t stride, std::int64_t padding,
                           std::int64_t output_padding) {
  return {.in = {4, 2},
          .out = {7, 3},
          .kernel = {kernel, kernel},
          .stride = {stride, stride},
          .dilation = {1, 1},
          .padding = {padding, padding},
          .output_padding = {output_padding, output_padding},
          .octave = {2, 2}};
}

TEST(ConvTranspose, BlocksTileTheWeight) {
  const ConvTransposeOptions options = layer(2, 2, 0, 0);
  check(options);
  std::vector<std::vector<int>> covered(6, std::vector<int>(10));
  for (const ConvPath& path : conv_paths(options)) {
    for (std::int64_t r = path.row; r < path.row + path.rows; ++r) {
      for (std::int64_t c = path.column; c < path.column + path.columns; ++c) {
        ++covered[static_cast<std::size_t>(r)][static_cast<std::size_t>(c)];
      }
    }
  }
  for (const auto& row : covered) {
    for (const int times : row) EXPECT_EQ(times, 1);
  }
}

TEST(ConvTranspose, ExtentsFollowPyTorchsFormula) {
  EXPECT_EQ(output_extents(layer(2, 2, 0, 0), {5, 6}), (Shape{10, 12}));
  EXPECT_EQ(output_extents(layer(4, 2, 1, 0), {5, 6}), (Shape{10, 12}));
  EXPECT_EQ(output_extents(layer(3, 2, 1, 1), {5, 6}), (Shape{10, 12}));
  EXPECT_EQ(output_extents(layer(3, 2, 1, 0), {5, 6}), (Shape{9, 11}));
  EXPECT_EQ(output_extents(layer(3, 1, 1, 0), {5, 6}), (Shape{5, 6}));
  EXPECT_THROW(static_cast<void>(output_extents(layer(1, 1, 3, 0), {5, 6})), InvalidArgument);
}

TEST(ConvTranspose, RefusesWhatTheLowGridCannotFollow) {
  EXPECT_NO_THROW(check(layer(4, 2, 1, 0)));
  EXPECT_THROW(check(layer(3, 1, 0, 0)), Unsupported);
  EXPECT_THROW(check(layer(3, 2, 0, 0)), Unsupported);
  EXPECT_THROW(check(layer(3, 3, 0, 0)), Unsupported);
  EXPECT_THROW(check(layer(2, 2, 0, 2)), InvalidArgument);
  ConvTransposeOptions ordinary = layer(3, 3, 0, 0);
  ordinary.in = {6, 0};
  ordinary.out = {10, 0};
  EXPECT_NO_THROW(check(ordinary));
}

}  // namespace
}  // namespace octconv
