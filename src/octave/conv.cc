// SPDX-License-Identifier: Apache-2.0
#include "octconv/octave/conv.h"

#include <algorithm>
#include <utility>

#include "base/checked.h"
#include "octconv/base/error.h"
#include "octconv/octave/upsampled_taps.h"

namespace octconv {
namespace {

bool all_of(const Shape& shape, std::int64_t value) {
  return std::all_of(shape.begin(), shape.end(),
                     [&](std::int64_t extent) { return extent == value; });
}

std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return a / b + (a % b > 0 ? 1 : 0);
}

Shape product(const Shape& a, const Shape& b) {
  Shape shape = a;
  for (std::size_t axis = 0; axis < a.rank(); ++axis) shape[axis] *= b[axis];
  return shape;
}

std::string show(const ChannelSplit& split) {
  return std::to_string(split.high) + " high + " + std::to_string(split.low) + " low channels";
}

void check_axes(const ConvOptions& o, const char* name, const Shape& shape, std::int64_t least) {
  if (shape.rank() != o.rank()) {
    throw InvalidArgument("convolution: " + std::string(name) + " " + shape.to_string() +
                          " does not have the " + std::to_string(o.rank()) + " axes of kernel " +
                          o.kernel.to_string());
  }
  if (std::any_of(shape.begin(), shape.end(),
                  [&](std::int64_t extent) { return extent < least; })) {
    throw InvalidArgument("convolution: " + std::string(name) + " must be at least " +
                          std::to_string(least) + " along each axis, got " + shape.to_string());
  }
}

// Does a path run its stride as pools before the convolution?
bool pools_for_stride(const ConvOptions& o) {
  return o.strided() && o.stride_mode != StrideMode::kStrided;
}

void add_pool(ConvPath& path, const Shape& window, bool maximum = false) {
  if (!all_of(window, 1)) path.pools.push_back({window, maximum});
}

ConvPath high_to_high(const ConvOptions& o) {
  ConvPath path;
  if (pools_for_stride(o)) add_pool(path, o.stride);
  return path;
}

ConvPath low_to_low(const ConvOptions& o) {
  ConvPath path{.src = Frequency::kLow, .dst = Frequency::kLow};
  if (pools_for_stride(o)) add_pool(path, o.stride);
  return path;
}

ConvPath high_to_low(const ConvOptions& o) {
  ConvPath path{.src = Frequency::kHigh, .dst = Frequency::kLow};
  if (pools_for_stride(o)) {
    // One pool can do both steps only if both are averages.
    if (o.stride_mode == StrideMode::kPool && o.downsample == Downsample::kAverage) {
      add_pool(path, product(o.stride, o.octave));
      return path;
    }
    add_pool(path, o.stride);
  }
  if (o.downsample == Downsample::kStridedConv) {
    path.stride = pools_for_stride(o) ? o.octave : product(o.stride, o.octave);
  } else {
    add_pool(path, o.octave, o.downsample == Downsample::kMax);
  }
  return path;
}

ConvPath low_to_high(const ConvOptions& o) {
  ConvPath path{.src = Frequency::kLow, .dst = Frequency::kHigh, .upsample = o.octave};
  if (pools_for_stride(o) && o.stride_mode == StrideMode::kPoolLow) {
    add_pool(path, o.stride);
  } else if (pools_for_stride(o)) {
    // Along an axis that is both halved and strided the low grid already is the strided high grid.
    Shape pool = o.stride;
    for (std::size_t axis = 0; axis < o.rank(); ++axis) {
      if (o.octave[axis] == o.stride[axis]) pool[axis] = path.upsample[axis] = 1;
    }
    add_pool(path, pool);
  }
  path.upsample_first = o.low_to_high == LowToHigh::kUpsampleThenConv && path.upsampled();
  return path;
}

std::int64_t channels_of(const ChannelSplit& split, Frequency frequency) {
  return frequency == Frequency::kLow ? split.low : split.high;
}

// Groups of a path, or 0 where the group rule leaves it out.
std::int64_t path_groups(const ConvOptions& o, Frequency src, Frequency dst) {
  const std::int64_t in = channels_of(o.in, src);
  const std::int64_t out = channels_of(o.out, dst);
  switch (o.group_rule) {
    case GroupRule::kAll:
      if (o.depthwise()) return src == dst ? out : 0;
      return o.groups;
    case GroupRule::kMinimum:
      return std::min(out, o.groups);
    case GroupRule::kProportional:
      if (src == dst) return ceil_div(o.groups * in, o.in.total());
      return o.groups > 1 && o.groups == o.in.total() ? 0 : o.groups;
  }
  return 0;
}

// Input channels within each group of a path; 0 for a path that does not exist.
std::int64_t path_columns(const ConvOptions& o, Frequency src, Frequency dst) {
  const std::int64_t groups = channels_of(o.out, dst) == 0 ? 0 : path_groups(o, src, dst);
  return groups == 0 ? 0 : channels_of(o.in, src) / groups;
}

constexpr std::pair<Frequency, Frequency> kPairs[] = {{Frequency::kHigh, Frequency::kHigh},
                                                      {Frequency::kLow, Frequency::kHigh},
                                                      {Frequency::kLow, Frequency::kLow},
                                                      {Frequency::kHigh, Frequency::kLow}};

}  // namespace

bool ConvOptions::strided() const noexcept {
  return !all_of(stride, 1);
}

bool ConvOptions::depthwise() const noexcept {
  return groups > 1 && groups == in.total() && groups == out.total();
}

std::string_view ConvPath::name() const noexcept {
  if (src == Frequency::kHigh) return dst == Frequency::kHigh ? "high_to_high" : "high_to_low";
  return dst == Frequency::kHigh ? "low_to_high" : "low_to_low";
}

bool ConvPath::upsampled() const noexcept {
  return !all_of(upsample, 1);
}

std::string octave_obstacle(const ConvOptions& o) {
  for (std::size_t axis = 0; axis < o.rank(); ++axis) {
    const std::int64_t needed = o.dilation[axis] * (o.kernel[axis] - 1);
    if (o.padding_begin[axis] != o.padding_end[axis] || o.padding_begin[axis] * 2 != needed) {
      return "kernel " + o.kernel.to_string() + " with padding " + o.padding_begin.to_string() +
             " and " + o.padding_end.to_string() + " moves the low grid against the high one";
    }
    if (o.stride[axis] > 2) return "stride " + o.stride.to_string() + " is larger than 2";
  }
  for (const Frequency dst : {Frequency::kHigh, Frequency::kLow}) {
    if (channels_of(o.out, dst) > 0 && path_columns(o, Frequency::kHigh, dst) == 0 &&
        path_columns(o, Frequency::kLow, dst) == 0) {
      return "no path leads to the " + std::string(dst == Frequency::kLow ? "low" : "high") +
             " output channels of a depthwise layer";
    }
  }
  for (const auto& [src, dst] : kPairs) {
    const std::int64_t in = channels_of(o.in, src);
    const std::int64_t out = channels_of(o.out, dst);
    const std::int64_t groups = in == 0 || out == 0 ? 0 : path_groups(o, src, dst);
    if (groups != 0 && (in % groups != 0 || out % groups != 0)) {
      return std::to_string(groups) + " groups do not divide " + std::to_string(in) +
             " input and " + std::to_string(out) + " output channels of " +
             std::string(ConvPath{.src = src, .dst = dst}.name());
    }
  }
  return "";
}

void check(const ConvOptions& o) {
  if (o.rank() < 1 || o.rank() > 3) {
    throw InvalidArgument("convolution: rank must be 1, 2 or 3, got kernel " +
                          o.kernel.to_string());
  }
  check_axes(o, "kernel", o.kernel, 1);
  check_axes(o, "stride", o.stride, 1);
  check_axes(o, "dilation", o.dilation, 1);
  check_axes(o, "padding", o.padding_begin, 0);
  check_axes(o, "padding", o.padding_end, 0);
  check_axes(o, "octave", o.octave, 1);
  for (const auto& [name, split] : {std::pair{"input", o.in}, std::pair{"output", o.out}}) {
    if (split.high < 0 || split.low < 0 || split.total() < 1) {
      throw InvalidArgument("convolution: " + std::string(name) + " has " + show(split));
    }
  }
  if (o.groups < 1 || o.in.total() % o.groups != 0 || o.out.total() % o.groups != 0) {
    throw InvalidArgument("convolution: " + std::to_string(o.groups) + " groups do not divide " +
                          std::to_string(o.in.total()) + " input and " +
                          std::to_string(o.out.total()) + " output channels");
  }
  if (o.depthwise() && o.group_rule != GroupRule::kMinimum && o.in != o.out) {
    throw InvalidArgument("convolution: a depthwise layer keeps its frequencies, got " +
                          show(o.in) + " in and " + show(o.out) + " out");
  }
  if (!o.octave_valued() && (o.stride_mode == StrideMode::kStrided || !o.strided())) return;
  // Pooling instead of a stride needs the same geometry as octave values do.
  const std::string obstacle = octave_obstacle(o);
  if (!obstacle.empty()) throw Unsupported("octave convolution: " + obstacle);
}

std::string rare_option(const ConvOptions& o) {
  const auto named = [](const char* option, std::string_view value) {
    return std::string(option) + " " + std::string(value);
  };
  if (o.downsample != Downsample::kAverage) return named("downsample", to_string(o.downsample));
  if (o.upsample != Upsample::kNearest) return named("upsample", to_string(o.upsample));
  if (o.odd_low != OddLow::kCeil) return named("odd_low", to_string(o.odd_low));
  if (o.group_rule != GroupRule::kAll) return named("group_rule", to_string(o.group_rule));
  if (o.padding_mode != PaddingMode::kZeros)
    return named("padding_mode", to_string(o.padding_mode));
  return "";
}

bool order_matters(const ConvOptions& o) {
  const std::vector<ConvPath> paths = conv_paths(o);
  return (o.kernel.elements() > 1 || o.strided()) &&
         std::any_of(paths.begin(), paths.end(),
                     [](const ConvPath& path) { return path.upsampled(); });
}

std::vector<ConvPath> conv_paths(const ConvOptions& o) {
  const bool down = o.exchange == Exchange::kBoth || o.exchange == Exchange::kHighToLow;
  const bool up = o.exchange == Exchange::kBoth || o.exchange == Exchange::kLowToHigh;
  const bool both_stay = o.in.high > 0 && o.out.high > 0 && o.in.low > 0 && o.out.low > 0;

  std::vector<ConvPath> paths;
  const auto add = [&](ConvPath path) {
    const bool from_low = path.src == Frequency::kLow;
    const bool to_low = path.dst == Frequency::kLow;
    const std::int64_t in = channels_of(o.in, path.src);
    const std::int64_t out = channels_of(o.out, path.dst);
    if (in == 0 || out == 0) return;
    path.groups = path_groups(o, path.src, path.dst);
    if (path.groups == 0) return;
    path.row = to_low ? 0 : o.out.low;
    path.rows = out;
    path.column = from_low ? 0 : path_columns(o, Frequency::kLow, path.dst);
    path.columns = path_columns(o, path.src, path.dst);
    if (path.stride.empty())
      path.stride = pools_for_stride(o) ? Shape::filled(o.rank(), 1) : o.stride;
    if (path.upsample.empty()) path.upsample = Shape::filled(o.rank(), 1);
    paths.push_back(std::move(path));
  };
  // An exchange is switched off only where both frequencies also have a path of their own: without
  // it the other frequency would not exist (authors' code, utils/symbol/symbol_octconv.py).
  add(high_to_high(o));
  if (up || !both_stay) add(low_to_high(o));
  add(low_to_low(o));
  if (down || !both_stay) add(high_to_low(o));
  return paths;
}

std::int64_t conv_extent(std::int64_t in, std::int64_t kernel, std::int64_t stride,
                         std::int64_t dilation, std::int64_t padding) {
  const std::int64_t span = checked_sum(checked_product(dilation, kernel - 1), 1);
  const std::int64_t padded = checked_sum(in, padding);
  if (padded < span) {
    throw InvalidArgument("an extent of " + std::to_string(in) + " with padding " +
                          std::to_string(padding) + " is smaller than a kernel that spans " +
                          std::to_string(span));
  }
  return (padded - span) / stride + 1;
}

Shape low_extents(const Shape& extents, const Shape& octave, OddLow odd_low) {
  Shape low = extents;
  for (std::size_t axis = 0; axis < low.rank(); ++axis) {
    low[axis] =
        odd_low == OddLow::kCeil ? ceil_div(low[axis], octave[axis]) : low[axis] / octave[axis];
  }
  return low;
}

Shape output_extents(const ConvOptions& o, const Shape& extents) {
  const bool pooled = pools_for_stride(o);
  Shape out = pooled ? low_extents(extents, o.stride, o.odd_low) : extents;
  for (std::size_t axis = 0; axis < o.rank(); ++axis) {
    out[axis] = conv_extent(out[axis], o.kernel[axis], pooled ? 1 : o.stride[axis],
                            o.dilation[axis], o.padding_begin[axis] + o.padding_end[axis]);
  }
  return out;
}

Shape path_extents(const ConvOptions& o, const ConvPath& path, const Shape& extents) {
  if (path.upsample_first) return output_extents(o, extents);
  Shape grid = path.src == Frequency::kLow ? low_extents(extents, o.octave, o.odd_low) : extents;
  for (const PathPool& pool : path.pools) grid = low_extents(grid, pool.window, o.odd_low);
  for (std::size_t axis = 0; axis < o.rank(); ++axis) {
    grid[axis] = conv_extent(grid[axis], o.kernel[axis], path.stride[axis], o.dilation[axis],
                             o.padding_begin[axis] + o.padding_end[axis]);
  }
  return grid;
}

std::int64_t path_macs(const ConvOptions& o, const ConvPath& path, const Shape& extents) {
  const Shape computed = path_extents(o, path, extents);
  std::int64_t taps = checked_product(path.rows, path.columns);
  for (std::size_t axis = 0; axis < o.rank(); ++axis) {
    const std::int64_t extent = computed[axis];
    if (path.upsample_first && path.upsample[axis] == 2 && o.upsample == Upsample::kNearest) {
      const std::int64_t even = static_cast<std::int64_t>(
          upsampled_taps(o.kernel[axis], o.dilation[axis], o.padding_begin[axis], 0).size());
      const std::int64_t odd = static_cast<std::int64_t>(
          upsampled_taps(o.kernel[axis], o.dilation[axis], o.padding_begin[axis], 1).size());
      taps = checked_product(taps, checked_sum(checked_product(ceil_div(extent, 2), even),
                                               checked_product(extent / 2, odd)));
    } else {
      taps = checked_product(taps, checked_product(extent, o.kernel[axis]));
    }
  }
  return taps;
}

std::int64_t weight_columns(const ConvOptions& o) {
  std::int64_t columns = 0;
  for (const Frequency dst : {Frequency::kHigh, Frequency::kLow}) {
    columns = std::max(
        columns, path_columns(o, Frequency::kLow, dst) + path_columns(o, Frequency::kHigh, dst));
  }
  return columns;
}

std::int64_t weight_elements(const ConvOptions& o) {
  std::int64_t elements = 0;
  for (const ConvPath& path : conv_paths(o))
    elements = checked_sum(
        elements, checked_product(checked_product(path.rows, path.columns), o.kernel.elements()));
  return elements;
}

}  // namespace octconv
