// SPDX-License-Identifier: Apache-2.0
// LibTorch's spatial operations with the rank as data.
#pragma once

#include <algorithm>
#include <cstdint>

#include <ATen/core/Tensor.h>

#include "octconv/tensor/shape.h"

namespace octconv::nn {

/// Extents behind batch and channels.
[[nodiscard]] Shape spatial_extents(const at::Tensor& x);

[[nodiscard]] inline bool is_all(const Shape& shape, std::int64_t value) {
  return std::all_of(shape.begin(), shape.end(),
                     [&](std::int64_t extent) { return extent == value; });
}

[[nodiscard]] inline at::IntArrayRef as_ints(const Shape& shape) {
  return {shape.begin(), shape.rank()};
}

/// `begin` and `end` pixels of `value` around the image.
[[nodiscard]] at::Tensor pad(const at::Tensor& x, const Shape& begin, const Shape& end,
                             double value);

/// Windows that lie on the image whole.
[[nodiscard]] at::Tensor max_pool(const at::Tensor& x, const Shape& kernel, const Shape& stride);
[[nodiscard]] at::Tensor average_pool(const at::Tensor& x, const Shape& kernel,
                                      const Shape& stride);

/// Disjoint windows that cover the image; the last ones average the real pixels only.
[[nodiscard]] at::Tensor average_cells(const at::Tensor& x, const Shape& window);

/// Each pixel repeated `factor` times along each axis, cropped to `extents`.
[[nodiscard]] at::Tensor upsample(const at::Tensor& x, const Shape& factor, const Shape& extents);

}  // namespace octconv::nn
