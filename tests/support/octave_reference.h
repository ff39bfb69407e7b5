// SPDX-License-Identifier: Apache-2.0
// Octave convolution in plain double-precision loops, from its equations and from what the known
// implementations do. It shares no code with the library: option names only.
//
// Every map has three spatial axes; lower ranks have leading extents of 1.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <stdexcept>
#include <vector>

#include "octconv/octave/options.h"

namespace octconv::reference {

using Axes = std::array<std::int64_t, 3>;

struct Map {
  std::int64_t batch = 0;
  std::int64_t channels = 0;
  Axes extents{1, 1, 1};
  std::vector<double> values;

  Map() = default;
  Map(std::int64_t n, std::int64_t c, Axes e)
      : batch(n),
        channels(c),
        extents(e),
        values(static_cast<std::size_t>(n * c * e[0] * e[1] * e[2])) {}

  [[nodiscard]] bool empty() const { return channels == 0; }
  double& at(std::int64_t n, std::int64_t c, const Axes& p) { return values[index(n, c, p)]; }
  [[nodiscard]] double at(std::int64_t n, std::int64_t c, const Axes& p) const {
    return values[index(n, c, p)];
  }

 private:
  [[nodiscard]] std::size_t index(std::int64_t n, std::int64_t c, const Axes& p) const {
    return static_cast<std::size_t>(
        (((n * channels + c) * extents[0] + p[0]) * extents[1] + p[1]) * extents[2] + p[2]);
  }
};

struct Pair {
  Map high;
  Map low;
};

struct Layer {
  std::int64_t in_high = 0, in_low = 0, out_high = 0, out_low = 0;
  Axes kernel{1, 1, 1}, stride{1, 1, 1}, dilation{1, 1, 1}, padding{0, 0, 0};
  Axes octave{1, 1, 1};
  std::int64_t groups = 1;
  StrideMode stride_mode = StrideMode::kStrided;
  Exchange exchange = Exchange::kBoth;
  LowToHigh low_to_high = LowToHigh::kConvThenUpsample;
  Downsample downsample = Downsample::kAverage;
  Upsample upsample = Upsample::kNearest;
  BiasRule bias_rule = BiasRule::kOnce;
  OddLow odd_low = OddLow::kCeil;
  GroupRule group_rule = GroupRule::kAll;
  PaddingMode padding_mode = PaddingMode::kZeros;
};

inline void for_each_pixel(const Axes& extents, const std::function<void(const Axes&)>& visit) {
  Axes p{};
  for (p[0] = 0; p[0] < extents[0]; ++p[0]) {
    for (p[1] = 0; p[1] < extents[1]; ++p[1]) {
      for (p[2] = 0; p[2] < extents[2]; ++p[2]) visit(p);
    }
  }
}

inline Axes divide(const Axes& extents, const Axes& by, OddLow odd) {
  Axes out{};
  for (std::size_t a = 0; a < 3; ++a) {
    out[a] = odd == OddLow::kFloor ? extents[a] / by[a] : (extents[a] + by[a] - 1) / by[a];
  }
  return out;
}

// Each window's average or maximum, over the pixels that exist.
inline Map pool(const Map& x, const Axes& window, bool maximum, OddLow odd) {
  Map y(x.batch, x.channels, divide(x.extents, window, odd));
  for (std::int64_t n = 0; n < x.batch; ++n) {
    for (std::int64_t c = 0; c < x.channels; ++c) {
      for_each_pixel(y.extents, [&](const Axes& p) {
        double sum = 0;
        double most = -std::numeric_limits<double>::infinity();
        int count = 0;
        for_each_pixel(window, [&](const Axes& w) {
          Axes q{};
          for (std::size_t a = 0; a < 3; ++a) {
            q[a] = p[a] * window[a] + w[a];
            if (q[a] >= x.extents[a]) return;
          }
          sum += x.at(n, c, q);
          most = std::max(most, x.at(n, c, q));
          ++count;
        });
        y.at(n, c, p) = maximum ? most : sum / count;
      });
    }
  }
  return y;
}

// Grows each axis by its factor (1 or 2) and takes the first `extents` pixels; beyond a floored low
// grid the last pixel repeats.
inline Map grow(const Map& x, const Axes& factor, const Axes& extents, Upsample how) {
  Map y(x.batch, x.channels, extents);
  for (std::int64_t n = 0; n < x.batch; ++n) {
    for (std::int64_t c = 0; c < x.channels; ++c) {
      for_each_pixel(extents, [&](const Axes& p) {
        // Along each axis two source pixels with weights.
        std::array<Axes, 2> source{};
        std::array<std::array<double, 3>, 2> weight{};
        for (std::size_t a = 0; a < 3; ++a) {
          const std::int64_t inside = std::min(p[a], x.extents[a] * factor[a] - 1);
          if (how == Upsample::kNearest || factor[a] == 1) {
            source[0][a] = source[1][a] = inside / factor[a];
            weight[0][a] = 1;
            weight[1][a] = 0;
            continue;
          }
          const double position = std::max(
              0.0, (static_cast<double>(inside) + 0.5) / static_cast<double>(factor[a]) - 0.5);
          const auto first = static_cast<std::int64_t>(std::floor(position));
          source[0][a] = first;
          source[1][a] = std::min(first + 1, x.extents[a] - 1);
          weight[1][a] = position - static_cast<double>(first);
          weight[0][a] = 1 - weight[1][a];
        }
        double sum = 0;
        for (std::size_t corner = 0; corner < 8; ++corner) {
          Axes q{};
          double share = 1;
          for (std::size_t a = 0; a < 3; ++a) {
            const std::size_t side = (corner >> a) & 1;
            q[a] = source[side][a];
            share *= weight[side][a];
          }
          if (share != 0) sum += share * x.at(n, c, q);
        }
        y.at(n, c, p) = sum;
      });
    }
  }
  return y;
}

// The pixel that stands at `at` on an axis of `extent` pixels, or -1 for a zero.
inline std::int64_t padded_index(std::int64_t at, std::int64_t extent, PaddingMode mode) {
  if (at >= 0 && at < extent) return at;
  switch (mode) {
    case PaddingMode::kZeros:
      return -1;
    case PaddingMode::kReplicate:
      return at < 0 ? 0 : extent - 1;
    case PaddingMode::kCircular:
      return (at % extent + extent) % extent;
    case PaddingMode::kReflect:
      return at < 0 ? -at : 2 * (extent - 1) - at;
  }
  throw std::logic_error("padding mode");
}

// A block of the layer's weight [rows, columns, kernel...] as its own convolution.
struct Block {
  const Map* weight;  // batch: output channels; channels: columns; extents: kernel
  std::int64_t row = 0, rows = 0, column = 0, columns = 0, groups = 1;
};

inline Map convolve(const Map& x, const Block& block, const Layer& layer, const Axes& stride) {
  Axes out{};
  for (std::size_t a = 0; a < 3; ++a) {
    out[a] = (x.extents[a] + 2 * layer.padding[a] - layer.dilation[a] * (layer.kernel[a] - 1) - 1) /
                 stride[a] +
             1;
  }
  Map y(x.batch, block.rows, out);
  for (std::int64_t n = 0; n < x.batch; ++n) {
    for (std::int64_t o = 0; o < block.rows; ++o) {
      const std::int64_t group = o / (block.rows / block.groups);
      for_each_pixel(out, [&](const Axes& p) {
        double sum = 0;
        for (std::int64_t c = 0; c < block.columns; ++c) {
          for_each_pixel(layer.kernel, [&](const Axes& t) {
            Axes q{};
            for (std::size_t a = 0; a < 3; ++a) {
              q[a] = padded_index(p[a] * stride[a] + t[a] * layer.dilation[a] - layer.padding[a],
                                  x.extents[a], layer.padding_mode);
              if (q[a] < 0) return;
            }
            sum += x.at(n, group * block.columns + c, q) *
                   block.weight->at(block.row + o, block.column + c, t);
          });
        }
        y.at(n, o, p) = sum;
      });
    }
  }
  return y;
}

inline void accumulate(Map& sum, const Map& term, const std::vector<double>& bias,
                       std::int64_t first_bias, bool with_bias) {
  if (sum.values.empty()) sum = Map(term.batch, term.channels, term.extents);
  if (sum.extents != term.extents || sum.channels != term.channels)
    throw std::logic_error("paths do not meet");
  for (std::int64_t n = 0; n < term.batch; ++n) {
    for (std::int64_t c = 0; c < term.channels; ++c) {
      const double b =
          with_bias && !bias.empty() ? bias[static_cast<std::size_t>(first_bias + c)] : 0.0;
      for_each_pixel(term.extents, [&](const Axes& p) { sum.at(n, c, p) += term.at(n, c, p) + b; });
    }
  }
}

// Groups of a path by the rule of its author; 0: the path does not exist.
inline std::int64_t groups_of(const Layer& l, bool from_low, bool to_low) {
  const std::int64_t in = l.in_high + l.in_low;
  const std::int64_t out = l.out_high + l.out_low;
  const std::int64_t path_out = to_low ? l.out_low : l.out_high;
  const std::int64_t path_in = from_low ? l.in_low : l.in_high;
  switch (l.group_rule) {
    case GroupRule::kAll:
      if (l.groups > 1 && l.groups == in && l.groups == out)
        return from_low == to_low ? path_out : 0;
      return l.groups;
    case GroupRule::kMinimum:
      return std::min(path_out, l.groups);
    case GroupRule::kProportional: {
      if (from_low != to_low) return l.groups > 1 && l.groups == in ? 0 : l.groups;
      const double share = static_cast<double>(path_in) / static_cast<double>(in);
      return static_cast<std::int64_t>(std::ceil(share * static_cast<double>(l.groups) - 1e-9));
    }
  }
  throw std::logic_error("group rule");
}

// The layer's output. `extents` are those of the high input grid.
inline Pair octave_conv(const Pair& x, const Axes& extents, const Map& weight,
                        const std::vector<double>& bias, const Layer& l) {
  const bool strided = l.stride != Axes{1, 1, 1};
  const bool pooled = strided && l.stride_mode != StrideMode::kStrided;
  const Axes ones{1, 1, 1};
  const Axes conv_stride = pooled ? ones : l.stride;
  Axes both{};
  for (std::size_t a = 0; a < 3; ++a) both[a] = l.stride[a] * l.octave[a];

  // High extents of the result: those that the high_to_high path has.
  const Axes seen = pooled ? divide(extents, l.stride, l.odd_low) : extents;
  Axes out{};
  for (std::size_t a = 0; a < 3; ++a) {
    out[a] =
        (seen[a] + 2 * l.padding[a] - l.dilation[a] * (l.kernel[a] - 1) - 1) / conv_stride[a] + 1;
  }

  const auto columns = [&](bool from_low, bool to_low) -> std::int64_t {
    if ((to_low ? l.out_low : l.out_high) == 0) return 0;
    const std::int64_t groups = groups_of(l, from_low, to_low);
    return groups == 0 ? 0 : (from_low ? l.in_low : l.in_high) / groups;
  };
  const auto block = [&](bool from_low, bool to_low) {
    return Block{.weight = &weight,
                 .row = to_low ? 0 : l.out_low,
                 .rows = to_low ? l.out_low : l.out_high,
                 .column = from_low ? 0 : columns(true, to_low),
                 .columns = columns(from_low, to_low),
                 .groups = groups_of(l, from_low, to_low)};
  };
  const bool all_four = l.in_high > 0 && l.in_low > 0 && l.out_high > 0 && l.out_low > 0;
  const bool has_up =
      l.in_low > 0 && l.out_high > 0 && groups_of(l, true, false) > 0 &&
      (!all_four || l.exchange == Exchange::kBoth || l.exchange == Exchange::kLowToHigh);
  const bool has_down =
      l.in_high > 0 && l.out_low > 0 && groups_of(l, false, true) > 0 &&
      (!all_four || l.exchange == Exchange::kBoth || l.exchange == Exchange::kHighToLow);
  const bool every = l.bias_rule == BiasRule::kPerPath;

  Pair y;
  if (l.in_high > 0 && l.out_high > 0) {
    const Map in = pooled ? pool(x.high, l.stride, false, l.odd_low) : x.high;
    accumulate(y.high, convolve(in, block(false, false), l, conv_stride), bias, l.out_low, true);
  }
  if (has_up) {
    Map in = x.low;
    Axes factor = l.octave;
    if (pooled && l.stride_mode == StrideMode::kPoolLow) {
      in = pool(in, l.stride, false, l.odd_low);
    } else if (pooled) {
      // The low grid is the strided high grid along axes that are both; others are pooled.
      Axes window = l.stride;
      for (std::size_t a = 0; a < 3; ++a) {
        if (l.stride[a] == l.octave[a]) window[a] = factor[a] = 1;
      }
      in = pool(in, window, false, l.odd_low);
    }
    const bool first = y.high.values.empty();
    Map term;
    if (l.low_to_high == LowToHigh::kUpsampleThenConv && factor != ones) {
      term = convolve(grow(in, factor, seen, l.upsample), block(true, false), l, conv_stride);
    } else {
      term = grow(convolve(in, block(true, false), l, conv_stride), factor, out, l.upsample);
    }
    accumulate(y.high, term, bias, l.out_low, first || every);
  }
  if (l.in_low > 0 && l.out_low > 0) {
    const Map in = pooled ? pool(x.low, l.stride, false, l.odd_low) : x.low;
    accumulate(y.low, convolve(in, block(true, true), l, conv_stride), bias, 0, true);
  }
  if (has_down) {
    Map in = x.high;
    Axes stride = conv_stride;
    if (pooled && !(l.stride_mode == StrideMode::kPool && l.downsample == Downsample::kAverage)) {
      in = pool(in, l.stride, false, l.odd_low);
    }
    if (l.downsample == Downsample::kStridedConv) {
      for (std::size_t a = 0; a < 3; ++a) stride[a] *= l.octave[a];
    } else if (pooled && l.stride_mode == StrideMode::kPool &&
               l.downsample == Downsample::kAverage) {
      in = pool(in, both, false, l.odd_low);
    } else {
      in = pool(in, l.octave, l.downsample == Downsample::kMax, l.odd_low);
    }
    const bool first = y.low.values.empty();
    accumulate(y.low, convolve(in, block(false, true), l, stride), bias, 0, first || every);
  }
  return y;
}

// The transposed layer: weight [in, out / groups, kernel...], scattering each input pixel.
struct TransposedLayer {
  std::int64_t in_high = 0, in_low = 0, out_high = 0, out_low = 0;
  Axes kernel{1, 1, 1}, stride{1, 1, 1}, dilation{1, 1, 1}, padding{0, 0, 0},
      output_padding{0, 0, 0};
  Axes octave{1, 1, 1};
  std::int64_t groups = 1;
  Exchange exchange = Exchange::kBoth;
  LowToHigh low_to_high = LowToHigh::kConvThenUpsample;
  Downsample downsample = Downsample::kAverage;
  Upsample upsample = Upsample::kNearest;
  BiasRule bias_rule = BiasRule::kOnce;
};

inline Map scatter(const Map& x, const Map& weight, std::int64_t row, std::int64_t column,
                   std::int64_t columns, std::int64_t groups, const TransposedLayer& l,
                   const Axes& out) {
  Map y(x.batch, columns * groups, out);
  for (std::int64_t n = 0; n < x.batch; ++n) {
    for (std::int64_t c = 0; c < x.channels; ++c) {
      const std::int64_t group = c / (x.channels / groups);
      for_each_pixel(x.extents, [&](const Axes& p) {
        for (std::int64_t o = 0; o < columns; ++o) {
          for_each_pixel(l.kernel, [&](const Axes& t) {
            Axes q{};
            for (std::size_t a = 0; a < 3; ++a) {
              q[a] = p[a] * l.stride[a] + t[a] * l.dilation[a] - l.padding[a];
              if (q[a] < 0 || q[a] >= out[a]) return;
            }
            y.at(n, group * columns + o, q) += x.at(n, c, p) * weight.at(row + c, column + o, t);
          });
        }
      });
    }
  }
  return y;
}

inline Pair octave_conv_transpose(const Pair& x, const Axes& extents, const Map& weight,
                                  const std::vector<double>& bias, const TransposedLayer& l) {
  Axes out{};
  for (std::size_t a = 0; a < 3; ++a) {
    out[a] = (extents[a] - 1) * l.stride[a] - 2 * l.padding[a] + l.dilation[a] * (l.kernel[a] - 1) +
             l.output_padding[a] + 1;
  }
  const Axes out_low = divide(out, l.octave, OddLow::kCeil);
  const bool depthwise =
      l.groups > 1 && l.groups == l.in_high + l.in_low && l.groups == l.out_high + l.out_low;
  const bool all_four = l.in_high > 0 && l.in_low > 0 && l.out_high > 0 && l.out_low > 0;
  const bool up =
      !depthwise && l.in_low > 0 && l.out_high > 0 &&
      (!all_four || l.exchange == Exchange::kBoth || l.exchange == Exchange::kLowToHigh);
  const bool down =
      !depthwise && l.in_high > 0 && l.out_low > 0 &&
      (!all_four || l.exchange == Exchange::kBoth || l.exchange == Exchange::kHighToLow);
  const bool every = l.bias_rule == BiasRule::kPerPath;
  const auto run = [&](const Map& in, bool from_low, bool to_low, const Axes& size) {
    const std::int64_t groups = depthwise ? in.channels : l.groups;
    const std::int64_t columns = (to_low ? l.out_low : l.out_high) / groups;
    return scatter(in, weight, from_low ? 0 : l.in_low,
                   to_low || depthwise ? 0 : l.out_low / groups, columns, groups, l, size);
  };
  Pair y;
  if (l.in_high > 0 && l.out_high > 0)
    accumulate(y.high, run(x.high, false, false, out), bias, l.out_low, true);
  if (up) {
    const bool first = y.high.values.empty();
    const Map term = l.low_to_high == LowToHigh::kUpsampleThenConv
                         ? run(grow(x.low, l.octave, extents, l.upsample), true, false, out)
                         : grow(run(x.low, true, false, out_low), l.octave, out, l.upsample);
    accumulate(y.high, term, bias, l.out_low, first || every);
  }
  if (l.in_low > 0 && l.out_low > 0)
    accumulate(y.low, run(x.low, true, true, out_low), bias, 0, true);
  if (down) {
    const bool first = y.low.values.empty();
    const Map pooled = pool(x.high, l.octave, l.downsample == Downsample::kMax, OddLow::kCeil);
    accumulate(y.low, run(pooled, false, true, out_low), bias, 0, first || every);
  }
  return y;
}

}  // namespace octconv::reference
