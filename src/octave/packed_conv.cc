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
    const std::int64_t blocks = kernel_.blocks(pass.outputs);
    const std::int64_t each = depth * 2 * kernel_.lanes;
    parallel_for(pass.groups * blocks, kLeastFloats / std::max<std::int64_t>(1, each) + 1,
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t i = begin; i < end; ++i) {
                     const std::int64_t group = i / blocks;
                     const std::int64_t block = i % blocks;
                     pack_block(pass, slice, group, block,
                                to + group * slice.group_stride + block * each);
                   }
                 });
  }

 private:
  void pack_block(const ConvPass& pass, const Slice& slice, std::int64_t group, std::int64_t block,
                  float* to) const {
    const std::int64_t first = block * 2 * kernel_.lanes;  // output of the group
    const std::int64_t width = kernel_.block_vectors(pass.outputs, block) * kernel_.lanes;
    const std::int64_t real = std::min(width, pass.outputs - first);
    if (real < width) std::fill_n(to, slice.depth() * width, 0.0F);
    for (std::size_t i = 0; i < pass.inputs.size(); ++i) {
      const PassInput& input = pass.inputs[i];
      const Range taps = slice.taps[i];
      const Range columns = slice.columns[i];
      const WeightView::Element corner =
          weight_.element(input.path, group * pass.outputs + first, 0);
      const std::int64_t tap_step = input.row_taps * corner.tap_step;
      const auto column_at = [&](std::int64_t column) {
        if (input.row_taps == 1) return corner.first + column * weight_.column_step();
        return corner.first + column % input.path.columns * weight_.column_step() +
               column / input.path.columns * corner.tap_step;
      };
      const auto copy = [&](std::int64_t column, std::int64_t begin, std::int64_t end) {
        const float* from = column_at(column) + taps.begin * tap_step;
        float* out = to + (column - columns.begin) * width;
        for (std::int64_t tap = taps.begin; tap < taps.end; ++tap) {
          copy_rows(from, corner.factor, begin, end, out);
          from += tap_step;
          out += columns.size() * width;
        }
      };
      // Squares of rows and columns, so that what lies between them in memory is read while it is
      // near. The rows of an adjoint are near each other, and its columns far apart.
      constexpr std::int64_t kSide = 16;
      constexpr std::int64_t kAhead = 8;  // columns
      const bool adjoint = weight_.adjoint_of != nullptr;
      const std::int64_t rows = adjoint ? real : kSide;
      for (std::int64_t c = columns.begin; c < columns.end; c += kSide) {
        const std::int64_t end = std::min(c + kSide, columns.end);
        for (std::int64_t o = 0; o < real; o += rows) {
          for (std::int64_t column = c; column < end; ++column) {
            if (adjoint && column + kAhead < columns.end) {
              prefetch_rows(column_at(column + kAhead), rows);
            }
            copy(column, o, std::min(o + rows, real));
          }
        }
      }
      to += taps.size() * columns.size() * width;
    }
  }

  // Of a column.
  void prefetch_rows(const float* column, std::int64_t rows) const {
    constexpr std::int64_t kLine = 16;  // floats in a cache line
    for (std::int64_t o = 0; o < rows; o += kLine) {
      __builtin_prefetch(column + o * weight_.row_step());
    }
  }

  // Rows [begin, end) of one column and tap.
  void copy_rows(const float* from, float factor, std::int64_t begin, std::int64_t end,
                 float* out) const {
    const std::int64_t step = weight_.row_step();
    if (step == 1) {
      for (std::int64_t o = begin; o < end; ++o) out[o] = from[o] * factor;
    } else {
      for (std::int64_t o = begin; o < end; ++o) out[o] = from[o * step] * factor;
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

WeightView::Element WeightView::adjoint_element(const ConvPath& path, std::int64_t row,
                                                std::int64_t column) const noexcept {
  const ConvOptions& forward = *adjoint_of;
  const bool from_low = path.src == Frequency::kLow;
  const bool to_low = path.dst == Frequency::kLow;
  const std::int64_t rows =
      (from_low ? forward.out.low : forward.out.high) / forward.groups;  // of a group
  const std::int64_t inputs = (to_low ? forward.in.low : forward.in.high) / forward.groups;
  const std::int64_t out = (from_low ? 0 : forward.out.low) + row / inputs * rows + column;
  const std::int64_t in = (to_low ? 0 : forward.in.low / forward.groups) + row % inputs;
  const float factor =
      from_low && !to_low ? 1.0F / static_cast<float>(forward.octave.elements()) : 1.0F;
  return {data + (out * columns + in) * taps + taps - 1, -1, factor};
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
