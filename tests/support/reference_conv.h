// SPDX-License-Identifier: Apache-2.0
// The octave convolution straight from the article's equations, in double and one number at a time.
// Shares no code with the library: only the options' meaning.
//
//   Y_high = conv(X_high; W_hh) + upsample( conv(X_low; W_lh) )
//   Y_low  = conv(X_low;  W_ll) + conv( pool(X_high); W_hl )
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "octconv/octave/conv.h"
#include "octconv/tensor/shape.h"

namespace octconv::reference {

/// One frequency of one image, channels first, and how far a float32 computation may be from it:
/// every element is a sum of products, `magnitudes` is the same sum of their absolute values, and
/// no element has more than `terms` roundings. So |computed - value| <= terms * epsilon *
/// magnitude.
struct Map {
  std::int64_t channels = 0;
  Shape extents;
  std::vector<double> values;
  std::vector<double> magnitudes;
  std::int64_t terms = 1;

  Map() = default;
  Map(std::int64_t channel_count, Shape shape)
      : channels(channel_count),
        extents(shape),
        values(static_cast<std::size_t>(channel_count * shape.elements()), 0.0),
        magnitudes(values.size(), 0.0) {}

  [[nodiscard]] std::int64_t pixels() const { return extents.elements(); }
  [[nodiscard]] std::size_t index(std::int64_t channel, std::int64_t pixel) const {
    return static_cast<std::size_t>(channel * pixels() + pixel);
  }
  [[nodiscard]] double tolerance(std::size_t i) const {
    return static_cast<double>(terms) * std::numeric_limits<float>::epsilon() * magnitudes[i];
  }
};

/// Coordinates of a pixel, last axis fastest.
inline Shape unravel(std::int64_t pixel, const Shape& extents) {
  Shape at = extents;
  for (std::size_t axis = extents.rank(); axis-- > 0;) {
    at[axis] = pixel % extents[axis];
    pixel /= extents[axis];
  }
  return at;
}

/// Index of a pixel, or -1 if it is outside.
inline std::int64_t ravel(const Shape& at, const Shape& extents) {
  std::int64_t pixel = 0;
  for (std::size_t axis = 0; axis < extents.rank(); ++axis) {
    if (at[axis] < 0 || at[axis] >= extents[axis]) return -1;
    pixel = pixel * extents[axis] + at[axis];
  }
  return pixel;
}

inline Map from_values(std::int64_t channels, const Shape& extents, std::span<const float> values) {
  Map map(channels, extents);
  for (std::size_t i = 0; i < map.values.size(); ++i) {
    map.values[i] = static_cast<double>(values[i]);
    map.magnitudes[i] = std::abs(map.values[i]);
  }
  return map;
}

/// Mean over windows of the real pixels, ceil mode; stride and window are the same.
inline Map average_pool(const Map& in, const Shape& window) {
  Shape extents = in.extents;
  for (std::size_t axis = 0; axis < extents.rank(); ++axis) {
    extents[axis] = (in.extents[axis] + window[axis] - 1) / window[axis];
  }
  Map out(in.channels, extents);
  out.terms = in.terms + window.elements() + 1;
  for (std::int64_t channel = 0; channel < in.channels; ++channel) {
    for (std::int64_t pixel = 0; pixel < out.pixels(); ++pixel) {
      std::int64_t count = 0;
      double sum = 0;
      double magnitude = 0;
      for (std::int64_t tap = 0; tap < window.elements(); ++tap) {
        Shape at = unravel(pixel, extents);
        const Shape offset = unravel(tap, window);
        for (std::size_t axis = 0; axis < at.rank(); ++axis) {
          at[axis] = at[axis] * window[axis] + offset[axis];
        }
        const std::int64_t from = ravel(at, in.extents);
        if (from < 0) continue;
        ++count;
        sum += in.values[in.index(channel, from)];
        magnitude += in.magnitudes[in.index(channel, from)];
      }
      out.values[out.index(channel, pixel)] = sum / static_cast<double>(count);
      out.magnitudes[out.index(channel, pixel)] = magnitude / static_cast<double>(count);
    }
  }
  return out;
}

/// Nearest neighbour by whole factors, cropped to `extents`.
inline Map upsample(const Map& in, const Shape& factor, const Shape& extents) {
  Map out(in.channels, extents);
  out.terms = in.terms;
  for (std::int64_t channel = 0; channel < in.channels; ++channel) {
    for (std::int64_t pixel = 0; pixel < out.pixels(); ++pixel) {
      Shape at = unravel(pixel, extents);
      for (std::size_t axis = 0; axis < at.rank(); ++axis) at[axis] /= factor[axis];
      const std::int64_t from = ravel(at, in.extents);
      out.values[out.index(channel, pixel)] = in.values[in.index(channel, from)];
      out.magnitudes[out.index(channel, pixel)] = in.magnitudes[in.index(channel, from)];
    }
  }
  return out;
}

/// Elementwise sum.
inline Map add(const Map& a, const Map& b) {
  Map sum = a;
  sum.terms = std::max(a.terms, b.terms) + 1;
  for (std::size_t i = 0; i < sum.values.size(); ++i) {
    sum.values[i] += b.values[i];
    sum.magnitudes[i] += b.magnitudes[i];
  }
  return sum;
}

/// A layer's weight [out, in / groups, kernel...], low channels first among rows and columns.
class Layer {
 public:
  Layer(const ConvOptions& options, std::span<const float> weight, std::span<const float> bias)
      : options_(options), weight_(weight), bias_(bias) {}

  /// Both frequencies of the output; a frequency without channels is an empty map.
  [[nodiscard]] std::pair<Map, Map> operator()(const Map& high, const Map& low) const {
    const ConvOptions& o = options_;
    const Shape ones = Shape::filled(o.rank(), 1);
    const bool pools = o.stride_mode != StrideMode::kStrided;
    const Shape& stride = pools ? ones : o.stride;  // of the convolutions
    const Shape& shrink = pools ? o.stride : ones;  // by pooling

    const bool in_high = o.in.high > 0;
    const bool in_low = o.in.low > 0;
    const bool out_high = o.out.high > 0;
    const bool out_low = o.out.low > 0;
    const bool all = in_high && in_low && out_high && out_low;
    const bool depthwise = o.groups > 1 && o.groups == o.in.total() && o.groups == o.out.total();
    const bool up = o.exchange == Exchange::kBoth || o.exchange == Exchange::kLowToHigh;
    const bool down = o.exchange == Exchange::kBoth || o.exchange == Exchange::kHighToLow;

    std::pair<Map, Map> result;
    std::vector<Map> to_high;
    std::vector<Map> to_low;
    if (in_high && out_high) {
      to_high.push_back(convolve(average_pool(high, shrink), kHigh, kHigh, stride));
    }
    if (in_low && out_low) {
      to_low.push_back(convolve(average_pool(low, shrink), kLow, kLow, stride));
    }
    if (in_high && out_low && !depthwise && (down || !all)) {
      Map pooled;
      if (pools && o.stride_mode == StrideMode::kPool) {
        Shape window = o.octave;
        for (std::size_t axis = 0; axis < o.rank(); ++axis) window[axis] *= o.stride[axis];
        pooled = average_pool(high, window);
      } else {
        pooled = average_pool(average_pool(high, shrink), o.octave);
      }
      to_low.push_back(convolve(pooled, kHigh, kLow, stride));
    }
    if (in_low && out_high && !depthwise && (up || !all)) {
      Shape window = shrink;
      Shape factor = o.octave;
      if (pools && o.stride_mode != StrideMode::kPoolLow) {
        // The low grid is the strided high grid already, along the axes where both are half.
        for (std::size_t axis = 0; axis < o.rank(); ++axis) {
          if (o.stride[axis] == o.octave[axis]) window[axis] = factor[axis] = 1;
        }
      }
      const Map pooled = average_pool(low, window);
      if (o.low_to_high == LowToHigh::kUpsampleThenConv && factor.elements() > 1) {
        // To the grid that the high path reads.
        Shape grid = high.extents;
        for (std::size_t axis = 0; axis < o.rank(); ++axis)
          grid[axis] = (grid[axis] + shrink[axis] - 1) / shrink[axis];
        to_high.push_back(convolve(upsample(pooled, factor, grid), kLow, kHigh, stride));
      } else {
        const Map small = convolve(pooled, kLow, kHigh, stride);
        to_high.push_back(upsample(small, factor, result_extents(to_high, high.extents)));
      }
    }
    if (out_high) result.first = sum(to_high, o.out.low);
    if (out_low) result.second = sum(to_low, 0);
    return result;
  }

 private:
  static constexpr bool kHigh = true;
  static constexpr bool kLow = false;

  [[nodiscard]] Shape result_extents(const std::vector<Map>& to_high, const Shape& high) const {
    // Without high input there is no high path to take the extents from.
    return to_high.empty() ? output_extents(options_, high) : to_high[0].extents;
  }

  // A plain grouped convolution of one block of the weight.
  [[nodiscard]] Map convolve(const Map& in, bool from_high, bool to_high,
                             const Shape& stride) const {
    const ConvOptions& o = options_;
    const bool depthwise = o.groups > 1 && o.groups == o.in.total() && o.groups == o.out.total();
    const std::int64_t rows = to_high ? o.out.high : o.out.low;
    const std::int64_t groups = depthwise ? rows : o.groups;
    const std::int64_t columns = in.channels / groups;
    const std::int64_t row_begin = to_high ? o.out.low : 0;
    const std::int64_t column_begin = depthwise || !from_high ? 0 : o.in.low / o.groups;
    const std::int64_t row_length = o.in.total() / o.groups;

    Shape extents = in.extents;
    for (std::size_t axis = 0; axis < o.rank(); ++axis) {
      const std::int64_t span = o.dilation[axis] * (o.kernel[axis] - 1) + 1;
      extents[axis] =
          (in.extents[axis] + o.padding_begin[axis] + o.padding_end[axis] - span) / stride[axis] +
          1;
    }
    Map out(rows, extents);
    const std::int64_t taps = o.kernel.elements();
    out.terms = in.terms + columns * taps;
    for (std::int64_t row = 0; row < rows; ++row) {
      const std::int64_t group = row / (rows / groups);
      for (std::int64_t pixel = 0; pixel < out.pixels(); ++pixel) {
        const std::size_t to = out.index(row, pixel);
        for (std::int64_t tap = 0; tap < taps; ++tap) {
          Shape at = unravel(pixel, extents);
          const Shape k = unravel(tap, o.kernel);
          for (std::size_t axis = 0; axis < o.rank(); ++axis) {
            at[axis] = at[axis] * stride[axis] - o.padding_begin[axis] + k[axis] * o.dilation[axis];
          }
          const std::int64_t from = ravel(at, in.extents);
          if (from < 0) continue;
          for (std::int64_t column = 0; column < columns; ++column) {
            const auto w = static_cast<double>(weight_[static_cast<std::size_t>(
                ((row_begin + row) * row_length + column_begin + column) * taps + tap)]);
            const std::size_t x = in.index(group * columns + column, from);
            out.values[to] += w * in.values[x];
            out.magnitudes[to] += std::abs(w) * in.magnitudes[x];
          }
        }
      }
    }
    return out;
  }

  // The sum of the paths and of the bias, which is added once.
  [[nodiscard]] Map sum(const std::vector<Map>& paths, std::int64_t row_begin) const {
    Map total(paths[0].channels, paths[0].extents);
    total.terms = 1;
    for (const Map& path : paths) {
      total.terms += path.terms;
      for (std::size_t i = 0; i < total.values.size(); ++i) {
        total.values[i] += path.values[i];
        total.magnitudes[i] += path.magnitudes[i];
      }
    }
    if (bias_.empty()) return total;
    for (std::int64_t channel = 0; channel < total.channels; ++channel) {
      const auto bias = static_cast<double>(bias_[static_cast<std::size_t>(row_begin + channel)]);
      for (std::int64_t pixel = 0; pixel < total.pixels(); ++pixel) {
        total.values[total.index(channel, pixel)] += bias;
        total.magnitudes[total.index(channel, pixel)] += std::abs(bias);
      }
    }
    return total;
  }

  ConvOptions options_;
  std::span<const float> weight_;
  std::span<const float> bias_;
};

}  // namespace octconv::reference
