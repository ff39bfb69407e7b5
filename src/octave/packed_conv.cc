// SPDX-License-Identifier: Apache-2.0
#include "octave/packed_conv.h"

#include <algorithm>
#include <string>

#include "octave/winograd_weights.h"
#include "octconv/base/error.h"
#include "octconv/base/parallel.h"
#include "octconv/octave/conv_gradient.h"

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
  if (method == ConvMethod::kDirect && !options.depthwise() && path.groups == 1 &&
      path.columns < kFewChannels && options.kernel[last] > 1 && options.dilation[last] == 1) {
    input.map = made_map(maps, Kind::kPadded, input.map, {});
    input.row_taps = options.kernel[last];
  }
  return input;
}

// Products in one sum of a slice: a block's weights are then 128 kB of 512-bit vectors.
constexpr std::int64_t kSliceDepth = 1024;
// Packed floats for which waking another thread is worth its time.
constexpr std::int64_t kLeastFloats = 32 * 1024;

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

  // Blocks of output channels on several threads.
  void pack(const ConvPass& pass, Slice& slice) const {
    const std::int64_t depth = slice.depth();
    slice.group_stride = pass.depthwise ? 0 : kernel_.vectors(pass.outputs) * kernel_.lanes * depth;
    const std::int64_t elements =
        pass.depthwise ? depth * pass.groups * pass.outputs : slice.group_stride * pass.groups;
    slice.weights = Tensor(Shape{elements}, pool_, Contents::kUnwritten);
    if (pass.depthwise) {
      pack_depthwise(pass, slice);
      return;
    }
    const std::int64_t blocks = kernel_.blocks(pass.outputs);
    const std::int64_t each = depth * 2 * kernel_.lanes;
    parallel_for(
        pass.groups * blocks, kLeastFloats / std::max<std::int64_t>(1, each) + 1,
        [&](std::int64_t begin, std::int64_t end) {
          while (begin < end) {
            const std::int64_t group = begin / blocks;
            const Range some{begin % blocks, std::min(blocks, begin % blocks + end - begin)};
            for (std::size_t i = 0; i < pass.inputs.size(); ++i) {
              pack_blocks(pass, slice, i, group, some);
            }
            begin += some.size();
          }
        });
  }

 private:
  // [tap][channel]: the channels are the groups.
  void pack_depthwise(const ConvPass& pass, Slice& slice) const {
    float* to = slice.weights.data();
    for (std::int64_t tap = slice.taps[0].begin; tap < slice.taps[0].end; ++tap) {
      for (std::int64_t channel = 0; channel < pass.groups; ++channel) {
        const kernels::Weights one = weight_.some(pass.inputs[0].path, channel, 1, 0, 1);
        *to++ = one.first[tap * one.tap_step] * one.factor;
      }
    }
  }

  // Blocks of a group, as far as they read input `i`: some columns of all before the next, because
  // in an adjoint's memory the blocks of a column lie side by side.
  void pack_blocks(const ConvPass& pass, Slice& slice, std::size_t i, std::int64_t group,
                   Range blocks) const {
    const PassInput& input = pass.inputs[i];
    const Range taps = slice.taps[i];
    const Range columns = slice.columns[i];
    const std::int64_t before = i == 0 ? 0 : slice.taps[0].size() * slice.columns[0].size();
    // Taps that are read as channels are columns one by one.
    const std::int64_t most = input.row_taps > 1 ? 1 : kColumnsAtOnce;
    for (std::int64_t column = columns.begin; column < columns.end; column += most) {
      const std::int64_t count = std::min(most, columns.end - column);
      for (std::int64_t block = blocks.begin; block < blocks.end; ++block) {
        const std::int64_t first = block * 2 * kernel_.lanes;  // output of the group
        const std::int64_t width = kernel_.block_vectors(pass.outputs, block) * kernel_.lanes;
        kernels::Weights some =
            weight_.some(input.path, group * pass.outputs + first,
                         std::min(width, pass.outputs - first), column % input.path.columns, count);
        some.first += column / input.path.columns * some.tap_step;
        some.tap_step *= input.row_taps;
        some.first += taps.begin * some.tap_step;
        some.taps = taps.size();
        float* const to = slice.weights.data() + group * slice.group_stride +
                          first * slice.depth() + (before + column - columns.begin) * width;
        kernels::pack_weights(some, {.out = to, .width = width, .plane = columns.size() * width});
      }
    }
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

OctConvWeights::Packed pack(const ConvOptions& options, const WeightView& view,
                            std::span<const float> bias, const ConvMethods& methods,
                            TensorPool* pool) {
  OctConvWeights::Packed packed{
      .options = options, .adjoint = view.adjoint_of != nullptr, .kernel = &kernels::conv_kernel()};
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
    const bool pooled = map.kind == ConvMap::Kind::kPooled && map.from == 0;
    if (pooled && map.window == options.octave) packed.averages = i;
  }
  check_methods(options, packed.passes);
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

void check_common(const ConvOptions& options) {
  check(options);
  const std::string rare = rare_option(options);
  if (!rare.empty()) {
    throw Unsupported("planned octave convolution: " + rare +
                      " is only available as a LibTorch module");
  }
}

WeightView view_of(const ConvOptions& options, std::span<const float> weight) {
  return {.data = weight.data(),
          .columns = options.in.total() / options.groups,
          .taps = options.kernel.elements()};
}

}  // namespace

// An adjoint exchanges outputs and inputs, and has the taps in the other order. What an enlargement
// takes from each pixel of a cell, a pool had divided among them.
kernels::Weights WeightView::some(const ConvPath& path, std::int64_t row, std::int64_t rows,
                                  std::int64_t column, std::int64_t some_columns) const noexcept {
  kernels::Weights some{.rows = rows, .columns = some_columns, .taps = taps};
  if (adjoint_of == nullptr) {
    some.first = data + ((path.row + row) * columns + path.column + column) * taps;
    some.row_step = columns * taps;
    some.column_step = taps;
    some.tap_step = 1;
    return some;
  }
  const ConvOptions& forward = *adjoint_of;
  const bool from_low = path.src == Frequency::kLow;
  const bool to_low = path.dst == Frequency::kLow;
  const std::int64_t outputs =
      (from_low ? forward.out.low : forward.out.high) / forward.groups;  // of a group
  const std::int64_t inputs = (to_low ? forward.in.low : forward.in.high) / forward.groups;
  const std::int64_t out = (from_low ? 0 : forward.out.low) + row / inputs * outputs + column;
  const std::int64_t in = (to_low ? 0 : forward.in.low / forward.groups) + row % inputs;
  some.first = data + (out * columns + in) * taps + taps - 1;
  some.row_step = taps;
  some.column_step = columns * taps;
  some.tap_step = -1;
  if (from_low && !to_low) some.factor = 1.0F / static_cast<float>(forward.octave.elements());
  return some;
}

OctConvWeights::Packed pack_conv(const ConvOptions& options, std::span<const float> weight,
                                 std::span<const float> bias, const ConvMethods& methods,
                                 TensorPool* pool) {
  check_common(options);
  check_sizes(options, weight, bias);
  return pack(options, view_of(options, weight), bias, methods, pool);
}

OctConvWeights::Packed pack_adjoint(const ConvOptions& options, std::span<const float> weight,
                                    const ConvMethods& methods, TensorPool* pool) {
  check_common(options);
  check_sizes(options, weight, {});
  if (!has_planned_gradient(options)) {
    throw Unsupported("the gradient of an octave convolution: kernel " +
                      options.kernel.to_string() + ", stride " + options.stride.to_string() +
                      ", padding " + options.padding_begin.to_string() + " has no plan");
  }
  WeightView view = view_of(options, weight);
  view.adjoint_of = &options;
  return pack(adjoint_options(options), view, {}, methods, pool);
}

}  // namespace octconv::octave
