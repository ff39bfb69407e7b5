// SPDX-License-Identifier: Apache-2.0
#include "octconv/octave/conv.h"

#include <algorithm>

#include "octconv/base/error.h"

namespace octconv {
namespace {

bool all_of(const Shape& shape, std::int64_t value) {
  return std::all_of(shape.begin(), shape.end(),
                     [&](std::int64_t extent) { return extent == value; });
}

std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
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

void add_pool(ConvPath& path, const Shape& window) {
  if (!all_of(window, 1)) path.pools.push_back(window);
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
  if (!pools_for_stride(o)) {
    add_pool(path, o.octave);
  } else if (o.stride_mode == StrideMode::kPool) {
    add_pool(path, product(o.stride, o.octave));
  } else {
    add_pool(path, o.stride);
    add_pool(path, o.octave);
  }
  return path;
}

ConvPath low_to_high(const ConvOptions& o) {
  ConvPath path{.src = Frequency::kLow, .dst = Frequency::kHigh, .upsample = o.octave};
  if (!pools_for_stride(o)) return path;
  if (o.stride_mode == StrideMode::kPoolLow) {
    add_pool(path, o.stride);
    return path;
  }
  // Along an axis that is both halved and strided the low grid already is the strided high grid.
  Shape pool = o.stride;
  for (std::size_t axis = 0; axis < o.rank(); ++axis) {
    if (o.octave[axis] == o.stride[axis]) pool[axis] = path.upsample[axis] = 1;
  }
  add_pool(path, pool);
  return path;
}

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
  if (!o.depthwise()) {
    for (const std::int64_t channels : {o.in.high, o.in.low, o.out.high, o.out.low}) {
      if (channels % o.groups != 0) {
        return std::to_string(o.groups) + " groups do not divide " + std::to_string(channels) +
               " channels of one frequency";
      }
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
  if (o.depthwise() && o.in != o.out) {
    throw InvalidArgument("convolution: a depthwise layer keeps its frequencies, got " +
                          show(o.in) + " in and " + show(o.out) + " out");
  }
  if (!o.octave_valued() && (o.stride_mode == StrideMode::kStrided || !o.strided())) return;
  // Pooling instead of a stride needs the same geometry as octave values do.
  const std::string obstacle = octave_obstacle(o);
  if (!obstacle.empty()) throw Unsupported("octave convolution: " + obstacle);
}

std::vector<ConvPath> conv_paths(const ConvOptions& o) {
  const bool down = o.exchange == Exchange::kBoth || o.exchange == Exchange::kHighToLow;
  const bool up = o.exchange == Exchange::kBoth || o.exchange == Exchange::kLowToHigh;
  const bool both_stay = o.in.high > 0 && o.out.high > 0 && o.in.low > 0 && o.out.low > 0;

  std::vector<ConvPath> paths;
  const auto add = [&](ConvPath path) {
    const bool from_low = path.src == Frequency::kLow;
    const bool to_low = path.dst == Frequency::kLow;
    const std::int64_t in = from_low ? o.in.low : o.in.high;
    const std::int64_t out = to_low ? o.out.low : o.out.high;
    if (in == 0 || out == 0) return;
    path.row = to_low ? 0 : o.out.low;
    path.rows = out;
    if (o.depthwise()) {
      path.groups = out;
      path.column = 0;
      path.columns = 1;
    } else {
      path.groups = o.groups;
      path.column = from_low ? 0 : o.in.low / o.groups;
      path.columns = in / o.groups;
    }
    path.stride = pools_for_stride(o) ? Shape::filled(o.rank(), 1) : o.stride;
    if (path.upsample.empty()) path.upsample = Shape::filled(o.rank(), 1);
    paths.push_back(std::move(path));
  };
  // An exchange is switched off only where both frequencies also have a path of their own: without
  // it the other frequency would not exist (authors' code, utils/symbol/symbol_octconv.py).
  add(high_to_high(o));
  if (!o.depthwise() && (up || !both_stay)) add(low_to_high(o));
  add(low_to_low(o));
  if (!o.depthwise() && (down || !both_stay)) add(high_to_low(o));
  return paths;
}

std::int64_t conv_extent(std::int64_t in, std::int64_t kernel, std::int64_t stride,
                         std::int64_t dilation, std::int64_t padding) {
  const std::int64_t span = dilation * (kernel - 1) + 1;
  if (in + padding < span) {
    throw InvalidArgument("an extent of " + std::to_string(in) + " with padding " +
                          std::to_string(padding) + " is smaller than a kernel that spans " +
                          std::to_string(span));
  }
  return (in + padding - span) / stride + 1;
}

Shape low_extents(const Shape& extents, const Shape& octave) {
  Shape low = extents;
  for (std::size_t axis = 0; axis < low.rank(); ++axis)
    low[axis] = ceil_div(low[axis], octave[axis]);
  return low;
}

Shape output_extents(const ConvOptions& o, const Shape& extents) {
  const bool pooled = pools_for_stride(o);
  Shape out = extents;
  for (std::size_t axis = 0; axis < o.rank(); ++axis) {
    out[axis] = conv_extent(pooled ? ceil_div(extents[axis], o.stride[axis]) : extents[axis],
                            o.kernel[axis], pooled ? 1 : o.stride[axis], o.dilation[axis],
                            o.padding_begin[axis] + o.padding_end[axis]);
  }
  return out;
}

Shape path_extents(const ConvOptions& o, const ConvPath& path, const Shape& extents) {
  Shape grid = path.src == Frequency::kLow ? low_extents(extents, o.octave) : extents;
  for (const Shape& window : path.pools) grid = low_extents(grid, window);
  for (std::size_t axis = 0; axis < o.rank(); ++axis) {
    grid[axis] = conv_extent(grid[axis], o.kernel[axis], path.stride[axis], o.dilation[axis],
                             o.padding_begin[axis] + o.padding_end[axis]);
  }
  return grid;
}

std::int64_t path_macs(const ConvOptions& o, const ConvPath& path, const Shape& extents) {
  return path_extents(o, path, extents).elements() * path.rows * path.columns * o.kernel.elements();
}

std::int64_t weight_elements(const ConvOptions& o) {
  std::int64_t elements = 0;
  for (const ConvPath& path : conv_paths(o))
    elements += path.rows * path.columns * o.kernel.elements();
  return elements;
}

}  // namespace octconv
