// SPDX-License-Identifier: Apache-2.0
#include "octconv/octave/conv_transpose.h"

#include <algorithm>

#include "octconv/base/error.h"

namespace octconv {
namespace {

void check_axes(const ConvTransposeOptions& o, const char* name, const Shape& shape,
                std::int64_t least) {
  if (shape.rank() != o.rank() || std::any_of(shape.begin(), shape.end(), [&](std::int64_t extent) {
        return extent < least;
      })) {
    throw InvalidArgument("transposed convolution: " + std::string(name) + " " + shape.to_string() +
                          " must have " + std::to_string(o.rank()) + " extents of at least " +
                          std::to_string(least));
  }
}

// Output pixels beyond stride * (in - 1).
std::int64_t reach(const ConvTransposeOptions& o, std::size_t axis) {
  return o.dilation[axis] * (o.kernel[axis] - 1) + o.output_padding[axis] + 1 - 2 * o.padding[axis];
}

}  // namespace

bool ConvTransposeOptions::depthwise() const noexcept {
  return groups > 1 && groups == in.total() && groups == out.total();
}

std::string octave_obstacle(const ConvTransposeOptions& o) {
  for (std::size_t axis = 0; axis < o.rank(); ++axis) {
    const std::int64_t beyond = reach(o, axis);
    const bool keeps = o.stride[axis] == 1 && beyond == 1;
    const bool doubles = o.stride[axis] == 2 && (beyond == 1 || beyond == 2);
    if (!keeps && !doubles) {
      return "kernel " + o.kernel.to_string() + ", stride " + o.stride.to_string() + ", padding " +
             o.padding.to_string() + " and output padding " + o.output_padding.to_string() +
             " do not keep or double the extents";
    }
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

void check(const ConvTransposeOptions& o) {
  if (o.rank() < 1 || o.rank() > 3) {
    throw InvalidArgument("transposed convolution: rank must be 1, 2 or 3, got kernel " +
                          o.kernel.to_string());
  }
  check_axes(o, "kernel", o.kernel, 1);
  check_axes(o, "stride", o.stride, 1);
  check_axes(o, "dilation", o.dilation, 1);
  check_axes(o, "padding", o.padding, 0);
  check_axes(o, "output padding", o.output_padding, 0);
  check_axes(o, "octave", o.octave, 1);
  for (std::size_t axis = 0; axis < o.rank(); ++axis) {
    if (o.output_padding[axis] >= std::max(o.stride[axis], o.dilation[axis])) {
      throw InvalidArgument("transposed convolution: output padding " +
                            o.output_padding.to_string() +
                            " must be smaller than the stride or the dilation");
    }
  }
  for (const ChannelSplit& split : {o.in, o.out}) {
    if (split.high < 0 || split.low < 0 || split.total() < 1) {
      throw InvalidArgument("transposed convolution: " + std::to_string(split.high) + " high and " +
                            std::to_string(split.low) + " low channels are not a feature map");
    }
  }
  if (o.groups < 1 || o.in.total() % o.groups != 0 || o.out.total() % o.groups != 0) {
    throw InvalidArgument("transposed convolution: " + std::to_string(o.groups) +
                          " groups do not divide " + std::to_string(o.in.total()) + " input and " +
                          std::to_string(o.out.total()) + " output channels");
  }
  if (o.depthwise() && o.in != o.out) {
    throw InvalidArgument("transposed convolution: a depthwise layer keeps its frequencies");
  }
  if (!o.octave_valued()) return;
  if (o.downsample == Downsample::kStridedConv) {
    throw Unsupported(
        "transposed octave convolution: a strided convolution cannot bring high to low");
  }
  const std::string obstacle = octave_obstacle(o);
  if (!obstacle.empty()) throw Unsupported("transposed octave convolution: " + obstacle);
}

std::vector<ConvPath> conv_paths(const ConvTransposeOptions& o) {
  const bool down = o.exchange == Exchange::kBoth || o.exchange == Exchange::kHighToLow;
  const bool up = o.exchange == Exchange::kBoth || o.exchange == Exchange::kLowToHigh;
  const bool both_stay = o.in.high > 0 && o.out.high > 0 && o.in.low > 0 && o.out.low > 0;
  const Shape ones = Shape::filled(o.rank(), 1);

  std::vector<ConvPath> paths;
  const auto add = [&](Frequency src, Frequency dst) {
    const bool from_low = src == Frequency::kLow;
    const bool to_low = dst == Frequency::kLow;
    const std::int64_t in = from_low ? o.in.low : o.in.high;
    const std::int64_t out = to_low ? o.out.low : o.out.high;
    if (in == 0 || out == 0 || (o.depthwise() && src != dst)) return;
    ConvPath path{.src = src, .dst = dst, .stride = o.stride, .upsample = ones};
    if (from_low && !to_low) path.upsample = o.octave;
    path.upsample_first = path.upsampled() && o.low_to_high == LowToHigh::kUpsampleThenConv;
    if (!from_low && to_low && o.octave != ones) {
      path.pools.push_back({o.octave, o.downsample == Downsample::kMax});
    }
    path.groups = o.depthwise() ? in : o.groups;
    path.row = from_low ? 0 : o.in.low;
    path.rows = in;
    path.column = to_low || o.depthwise() ? 0 : o.out.low / o.groups;
    path.columns = out / path.groups;
    paths.push_back(std::move(path));
  };
  add(Frequency::kHigh, Frequency::kHigh);
  if (up || !both_stay) add(Frequency::kLow, Frequency::kHigh);
  add(Frequency::kLow, Frequency::kLow);
  if (down || !both_stay) add(Frequency::kHigh, Frequency::kLow);
  return paths;
}

Shape output_extents(const ConvTransposeOptions& o, const Shape& extents) {
  Shape out = extents;
  for (std::size_t axis = 0; axis < o.rank(); ++axis) {
    out[axis] = (extents[axis] - 1) * o.stride[axis] + reach(o, axis);
    if (out[axis] < 1) {
      throw InvalidArgument("transposed convolution: an input of " + extents.to_string() +
                            " has no output pixel with padding " + o.padding.to_string());
    }
  }
  return out;
}

}  // namespace octconv
