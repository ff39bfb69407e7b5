// SPDX-License-Identifier: Apache-2.0
// Why octave convolution averages instead of striding (figure 7 of the article): a pixel that goes
// down to the low grid and up again.
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "octconv/nn/oct_conv.h"

namespace octconv::nn {
namespace {

constexpr std::int64_t kExtent = 12;

// A layer of one channel in and out, with a kernel of 3 along each axis.
ConvOptions layer(std::size_t rank, ChannelSplit in, ChannelSplit out, Downsample downsample) {
  return {.in = in,
          .out = out,
          .kernel = Shape::filled(rank, 3),
          .stride = Shape::filled(rank, 1),
          .dilation = Shape::filled(rank, 1),
          .padding_begin = Shape::filled(rank, 1),
          .padding_end = Shape::filled(rank, 1),
          .octave = Shape::filled(rank, 2),
          .downsample = downsample};
}

// 1 2 1 along each axis: symmetric about its centre, and the same sum over even and odd taps.
at::Tensor smooth_kernel(std::size_t rank) {
  const at::Tensor taps = at::tensor({0.25, 0.5, 0.25}, at::kDouble);
  at::Tensor kernel = at::ones({1, 1}, at::kDouble);
  for (std::size_t axis = 0; axis < rank; ++axis) kernel = kernel.unsqueeze(-1) * taps;
  return kernel;
}

// Where the mass of a map lies along an axis, in pixels.
double centre(const at::Tensor& map, std::int64_t axis) {
  std::vector<std::int64_t> others;
  for (std::int64_t i = 0; i < map.dim(); ++i) {
    if (i != axis) others.push_back(i);
  }
  const at::Tensor profile = map.sum(others);
  const at::Tensor places = at::arange(map.size(axis), at::kDouble);
  return ((profile * places).sum() / profile.sum()).item<double>();
}

// Over the pixels of one cell in the middle of a map: how far the centre of mass of a pixel is
// moved along the first axis by high_to_low and then low_to_high.
double mean_shift(std::size_t rank, Downsample downsample) {
  const ChannelSplit high{.high = 1, .low = 0};
  const ChannelSplit low{.high = 0, .low = 1};
  const at::Tensor kernel = smooth_kernel(rank);
  std::vector<std::int64_t> shape{1, 1};
  shape.insert(shape.end(), rank, kExtent);
  const std::int64_t phases = std::int64_t{1} << rank;
  double shift = 0;
  for (std::int64_t phase = 0; phase < phases; ++phase) {
    at::Tensor image = at::zeros(shape, at::kDouble);
    at::Tensor pixel = image[0][0];
    for (std::size_t axis = 0; axis < rank; ++axis)
      pixel = pixel[kExtent / 2 + (phase >> axis & 1)];
    pixel.fill_(1);
    const OctTensor down = oct_conv(image, kernel, {}, layer(rank, high, low, downsample));
    const OctTensor up = oct_conv(down, kernel, {}, layer(rank, low, high, downsample));
    shift += centre(up.high, 2) - centre(image, 2);
  }
  return shift / static_cast<double>(phases);
}

TEST(Alignment, StridedConvolutionsMoveAPixelByHalfAPixelAndAveragesDoNot) {
  for (const std::size_t rank : {1U, 2U, 3U}) {
    SCOPED_TRACE(rank);
    // Sums of a few dozen numbers of size 1 and places below 12.
    const double tolerance = 1e-12;
    EXPECT_NEAR(mean_shift(rank, Downsample::kAverage), 0, tolerance);
    EXPECT_NEAR(mean_shift(rank, Downsample::kStridedConv), 0.5, tolerance);
  }
}

}  // namespace
}  // namespace octconv::nn
