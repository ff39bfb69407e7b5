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

// The map after the path's pools; adds those that are missing. Pools that paths share are done
// once.
std::size_t pooled_map(std::vector<ConvMap>& maps, const ConvPath& path) {
  std::size_t at = path.src == Frequency::kHigh ? 0 : 1;
  for (const PathPool& pool : path.pools) {
    const Shape& window = pool.window;
    const auto known = std::find_if(maps.begin() + 2, maps.end(), [&](const ConvMap& map) {
      return map.from == at && map.window == window;
    });
    const auto index = static_cast<std::size_t>(known - maps.begin());
    if (known == maps.end()) {
      maps.push_back({.from = at, .window = window, .channels = maps[at].channels});
    }
    at = index;
  }
  return at;
}

// Divides the taps of all inputs so that the row pointers of one tile fit into a task's table.
std::vector<Slice> make_slices(std::size_t inputs, std::int64_t taps) {
  constexpr std::int64_t kMost = kRowPointers / kTilePixels;
  std::vector<Slice> slices(1);
  std::int64_t room = kMost;
  for (std::size_t input = 0; input < inputs; ++input) {
    for (std::int64_t begin = 0; begin < taps;) {
      if (room == 0) {
        slices.emplace_back();
        room = kMost;
      }
      const std::int64_t end = std::min(taps, begin + room);
      slices.back().taps[input] = {begin, end};
      room -= end - begin;
      begin = end;
    }
  }
  return slices;
}

class Packer {
 public:
  Packer(const WeightView& weight, const ConvKernel& kernel) : weight_(weight), kernel_(kernel) {}

  void pack(const ConvPass& pass, Slice& slice) const {
    std::int64_t depth = 0;
    for (std::size_t i = 0; i < pass.inputs.size(); ++i) {
      depth += slice.taps[i].size() * pass.inputs[i].path.columns;
    }
    slice.group_stride = pass.depthwise ? 0 : kernel_.vectors(pass.outputs) * kernel_.lanes * depth;
    const std::int64_t elements =
        pass.depthwise ? depth * pass.groups * pass.outputs : slice.group_stride * pass.groups;
    slice.weights = Tensor(Shape{elements});
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
  float* pack_group(const ConvPass& pass, const Slice& slice, std::int64_t group, float* to) const {
    std::int64_t first = 0;  // output of the group
    for (std::int64_t block = 0; block < kernel_.blocks(pass.outputs); ++block) {
      const std::int64_t width = kernel_.block_vectors(pass.outputs, block) * kernel_.lanes;
      const std::int64_t real = std::min(width, pass.outputs - first);
      for (std::size_t i = 0; i < pass.inputs.size(); ++i) {
        const ConvPath& path = pass.inputs[i].path;
        const TapRange taps = slice.taps[i];
        // Row by row: that is how the weight lies in memory.
        for (std::int64_t o = 0; o < real; ++o) {
          const std::int64_t row = group * pass.outputs + first + o;
          for (std::int64_t column = 0; column < path.columns; ++column) {
            for (std::int64_t tap = taps.begin; tap < taps.end; ++tap) {
              to[((tap - taps.begin) * path.columns + column) * width + o] =
                  weight_.at(path, row, column, tap);
            }
          }
        }
        to += taps.size() * path.columns * width;
      }
      first += width;
    }
    return to;
  }

  WeightView weight_;
  const ConvKernel& kernel_;
};

void pack_bias(ConvPass& pass, const ConvOptions& options, std::span<const float> bias,
               const ConvKernel& kernel) {
  pass.bias_stride = pass.depthwise ? 1 : kernel.vectors(pass.outputs) * kernel.lanes;
  pass.bias = Tensor(Shape{pass.groups * pass.bias_stride});
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
                                 std::span<const float> bias, const ConvMethods& methods) {
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
  for (const Frequency dst : {Frequency::kHigh, Frequency::kLow}) {
    const std::int64_t channels = dst == Frequency::kHigh ? options.out.high : options.out.low;
    if (channels == 0) continue;
    ConvPass direct{.dst = dst, .method = dst == Frequency::kHigh ? methods.high : methods.low};
    for (const ConvPath& path : paths) {
      if (path.dst != dst) continue;
      const PassInput input{.path = path, .map = pooled_map(packed.maps, path)};
      direct.groups = path.groups;
      if (path.upsampled()) {
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

  check_methods(options, packed.passes);
  const WeightView view{.data = weight.data(),
                        .columns = options.in.total() / options.groups,
                        .taps = options.kernel.elements()};
  const Packer packer(view, *packed.kernel);
  std::int64_t widest = std::max(options.in.high, options.in.low);
  for (ConvPass& pass : packed.passes) {
    if (pass.method == ConvMethod::kDirect) {
      pass.slices = make_slices(pass.inputs.size(), options.kernel.elements());
      for (Slice& slice : pass.slices) packer.pack(pass, slice);
    } else {
      pack_winograd(options, view, *packed.kernel, pass);
    }
    pack_bias(pass, options, bias, *packed.kernel);
    widest = std::max(widest, pass.bias.elements());
  }
  packed.zeros = Tensor(Shape{widest});
  return packed;
}

}  // namespace octconv::octave
