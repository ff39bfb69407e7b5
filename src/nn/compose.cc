// SPDX-License-Identifier: Apache-2.0
#include "nn/compose.h"

#include <span>

#include <ATen/ATen.h>

#include "nn/spatial.h"
#include "octconv/base/error.h"

namespace octconv::nn {
namespace {

void check_frequency(const std::string& who, const at::Tensor& x, std::int64_t channels,
                     const char* name, std::size_t rank) {
  if (x.defined() != (channels > 0)) {
    throw InvalidArgument(who + ": the " + name + " input is " +
                          (x.defined() ? "given" : "missing") + ", but the layer reads " +
                          std::to_string(channels) + " such channels");
  }
  if (x.defined() && (x.dim() != static_cast<std::int64_t>(rank) + 2 || x.size(1) != channels)) {
    throw InvalidArgument(who + ": the " + name + " input has shape " + shape_of(x).to_string() +
                          ", expected [n, " + std::to_string(channels) + "] and " +
                          std::to_string(rank) + " extents");
  }
}

}  // namespace

Shape shape_of(const at::Tensor& x) {
  return Shape(std::span<const std::int64_t>(x.sizes().data(), x.sizes().size()));
}

bool is_unbatched(const OctTensor& input, std::size_t rank) {
  const at::Tensor& x = input.high.defined() ? input.high : input.low;
  return x.defined() && x.dim() == static_cast<std::int64_t>(rank) + 1;
}

OctTensor with_batch(const OctTensor& input) {
  const auto add_axis = [](const at::Tensor& x) { return x.defined() ? x.unsqueeze(0) : x; };
  return {add_axis(input.high), add_axis(input.low), input.extents};
}

OctTensor without_batch(const OctTensor& output) {
  const auto drop_axis = [](const at::Tensor& x) { return x.defined() ? x.squeeze(0) : x; };
  return {drop_axis(output.high), drop_axis(output.low), output.extents};
}

void check_operands(const std::string& who, const OctTensor& input, const ChannelSplit& in,
                    std::size_t rank, const at::Tensor& weight, const Shape& weight_shape,
                    const at::Tensor& bias, std::int64_t out_channels) {
  check_frequency(who, input.high, in.high, "high", rank);
  check_frequency(who, input.low, in.low, "low", rank);
  if (input.high.defined() && input.low.defined() && input.high.size(0) != input.low.size(0)) {
    throw InvalidArgument(who + ": the high input has batch " + std::to_string(input.high.size(0)) +
                          ", the low one " + std::to_string(input.low.size(0)));
  }
  if (!weight.defined() || shape_of(weight) != weight_shape) {
    throw InvalidArgument(who + ": the weight has shape " +
                          (weight.defined() ? shape_of(weight).to_string() : "none") +
                          ", expected " + weight_shape.to_string());
  }
  if (bias.defined() && shape_of(bias) != Shape{out_channels}) {
    throw InvalidArgument(who + ": the bias has shape " + shape_of(bias).to_string() +
                          ", expected [" + std::to_string(out_channels) + "]");
  }
  for (const at::Tensor& x : {input.high, input.low, bias}) {
    if (x.defined() && x.scalar_type() != weight.scalar_type()) {
      throw InvalidArgument(who + ": a tensor of type " + c10::toString(x.scalar_type()) +
                            " meets a weight of type " + c10::toString(weight.scalar_type()));
    }
  }
}

at::Tensor PathSources::get(Frequency src, const std::vector<PathPool>& pools) {
  if (pools.empty()) return src == Frequency::kHigh ? input_.high : input_.low;
  for (const Pooled& known : made_) {
    if (known.src == src && known.pools == pools) return known.tensor;
  }
  const std::vector<PathPool> before(pools.begin(), pools.end() - 1);
  at::Tensor tensor =
      pool_cells(get(src, before), pools.back().window, pools.back().maximum, odd_low_);
  made_.push_back({src, pools, tensor});
  return tensor;
}

}  // namespace octconv::nn
