// SPDX-License-Identifier: Apache-2.0
// With u = output pixel + padding_begin = stride * q + r, tap t reads input pixel q - e where
// e = (dilation * t - r) / stride is whole: so a convolution of 1 + dilation (kernel - 1) / stride
// taps makes, at its pixel q, output pixel r of cell q as channels of its own.
#include "engine/conv_transpose.h"

#include <algorithm>

namespace octconv::engine {
namespace {

std::size_t index(std::int64_t id) {
  return static_cast<std::size_t>(id);
}

// Without its channels.
ConvOptions small_window(const ConvTranspose& conv, const Shape& octave) {
  const std::size_t rank = octave.rank();
  ConvOptions small{.kernel = conv.kernel,
                    .stride = Shape::filled(rank, 1),
                    .dilation = Shape::filled(rank, 1),
                    .padding_begin = conv.kernel,
                    .padding_end = conv.kernel,
                    .groups = conv.groups,
                    .octave = octave};
  for (std::size_t axis = 0; axis < rank; ++axis) {
    const std::int64_t stride = conv.stride[axis];
    const std::int64_t reach = conv.dilation[axis] * (conv.kernel[axis] - 1);
    small.kernel[axis] = reach / stride + 1;
    small.padding_begin[axis] = small.kernel[axis] - 1;
    // Cells beyond the input's that hold an output pixel.
    small.padding_end[axis] =
        std::max<std::int64_t>(0, (reach - conv.padding_end[axis] + stride) / stride - 1);
  }
  return small;
}

// The tap of the small kernel that is the given one for pixel `r` of a cell, or -1.
std::int64_t small_tap(const ConvTranspose& conv, const Shape& kernel, std::int64_t r,
                       std::int64_t tap) {
  std::int64_t place = 0;
  std::int64_t size = 1;
  for (std::size_t axis = kernel.rank(); axis-- > 0;) {
    const std::int64_t distance =
        conv.dilation[axis] * (tap % conv.kernel[axis]) - r % conv.stride[axis];
    if (distance % conv.stride[axis] != 0) return -1;
    place += (kernel[axis] - 1 - distance / conv.stride[axis]) * size;
    size *= kernel[axis];
    tap /= conv.kernel[axis];
    r /= conv.stride[axis];
  }
  return place;
}

}  // namespace

OctConvWeights cell_conv(const ConvTranspose& conv, std::int64_t in, const Shape& octave,
                         std::span<const float> weight, std::span<const float> bias,
                         const std::optional<Affine>& norm) {
  const std::int64_t group = conv.out_channels / conv.groups;
  const std::int64_t columns = in / conv.groups;
  const std::int64_t cell = conv.stride.elements();
  const std::int64_t taps = conv.kernel.elements();
  ConvOptions options = small_window(conv, octave);
  options.in = {.high = in};
  options.out = {.high = cell * conv.out_channels};
  const std::int64_t small_taps = options.kernel.elements();
  Tensor weights(Shape{options.out.high, columns, small_taps});
  Tensor biases(Shape{options.out.high});
  for (std::int64_t out = 0; out < conv.out_channels; ++out) {
    const double scale = norm ? norm->scale[index(out)] : 1;
    double shift = norm ? norm->shift[index(out)] : 0;
    if (!bias.empty()) shift += scale * static_cast<double>(bias[index(out)]);
    for (std::int64_t r = 0; r < cell; ++r) {
      const std::int64_t row = (out / group * cell + r) * group + out % group;
      biases.values()[index(row)] = static_cast<float>(shift);
      for (std::int64_t tap = 0; tap < taps; ++tap) {
        const std::int64_t to = small_tap(conv, options.kernel, r, tap);
        if (to < 0) continue;
        for (std::int64_t column = 0; column < columns; ++column) {
          const std::int64_t from =
              ((out / group * columns + column) * group + out % group) * taps + tap;
          weights.values()[index((row * columns + column) * small_taps + to)] =
              static_cast<float>(scale * static_cast<double>(weight[index(from)]));
        }
      }
    }
  }
  return OctConvWeights(options, weights.values(), biases.values());
}

}  // namespace octconv::engine
