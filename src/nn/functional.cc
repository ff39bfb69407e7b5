// SPDX-License-Identifier: Apache-2.0
#include "octconv/nn/functional.h"

#include <string>

#include <ATen/ATen.h>

#include "nn/compose.h"
#include "nn/spatial.h"
#include "octconv/base/error.h"

namespace octconv::nn {
namespace {

std::int64_t channels_of(const at::Tensor& x) {
  return x.defined() ? x.size(1) : 0;
}

// Applies `pool(tensor, extents)` to each grid.
template <class Function>
OctTensor pool_to(const OctTensor& value, const Shape& extents, const Shape& octave,
                  Function&& pool) {
  static_cast<void>(full_extents(value, octave));
  OctTensor result(at::Tensor(), at::Tensor(), extents);
  if (value.high.defined()) result.high = pool(value.high, extents);
  if (value.low.defined()) result.low = pool(value.low, low_extents(extents, octave));
  return result;
}

}  // namespace

OctTensor relu(const OctTensor& value) {
  return apply(value, [](const at::Tensor& x) { return at::relu(x); });
}
OctTensor relu6(const OctTensor& value) {
  return apply(value, [](const at::Tensor& x) { return at::clamp(x, 0, 6); });
}
OctTensor leaky_relu(const OctTensor& value, double negative_slope) {
  return apply(value, [&](const at::Tensor& x) { return at::leaky_relu(x, negative_slope); });
}
OctTensor sigmoid(const OctTensor& value) {
  return apply(value, [](const at::Tensor& x) { return at::sigmoid(x); });
}
OctTensor hardsigmoid(const OctTensor& value) {
  return apply(value, [](const at::Tensor& x) { return at::hardsigmoid(x); });
}
OctTensor silu(const OctTensor& value) {
  return apply(value, [](const at::Tensor& x) { return at::silu(x); });
}
OctTensor hardswish(const OctTensor& value) {
  return apply(value, [](const at::Tensor& x) { return at::hardswish(x); });
}
OctTensor gelu(const OctTensor& value) {
  return apply(value, [](const at::Tensor& x) { return at::gelu(x); });
}
OctTensor dropout(const OctTensor& value, double p, bool training) {
  return apply(value, [&](const at::Tensor& x) { return at::dropout(x, p, training); });
}

OctTensor cat(const std::vector<OctTensor>& values) {
  if (values.empty()) throw InvalidArgument("cat: at least one value is needed");
  const auto join = [&](at::Tensor OctTensor::*frequency) {
    std::vector<at::Tensor> parts;
    for (const OctTensor& value : values) {
      const at::Tensor& part = value.*frequency;
      if (!part.defined()) continue;
      if (!parts.empty() && spatial_extents(part) != spatial_extents(parts.front())) {
        throw InvalidArgument("cat: a value of extents " + spatial_extents(part).to_string() +
                              " meets one of " + spatial_extents(parts.front()).to_string());
      }
      parts.push_back(part);
    }
    return parts.empty() ? at::Tensor() : at::cat(parts, 1);
  };
  return {join(&OctTensor::high), join(&OctTensor::low), values.front().extents};
}

OctTensor scale(const OctTensor& value, const at::Tensor& gate) {
  const std::int64_t low = channels_of(value.low);
  const std::int64_t high = channels_of(value.high);
  if (!gate.defined() || gate.dim() != 2 || gate.size(1) != low + high) {
    throw InvalidArgument("scale: a value of " + std::to_string(low + high) +
                          " channels needs a gate [n, " + std::to_string(low + high) + "], got " +
                          (gate.defined() ? shape_of(gate).to_string() : "none"));
  }
  const auto part = [&](const at::Tensor& x, std::int64_t first) {
    if (!x.defined()) return x;
    std::vector<std::int64_t> shape(static_cast<std::size_t>(x.dim()), 1);
    shape[0] = gate.size(0);
    shape[1] = x.size(1);
    return x * gate.narrow(1, first, x.size(1)).reshape(shape);
  };
  return {part(value.high, low), part(value.low, 0), value.extents};
}

at::Tensor global_average(const OctTensor& value) {
  std::vector<at::Tensor> parts;
  for (const at::Tensor& x : {value.low, value.high}) {
    if (x.defined()) parts.push_back(x.flatten(2).mean(2));
  }
  if (parts.empty()) throw InvalidArgument("global_average: the value has no frequency");
  return parts.size() == 1 ? parts.front() : at::cat(parts, 1);
}

at::Tensor attend(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& attributes,
                  double factor) {
  for (const at::Tensor& x : {queries, keys, attributes}) {
    if (!x.defined() || x.dim() < 3 || x.size(0) != queries.size(0)) {
      throw InvalidArgument("attend: needs three values of the same batch with extents, got " +
                            (x.defined() ? shape_of(x).to_string() : "none"));
    }
  }
  if (keys.size(1) != queries.size(1) || spatial_extents(keys) != spatial_extents(attributes)) {
    throw InvalidArgument("attend: queries " + shape_of(queries).to_string() + ", keys " +
                          shape_of(keys).to_string() + " and values " +
                          shape_of(attributes).to_string() + " do not belong together");
  }
  const at::Tensor scores = at::bmm(queries.flatten(2).transpose(1, 2), keys.flatten(2)) * factor;
  const at::Tensor y = at::bmm(at::softmax(scores, 2), attributes.flatten(2).transpose(1, 2));
  std::vector<std::int64_t> shape(queries.sizes().begin(), queries.sizes().end());
  shape[1] = attributes.size(1);
  return y.transpose(1, 2).reshape(shape);
}

OctTensor adaptive_average_pool(const OctTensor& value, const Shape& extents, const Shape& octave) {
  return pool_to(value, extents, octave, [](const at::Tensor& x, const Shape& size) {
    switch (size.rank()) {
      case 1:
        return at::adaptive_avg_pool1d(x, as_ints(size));
      case 2:
        return at::adaptive_avg_pool2d(x, as_ints(size));
      default:
        return at::adaptive_avg_pool3d(x, as_ints(size));
    }
  });
}

OctTensor adaptive_max_pool(const OctTensor& value, const Shape& extents, const Shape& octave) {
  return pool_to(value, extents, octave, [](const at::Tensor& x, const Shape& size) {
    switch (size.rank()) {
      case 1:
        return std::get<0>(at::adaptive_max_pool1d(x, as_ints(size)));
      case 2:
        return std::get<0>(at::adaptive_max_pool2d(x, as_ints(size)));
      default:
        return std::get<0>(at::adaptive_max_pool3d(x, as_ints(size)));
    }
  });
}

OctTensor upsample(const OctTensor& value, const Shape& factor, const Shape& octave, Upsample how) {
  Shape extents = full_extents(value, octave);
  for (std::size_t axis = 0; axis < octave.rank(); ++axis) extents[axis] *= factor[axis];
  return pool_to(value, extents, octave, [&](const at::Tensor& x, const Shape& size) {
    return upsample(x, factor, size, how);
  });
}

at::Tensor merge(const OctTensor& value, const Shape& octave, Upsample how) {
  const Shape extents = full_extents(value, octave);
  if (!value.low.defined()) return value.high;
  const at::Tensor low = upsample(value.low, octave, extents, how);
  return value.high.defined() ? at::cat({low, value.high}, 1) : low;
}

OctTensor split(const at::Tensor& x, const ChannelSplit& channels, const Shape& octave,
                Downsample how) {
  if (how == Downsample::kStridedConv)
    throw Unsupported("split: a strided convolution has weights");
  if (x.dim() != static_cast<std::int64_t>(octave.rank()) + 2 || x.size(1) != channels.total() ||
      channels.low < 0 || channels.high < 0) {
    throw InvalidArgument("split: a tensor of shape " + shape_of(x).to_string() +
                          " does not have " + std::to_string(channels.low) + " + " +
                          std::to_string(channels.high) + " channels and " +
                          std::to_string(octave.rank()) + " extents");
  }
  OctTensor value(at::Tensor(), at::Tensor(), spatial_extents(x));
  if (channels.low > 0) {
    value.low = pool_cells(x.narrow(1, 0, channels.low), octave, how == Downsample::kMax);
  }
  if (channels.high > 0) value.high = x.narrow(1, channels.low, channels.high);
  return value;
}

}  // namespace octconv::nn
