// SPDX-License-Identifier: Apache-2.0
// The octave convolution from LibTorch's operations: as few and as large ones as the paths allow.
#include "octconv/nn/oct_conv.h"

#include <string>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include "nn/spatial.h"
#include "octconv/base/error.h"

namespace octconv::nn {
namespace {

// Paths that are one convolution: those of one destination that compute on its grid with the same
// stride.
using Group = std::vector<ConvPath>;

bool joins(const ConvPath& a, const ConvPath& b) {
  return a.dst == b.dst && a.stride == b.stride && !a.upsampled() && !b.upsampled() &&
         a.groups == 1 && b.groups == 1;
}

std::vector<Group> group_paths(const ConvOptions& options) {
  std::vector<Group> groups;
  for (ConvPath& path : conv_paths(options)) {
    const auto home = std::find_if(groups.begin(), groups.end(),
                                   [&](const Group& group) { return joins(group.front(), path); });
    if (home != groups.end()) {
      home->push_back(std::move(path));
    } else {
      groups.push_back({std::move(path)});
    }
  }
  for (Group& group : groups) {
    // The order of the weight's columns.
    std::sort(group.begin(), group.end(),
              [](const ConvPath& a, const ConvPath& b) { return a.column < b.column; });
  }
  return groups;
}

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

at::Tensor convolve(const Group& group, Sources& sources, const at::Tensor& weight,
                    const at::Tensor& bias, const ConvOptions& options) {
  const ConvPath& first = group.front();
  at::Tensor x = sources.get(first);
  std::int64_t columns = first.columns;
  if (group.size() > 1) {
    std::vector<at::Tensor> inputs{x};
    for (std::size_t i = 1; i < group.size(); ++i) {
      inputs.push_back(sources.get(group[i]));
      columns += group[i].columns;
    }
    x = at::cat(inputs, 1);
  }
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
  const Shape extents = output_extents(options, full_extents(input, options.octave));
  Sources sources(input);
  OctTensor result;
  for (const Group& group : group_paths(options)) {
    at::Tensor& dst = group.front().dst == Frequency::kHigh ? result.high : result.low;
    const at::Tensor added = dst.defined() ? at::Tensor() : bias;  // once
    at::Tensor y = convolve(group, sources, weight, added, options);
    if (group.front().upsampled()) y = upsample(y, group.front().upsample, extents);
    dst = dst.defined() ? dst.add_(y) : y;
  }
  if (!result.high.defined()) result.extents = extents;
  return result;
}

}  // namespace octconv::nn
