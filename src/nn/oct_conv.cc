// SPDX-License-Identifier: Apache-2.0
// The octave convolution from LibTorch's operations: as few and as large ones as the paths allow.
#include "octconv/nn/oct_conv.h"

#include <string>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include "nn/fused_conv.h"
#include "nn/path_groups.h"
#include "nn/spatial.h"
#include "octconv/base/error.h"

namespace octconv::nn {
namespace {

// What the paths read, each pooled tensor made once.
class Sources {
 public:
  explicit Sources(const OctTensor& input) : input_(input) {}

  at::Tensor get(const ConvPath& path) { return get(path.src, path.pools); }

 private:
  struct Pooled {
    Frequency src;
    std::vector<Shape> pools;
    at::Tensor tensor;
  };

  at::Tensor get(Frequency src, const std::vector<Shape>& pools) {
    if (pools.empty()) return src == Frequency::kHigh ? input_.high : input_.low;
    for (const Pooled& known : made_) {
      if (known.src == src && known.pools == pools) return known.tensor;
    }
    const std::vector<Shape> before(pools.begin(), pools.end() - 1);
    at::Tensor tensor = average_cells(get(src, before), pools.back());
    made_.push_back({src, pools, tensor});
    return tensor;
  }

  const OctTensor& input_;
  std::vector<Pooled> made_;
};

void check_frequency(const at::Tensor& x, std::int64_t channels, const char* name,
                     const ConvOptions& options) {
  if (x.defined() != (channels > 0)) {
    throw InvalidArgument("oct_conv: the " + std::string(name) + " input is " +
                          (x.defined() ? "given" : "missing") + ", but the layer reads " +
                          std::to_string(channels) + " such channels");
  }
  if (!x.defined()) return;
  if (x.dim() != static_cast<std::int64_t>(options.rank()) + 2 || x.size(1) != channels) {
    throw InvalidArgument("oct_conv: the " + std::string(name) + " input has shape " +
                          Shape(std::span(x.sizes().data(), x.sizes().size())).to_string() +
                          ", expected [n, " + std::to_string(channels) + "] and " +
                          std::to_string(options.rank()) + " extents");
  }
}

void check_tensors(const OctTensor& input, const at::Tensor& weight, const at::Tensor& bias,
                   const ConvOptions& o) {
  check_frequency(input.high, o.in.high, "high", o);
  check_frequency(input.low, o.in.low, "low", o);
  if (input.high.defined() && input.low.defined() && input.high.size(0) != input.low.size(0)) {
    throw InvalidArgument("oct_conv: the high input has batch " +
                          std::to_string(input.high.size(0)) + ", the low one " +
                          std::to_string(input.low.size(0)));
  }
  Shape expected{o.out.total(), o.in.total() / o.groups};
  for (const std::int64_t extent : o.kernel) expected.push_back(extent);
  if (weight.sizes() != as_ints(expected)) {
    throw InvalidArgument(
        "oct_conv: the weight has shape " +
        Shape(std::span(weight.sizes().data(), weight.sizes().size())).to_string() + ", expected " +
        expected.to_string());
  }
  if (bias.defined() && bias.sizes() != at::IntArrayRef{o.out.total()}) {
    throw InvalidArgument("oct_conv: the bias has shape " +
                          Shape(std::span(bias.sizes().data(), bias.sizes().size())).to_string() +
                          ", expected [" + std::to_string(o.out.total()) + "]");
  }
}

at::Tensor convolve(const PathGroup& group, Sources& sources, const at::Tensor& weight,
                    const at::Tensor& bias, const ConvOptions& options) {
  const ConvPath& first = group.first();
  at::Tensor x = sources.get(first);
  if (group.paths.size() > 1) {
    std::vector<at::Tensor> inputs;
    for (const ConvPath& path : group.paths) inputs.push_back(sources.get(path));
    x = at::cat(inputs, 1);
  }
  const std::int64_t columns = group.columns();
  at::Tensor block = weight;
  if (first.rows != weight.size(0)) block = block.narrow(0, first.row, first.rows);
  if (columns != weight.size(1)) block = block.narrow(1, first.column, columns);
  const at::Tensor added = bias.defined() ? bias.narrow(0, first.row, first.rows) : bias;
  Shape padding = options.padding_begin;
  if (options.padding_begin != options.padding_end) {
    x = pad(x, options.padding_begin, options.padding_end, 0);
    padding = Shape::filled(options.rank(), 0);
  }
  const Shape none = Shape::filled(options.rank(), 0);
  return at::convolution(x, block, added, as_ints(first.stride), as_ints(padding),
                         as_ints(options.dilation),
                         /*transposed=*/false, as_ints(none), first.groups);
}

}  // namespace

OctTensor oct_conv(const OctTensor& input, const at::Tensor& weight, const at::Tensor& bias,
                   const ConvOptions& options) {
  check(options);
  check_tensors(input, weight, bias, options);
  const Shape in_extents = full_extents(input, options.octave);
  const Shape extents = output_extents(options, in_extents);
  OctTensor result;
  if (fused_conv_takes(input, weight, bias, options)) {
    result = fused_conv(input, weight, bias, options, in_extents);
    if (!result.high.defined()) result.extents = extents;
    return result;
  }
  Sources sources(input);
  for (const PathGroup& group : group_paths(options)) {
    at::Tensor& dst = group.first().dst == Frequency::kHigh ? result.high : result.low;
    const at::Tensor added = dst.defined() ? at::Tensor() : bias;  // once
    at::Tensor y = convolve(group, sources, weight, added, options);
    if (group.first().upsampled()) y = upsample(y, group.first().upsample, extents);
    dst = dst.defined() ? dst.add_(y) : y;
  }
  if (!result.high.defined()) result.extents = extents;
  return result;
}

}  // namespace octconv::nn
