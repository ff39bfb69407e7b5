// SPDX-License-Identifier: Apache-2.0
#include "octave/packed_conv.h"

#include <algorithm>
#include <string>

#include "octave/winograd_weights.h"
#include "octconv/base/error.h"

namespace octconv::octave {
namespace {

using kernels::ConvKernel;
using kernels::kTilePixels;

// Fewer channels than this do not pay for the row pointers of every tap.
constexpr std::int64_t kFewChannels = 8;

// A map of this kind; adds it if it is missing. What paths share is made once.
std::size_t made_map(std::vector<ConvMap>& maps, ConvMap::Kind kind, std::size_t from,
                     const Shape& window) {
  const auto known = std::find_if(maps.begin(), maps.end(), [&](const ConvMap& map) {
    return map.kind == kind && map.from == from && map.window == window;
  });
  const auto index = static_cast<std::size_t>(known - maps.begin());
  if (known == maps.end())
    maps.push_back({.kind = kind, .from = from, .window = window, .channels = maps[from].channels});
  return index;
}

// What a path's convolution reads: after its pools, and enlarged if that comes first.
PassInput input_of(std::vector<ConvMap>& maps, const ConvOptions& options, const ConvPath& path,
                   ConvMethod method) {
  using Kind = ConvMap::Kind;
  PassInput input{.path = path, .map = path.src == Frequency::kHigh ? 0U : 1U};
  for (const PathPool& pool : path.pools)
    input.map = made_map(maps, Kind::kPooled, input.map, pool.window);
  if (path.upsample_first) input.map = made_map(maps, Kind::kEnlarged, input.map, path.upsample);
  const std::size_t last = options.rank() - 1;
  if (method == ConvMethod::kDirect && path.groups == 1 && path.columns < kFewChannels &&
      options.kernel[last] > 1 && options.dilation[last] == 1) {
    input.map = made_map(maps, Kind::kPadded, input.map, {});
    input.row_taps = options.kernel[last];
  }
  return input;
}

// Products in one sum of a slice: a block's weights are then 128 kB of 512-bit vectors.
constexpr std::int64_t kSliceDepth = 1024;

// Divides the sums of a pass: so that the row pointers of one tile fit into a task's table, and the
// weights of two blocks into a second-level cache.
std::vector<Slice> make_slices(const ConvPass& pass, std::int64_t kernel_taps) {
  constexpr std::int64_t kMostTaps = kRowPointers / kTilePixels;
  std::vector<Slice> slices(1);
  std::int64_t tap_room = kMostTaps;
  std::int64_t depth_room = kSliceDepth;
  const auto begin_slice = [&] {
    slices.emplace_back();
    tap_room = kMostTaps;
    depth_room = kSliceDepth;
  };
  for (std::size_t input = 0; input < pass.inputs.size(); ++input) {
    const std::int64_t columns = pass.inputs[input].columns();
    const std::int64_t taps = kernel_taps / pass.inputs[input].row_taps;
    // Parts of equal size, each short enough for a slice of one tap.
    const std::int64_t parts = pass.depthwise ? 1 : (columns + kSliceDepth - 1) / kSliceDepth;
    for (std::int64_t part = 0; part < parts; ++part) {
      const Range range{columns * part / parts, columns * (part + 1) / parts};
      for (std::int64_t begin = 0; begin < taps;) {
        if (tap_room == 0 || depth_room < range.size() || slices.back().taps[input].size() > 0) {
          begin_slice();
        }
        const std::int64_t fitting = pass.depthwise ? taps : depth_room / range.size();
        const std::int64_t end = std::min({taps, begin + tap_room, begin + fitting});
        slices.back().taps[input] = {begin, end};
        slices.back().columns[input] = range;
        tap_room -= end - begin;
        depth_room -= (end - begin) * range.size();
        begin = end;
      }
    }
  }
  return slices;
}

class Packer {
 public:
  Packer(const WeightView& weight, const ConvKernel& kernel, TensorPool* pool)
      : weight_(weight), kernel_(kernel), pool_(pool) {}

  void pack(const ConvPass& pass, Slice& slice) const {
    std::int64_t depth = 0;
    for (std::size_t i = 0; i < pass.inputs.size(); ++i) {
      depth += slice.taps[i].size() * slice.columns[i].size();
    }
    slice.group_stride = pass.depthwise ? 0 : kernel_.vectors(pass.outputs) * kernel_.lanes * depth;
    const std::int64_t elements =
        pass.depthwise ? depth * pass.groups * pass.outputs : slice.group_stride * pass.groups;
    slice.weights = Tensor(Shape{elements}, pool_);
    float* to = slice.weights.data();
    if (pass.depthwise) {
      const PassInput& input = pass.inputs[0];
      for (std::int64_t tap = slice.taps[0].begin; tap < slice.taps[0].end; ++tap) {
        for (std::int64_t channel = 0; channel < pass.groups; ++channel) {
          *to++ = weight_.at(input.path, channel, 0, tap);
        }
      }
      return;
    }
    for (std::int64_t group = 0; group < pass.groups; ++group)
      to = pack_group(pass, slice, group, to);
  }

 private:
  // Of a column and a tap as they are read.
  [[nodiscard]] float at(const PassInput& input, std::int64_t row, std::int64_t column,
                         std::int64_t tap) const {
    const std::int64_t columns = input.path.columns;
    return weight_.at(input.path, row, column % columns, tap * input.row_taps + column / columns);
  }

  float* pack_group(const ConvPass& pass, const Slice& slice, std::int64_t group, float* to) const {
    std::int64_t first = 0;  // output of the group
    for (std::int64_t block = 0; block < kernel_.blocks(pass.outputs); ++block) {
      const std::int64_t width = kernel_.block_vectors(pass.outputs, block) * kernel_.lanes;
      const std::int64_t real = std::min(width, pass.outputs - first);
      for (std::size_t i = 0; i < pass.inputs.size(); ++i) {
        const Range taps = slice.taps[i];
        const Range columns = slice.columns[i];
        // Row by row: that is how the weight lies in memory.
        for (std::int64_t o = 0; o < real; ++o) {
          const std::int64_t row = group * pass.outputs + first + o;
          for (std::int64_t column = columns.begin; column < columns.end; ++column) {
            for (std::int64_t tap = taps.begin; tap < taps.end; ++tap) {
              to[((tap - taps.begin) * columns.size() + column - columns.begin) * width + o] =
                  at(pass.inputs[i], row, column, tap);
            }
          }
        }
        to += taps.size() * columns.size() * width;
      }
      first += width;
    }
    return to;
  }

  WeightView weight_;
  const ConvKernel& kernel_;
  TensorPool* pool_;
};

void pack_bias(ConvPass& pass, const ConvOptions& options, std::span<const float> bias,
               const ConvKernel& kernel, TensorPool* pool) {
  pass.bias_stride = pass.depthwise ? 1 : kernel.vectors(pass.outputs) * kernel.lanes;
  pass.bias = Tensor(Shape{pass.groups * pass.bias_stride}, pool);
  if (bias.empty() || pass.upsampled) return;  // added once, where the output is stored
  const std::int64_t row = pass.dst == Frequency::kLow ? 0 : options.out.low;
  for (std::int64_t group = 0; group < pass.groups; ++group) {
    std::copy_n(bias.data() + row + group * pass.outputs, pass.outputs,
                pass.bias.data() + group * pass.bias_stride);
  }
}

void check_methods(const ConvOptions& options, const std::vector<ConvPass>& passes) {
  for (const ConvPass& pass : passes) {
    if (pass.method == ConvMethod::kDirect) continue;
    for (const PassInput& input : pass.inputs) {
      if (has_winograd(options, input.path)) continue;
      throw Unsupported("convolution: " + std::string(to_string(pass.method)) +
                        " cannot compute path " + std::string(input.path.name()) + " of kernel " +
                        options.kernel.to_string() + ", stride " + input.path.stride.to_string() +
                        ", dilation " + options.dilation.to_string() + ", " +
                        std::to_string(input.path.groups) + " groups");
    }
  }
}

void check_sizes(const ConvOptions& options, std::span<const float> weight,
                 std::span<const float> bias) {
  const std::int64_t elements =
      options.out.total() * (options.in.total() / options.groups) * options.kernel.elements();
  if (static_cast<std::int64_t>(weight.size()) != elements) {
    throw InvalidArgument("convolution: the weight must have " + std::to_string(elements) +
                          " elements, got " + std::to_string(weight.size()));
  }
  if (!bias.empty() && static_cast<std::int64_t>(bias.size()) != options.out.total()) {
    throw InvalidArgument("convolution: the bias must have " + std::to_string(options.out.total()) +
                          " elements, got " + std::to_string(bias.size()));
  }
}

}  // namespace

OctConvWeights::Packed pack_conv(const ConvOptions& options, std::span<const float> weight,
                                 std::span<const float> bias, const ConvMethods& methods,
                                 TensorPool* pool) {
  check(options);
  const std::string rare = rare_option(options);
  if (!rare.empty()) {
    throw Unsupported("planned octave convolution: " + rare +
                      " is only available as a LibTorch module");
  }
  check_sizes(options, weight, bias);
  OctConvWeights::Packed packed{.options = options, .kernel = &kernels::conv_kernel()};
  packed.maps = {{.from = 0, .channels = options.in.high}, {.from = 1, .channels = options.in.low}};

  const std::vector<ConvPath> paths = conv_paths(options);
  std::int64_t widest = std::max(options.in.high, options.in.low);
  for (const Frequency dst : {Frequency::kHigh, Frequency::kLow}) {
    const std::int64_t channels = dst == Frequency::kHigh ? options.out.high : options.out.low;
    if (channels == 0) continue;
    ConvPass direct{.dst = dst, .method = dst == Frequency::kHigh ? methods.high : methods.low};
    for (const ConvPath& path : paths) {
      if (path.dst != dst) continue;
      const bool upsampled = path.upsampled() && !path.upsample_first;
      const PassInput input =
          input_of(packed.maps, options, path, upsampled ? methods.low_to_high : direct.method);
      widest = std::max(widest, input.columns());
      direct.groups = path.groups;
      if (upsampled) {
        packed.passes.push_back({.dst = dst,
                                 .inputs = {input},
                                 .groups = path.groups,
                                 .outputs = path.rows / path.groups,
                                 .upsampled = true,
                                 .method = methods.low_to_high});
        direct.adds_upsampled = true;
      } else {
        direct.inputs.push_back(input);
      }
    }
    direct.outputs = channels / direct.groups;
    direct.depthwise = options.depthwise();
    packed.passes.push_back(std::move(direct));
  }

  for (std::size_t i = 2; i < packed.maps.size(); ++i) {
    const ConvMap& map = packed.maps[i];
    if (map.kind == ConvMap::Kind::kPooled && map.from == 0 && map.window == options.octave) {
      packed.averages = i;
    }
  }
  check_methods(options, packed.passes);
  const WeightView view{.data = weight.data(),
                        .columns = options.in.total() / options.groups,
                        .taps = options.kernel.elements()};
  const Packer packer(view, *packed.kernel, pool);
  for (ConvPass& pass : packed.passes) {
    if (pass.method == ConvMethod::kDirect) {
      pass.slices = make_slices(pass, options.kernel.elements());
      for (Slice& slice : pass.slices) packer.pack(pass, slice);
    } else {
      pack_winograd(options, view, *packed.kernel, pool, pass);
    }
    pack_bias(pass, options, bias, *packed.kernel, pool);
    widest = std::max(widest, pass.bias.elements());
  }
  packed.zeros = Tensor(Shape{widest}, pool);
  return packed;
}

}  // namespace octconv::octave
