// SPDX-License-Identifier: Apache-2.0
// The octave convolution as the article's equations say it: one output pixel at a time, in double.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "octconv/octave/conv.h"

namespace octconv::nn::reference {

/// [n, c, d, h, w]; lower ranks have leading extents of 1.
struct Map {
  std::array<std::int64_t, 5> shape{};
  std::vector<double> values;

  explicit Map(std::array<std::int64_t, 5> extents = {0, 0, 1, 1, 1})
      : shape(extents),
        values(static_cast<std::size_t>(extents[0] * extents[1] * extents[2] * extents[3] *
                                        extents[4])) {}
  double& at(std::int64_t n, std::int64_t c, std::int64_t d, std::int64_t h, std::int64_t w) {
    return values[static_cast<std::size_t>(
        (((n * shape[1] + c) * shape[2] + d) * shape[3] + h) * shape[4] + w)];
  }
  double at(std::int64_t n, std::int64_t c, std::int64_t d, std::int64_t h, std::int64_t w) const {
    return const_cast<Map*>(this)->at(n, c, d, h, w);
  }
  bool empty() const { return shape[1] == 0; }
};

struct Value {
  Map high;
  Map low;
};

/// Three numbers per axis, the leading ones filled up.
using Axes = std::array<std::int64_t, 3>;

inline Axes axes(const Shape& shape, std::int64_t filler) {
  Axes all{filler, filler, filler};
  for (std::size_t i = 0; i < shape.rank(); ++i) all[3 - shape.rank() + i] = shape[i];
  return all;
}

inline Map mean_pool(const Map& x, const Axes& window) {
  std::array<std::int64_t, 5> shape = x.shape;
  for (std::size_t i = 0; i < 3; ++i) shape[i + 2] = (shape[i + 2] + window[i] - 1) / window[i];
  Map y(shape);
  for (std::int64_t n = 0; n < shape[0]; ++n)
    for (std::int64_t c = 0; c < shape[1]; ++c)
      for (std::int64_t d = 0; d < shape[2]; ++d)
        for (std::int64_t h = 0; h < shape[3]; ++h)
          for (std::int64_t w = 0; w < shape[4]; ++w) {
            double sum = 0;
            int count = 0;
            for (std::int64_t i = d * window[0]; i < std::min((d + 1) * window[0], x.shape[2]); ++i)
              for (std::int64_t j = h * window[1]; j < std::min((h + 1) * window[1], x.shape[3]);
                   ++j)
                for (std::int64_t k = w * window[2]; k < std::min((w + 1) * window[2], x.shape[4]);
                     ++k) {
                  sum += x.at(n, c, i, j, k);
                  ++count;
                }
            y.at(n, c, d, h, w) = sum / count;
          }
  return y;
}

/// dst(p) += conv(src; W)(p / factor) for every pixel p of dst: factor 1 is a convolution, more one
/// that is upsampled by nearest neighbour. Input channel c of the frequency is channel `in_first +
/// c` of the layer.
inline void add_conv(Map& dst, const Map& src, const std::vector<double>& weight,
                     const ConvOptions& o, const Axes& stride, const Axes& factor,
                     std::int64_t out_first, std::int64_t in_first) {
  const Axes kernel = axes(o.kernel, 1);
  const Axes dilation = axes(o.dilation, 1);
  const Axes padding = axes(o.padding_begin, 0);
  const bool depthwise = o.groups > 1 && o.groups == o.in.total() && o.groups == o.out.total();
  const std::int64_t group_in = o.in.total() / o.groups;
  for (std::int64_t n = 0; n < dst.shape[0]; ++n)
    for (std::int64_t row = 0; row < dst.shape[1]; ++row)
      for (std::int64_t d = 0; d < dst.shape[2]; ++d)
        for (std::int64_t h = 0; h < dst.shape[3]; ++h)
          for (std::int64_t w = 0; w < dst.shape[4]; ++w)
            for (std::int64_t c = 0; c < src.shape[1]; ++c) {
              // Group g of a frequency has its own equal share of that frequency's channels on both
              // sides.
              std::int64_t column = c + in_first;
              if (depthwise) {
                if (c != row) continue;
                column = 0;
              } else if (o.groups > 1) {
                const std::int64_t in_share = src.shape[1] / o.groups;
                if (c / in_share != row / (dst.shape[1] / o.groups)) continue;
                column = (in_first == 0 ? 0 : in_first / o.groups) + c % in_share;
              }
              for (std::int64_t a = 0; a < kernel[0]; ++a)
                for (std::int64_t b = 0; b < kernel[1]; ++b)
                  for (std::int64_t e = 0; e < kernel[2]; ++e) {
                    const std::int64_t i = d / factor[0] * stride[0] + a * dilation[0] - padding[0];
                    const std::int64_t j = h / factor[1] * stride[1] + b * dilation[1] - padding[1];
                    const std::int64_t k = w / factor[2] * stride[2] + e * dilation[2] - padding[2];
                    if (i < 0 || i >= src.shape[2] || j < 0 || j >= src.shape[3] || k < 0 ||
                        k >= src.shape[4])
                      continue;
                    const std::int64_t index =
                        ((((out_first + row) * group_in + column) * kernel[0] + a) * kernel[1] +
                         b) *
                            kernel[2] +
                        e;
                    dst.at(n, row, d, h, w) +=
                        src.at(n, c, i, j, k) * weight[static_cast<std::size_t>(index)];
                  }
            }
}

inline std::int64_t strided_extent(std::int64_t in, std::int64_t k, std::int64_t s, std::int64_t d,
                                   std::int64_t p) {
  return (in + p - d * (k - 1) - 1) / s + 1;
}

/// Y_high = conv(X_high; W_hh) + upsample(conv(X_low; W_lh)), Y_low = conv(X_low; W_ll) +
/// conv(pool(X_high); W_hl), with what each stride mode does instead of a stride.
inline Value oct_conv(const Value& x, const std::vector<double>& weight,
                      const std::vector<double>& bias, const ConvOptions& o, std::int64_t batch,
                      const Shape& extents) {
  const Axes one{1, 1, 1};
  const Axes octave = axes(o.octave, 1);
  const Axes stride = axes(o.stride, 1);
  const bool strided = stride != one;
  const bool pooled = strided && o.stride_mode != StrideMode::kStrided;
  const Axes conv_stride = pooled ? one : stride;
  const Axes first_pool = pooled ? stride : one;

  const Axes in = axes(extents, 1);
  const Axes kernel = axes(o.kernel, 1);
  const Axes dilation = axes(o.dilation, 1);
  const Axes begin = axes(o.padding_begin, 0);
  const Axes end = axes(o.padding_end, 0);
  std::array<std::int64_t, 5> high{batch, o.out.high, 1, 1, 1};
  std::array<std::int64_t, 5> low{batch, o.out.low, 1, 1, 1};
  for (std::size_t i = 0; i < 3; ++i) {
    const std::int64_t start = (in[i] + first_pool[i] - 1) / first_pool[i];
    high[i + 2] = strided_extent(start, kernel[i], conv_stride[i], dilation[i], begin[i] + end[i]);
    low[i + 2] = (high[i + 2] + octave[i] - 1) / octave[i];
  }
  Value y{Map(high), Map(low)};
  const auto add_bias = [&](Map& map, std::int64_t first) {
    const std::int64_t pixels = map.shape[2] * map.shape[3] * map.shape[4];
    for (std::size_t i = 0; i < map.values.size() && !bias.empty(); ++i) {
      map.values[i] += bias[static_cast<std::size_t>(first + static_cast<std::int64_t>(i) / pixels %
                                                                 map.shape[1])];
    }
  };
  add_bias(y.high, o.out.low);
  add_bias(y.low, 0);

  const bool depthwise = o.groups > 1 && o.groups == o.in.total() && o.groups == o.out.total();
  const bool all_four = !x.high.empty() && !x.low.empty() && o.out.high > 0 && o.out.low > 0;
  const bool down = !depthwise && (!all_four || o.exchange == Exchange::kBoth ||
                                   o.exchange == Exchange::kHighToLow);
  const bool up = !depthwise && (!all_four || o.exchange == Exchange::kBoth ||
                                 o.exchange == Exchange::kLowToHigh);
  if (!x.high.empty()) {
    const Map staged = mean_pool(x.high, first_pool);
    add_conv(y.high, staged, weight, o, conv_stride, one, o.out.low, o.in.low);
    if (down) {
      Axes window = octave;
      if (o.stride_mode == StrideMode::kPool && pooled) {
        for (std::size_t i = 0; i < 3; ++i) window[i] *= stride[i];
      }
      const bool twice = pooled && o.stride_mode != StrideMode::kPool;
      add_conv(y.low, mean_pool(twice ? staged : x.high, window), weight, o, conv_stride, one, 0,
               o.in.low);
    }
  }
  if (!x.low.empty()) {
    add_conv(y.low, mean_pool(x.low, first_pool), weight, o, conv_stride, one, 0, 0);
    if (up) {
      Axes window = first_pool;
      Axes factor = octave;
      if (pooled && o.stride_mode != StrideMode::kPoolLow) {
        // The low grid is the strided high grid already where an axis is halved by both.
        for (std::size_t i = 0; i < 3; ++i) {
          if (stride[i] == octave[i]) window[i] = factor[i] = 1;
        }
      }
      add_conv(y.high, mean_pool(x.low, window), weight, o, conv_stride, factor, o.out.low, 0);
    }
  }
  return y;
}

}  // namespace octconv::nn::reference
