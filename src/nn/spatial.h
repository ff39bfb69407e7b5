// SPDX-License-Identifier: Apache-2.0
// LibTorch's spatial operations with the rank as data.
#pragma once

#include <algorithm>
#include <cstdint>

#include <ATen/core/Tensor.h>

#include "octconv/octave/options.h"
#include "octconv/tensor/shape.h"

namespace octconv::nn {

/// The order of memory that convolutions want of maps and of their gradients: channels last, where
/// LibTorch has a name for it (two and three axes).
[[nodiscard]] inline at::MemoryFormat channels_last_format(std::int64_t dim) {
  if (dim == 4) return at::MemoryFormat::ChannelsLast;
  if (dim == 5) return at::MemoryFormat::ChannelsLast3d;
  return at::MemoryFormat::Contiguous;
}

/// A float map in channels-last order, its values yet unwritten. Of one axis it is [batch, extent,
/// channels]: LibTorch knows no such order there. Undefined if there are no channels.
[[nodiscard]] at::Tensor empty_last(std::int64_t batch, std::int64_t channels,
                                    const Shape& extents);

/// Extents behind batch and channels.
[[nodiscard]] Shape spatial_extents(const at::Tensor& x);

[[nodiscard]] inline bool is_all(const Shape& shape, std::int64_t value) {
  return std::all_of(shape.begin(), shape.end(),
                     [&](std::int64_t extent) { return extent == value; });
}

[[nodiscard]] inline at::IntArrayRef as_ints(const Shape& shape) {
  return {shape.begin(), shape.rank()};
}

/// [1, channels, 1...]: a value per channel beside a map of this rank.
[[nodiscard]] inline Shape bias_shape(std::size_t rank, std::int64_t channels) {
  Shape shape{1, channels};
  for (std::size_t axis = 0; axis < rank; ++axis) shape.push_back(1);
  return shape;
}

/// `begin` and `end` pixels of `value` around the image.
[[nodiscard]] at::Tensor pad(const at::Tensor& x, const Shape& begin, const Shape& end,
                             double value);

/// The same with the image's own pixels (or zeros), as `mode` says.
/// @throws InvalidArgument if the image is too small: reflection needs fewer pixels than the
/// extent, wrapping
///         at most as many
[[nodiscard]] at::Tensor pad(const at::Tensor& x, const Shape& begin, const Shape& end,
                             PaddingMode mode);

/// Every step-th pixel along each axis, beginning with the first: a view.
[[nodiscard]] at::Tensor every(const at::Tensor& x, const Shape& step);

/// Should such a convolution pick its pixels first and run at stride 1? oneDNN 2.6 writes past the
/// end of its buffer in the weight gradient of a strided convolution of kernel 1 when maps are
/// channels-last and channels fill no vector.
[[nodiscard]] bool picks_pixels(const Shape& kernel, const Shape& stride, const Shape& padding);

/// LibTorch's convolution; `weight` may be a block of a larger one, the batch empty.
[[nodiscard]] at::Tensor convolution(const at::Tensor& x, const at::Tensor& weight,
                                     const at::Tensor& bias, const Shape& stride,
                                     const Shape& padding, const Shape& dilation,
                                     std::int64_t groups);

/// Windows that lie on the image whole.
[[nodiscard]] at::Tensor max_pool(const at::Tensor& x, const Shape& kernel, const Shape& stride,
                                  const Shape& padding);
[[nodiscard]] at::Tensor average_pool(const at::Tensor& x, const Shape& kernel,
                                      const Shape& stride);

/// Disjoint windows, whose average or maximum becomes a pixel. Those at the far edge take the
/// pixels that exist, or are left out where they are not whole (kFloor).
[[nodiscard]] at::Tensor pool_cells(const at::Tensor& x, const Shape& window, bool maximum = false,
                                    OddLow odd_low = OddLow::kCeil);

/// Each pixel `factor` times along each axis, or interpolated; cropped to `extents`. Beyond the
/// last pixel it repeats.
[[nodiscard]] at::Tensor upsample(const at::Tensor& x, const Shape& factor, const Shape& extents,
                                  Upsample how = Upsample::kNearest);

}  // namespace octconv::nn
