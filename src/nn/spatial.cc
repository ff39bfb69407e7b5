// SPDX-License-Identifier: Apache-2.0
#include "nn/spatial.h"

#include <array>
#include <vector>

#include <ATen/ATen.h>

namespace octconv::nn {
namespace {

constexpr std::array<std::int64_t, 3> kZeros{0, 0, 0};
constexpr std::array<std::int64_t, 3> kOnes{1, 1, 1};

at::IntArrayRef filled(const std::array<std::int64_t, 3>& values, const Shape& like) {
  return {values.data(), like.rank()};
}

at::Tensor average(const at::Tensor& x, const Shape& kernel, const Shape& stride, bool ceil_mode) {
  const at::IntArrayRef none = filled(kZeros, kernel);
  constexpr bool kCountPadding = false;
  switch (kernel.rank()) {
    case 1:
      return at::avg_pool1d(x, as_ints(kernel), as_ints(stride), none, ceil_mode, kCountPadding);
    case 2:
      return at::avg_pool2d(x, as_ints(kernel), as_ints(stride), none, ceil_mode, kCountPadding);
    default:
      return at::avg_pool3d(x, as_ints(kernel), as_ints(stride), none, ceil_mode, kCountPadding);
  }
}

}  // namespace

Shape spatial_extents(const at::Tensor& x) {
  Shape extents;
  for (const std::int64_t extent : x.sizes().slice(2)) extents.push_back(extent);
  return extents;
}

at::Tensor pad(const at::Tensor& x, const Shape& begin, const Shape& end, double value) {
  std::vector<std::int64_t> amounts;  // last axis first
  for (std::size_t axis = begin.rank(); axis-- > 0;) {
    amounts.push_back(begin[axis]);
    amounts.push_back(end[axis]);
  }
  return at::constant_pad_nd(x, amounts, value);
}

at::Tensor max_pool(const at::Tensor& x, const Shape& kernel, const Shape& stride) {
  const at::IntArrayRef none = filled(kZeros, kernel);
  const at::IntArrayRef dense = filled(kOnes, kernel);
  switch (kernel.rank()) {
    case 1:
      return at::max_pool1d(x, as_ints(kernel), as_ints(stride), none, dense);
    case 2:
      return at::max_pool2d(x, as_ints(kernel), as_ints(stride), none, dense);
    default:
      return at::max_pool3d(x, as_ints(kernel), as_ints(stride), none, dense);
  }
}

at::Tensor average_pool(const at::Tensor& x, const Shape& kernel, const Shape& stride) {
  return average(x, kernel, stride, /*ceil_mode=*/false);
}

at::Tensor average_cells(const at::Tensor& x, const Shape& window) {
  return average(x, window, window, /*ceil_mode=*/true);
}

at::Tensor upsample(const at::Tensor& x, const Shape& factor, const Shape& extents) {
  // Given the factors, LibTorch takes source pixel floor(i / factor) whatever size is asked for:
  // cropping is free.
  const auto scale = [&](std::size_t axis) { return static_cast<double>(factor[axis]); };
  switch (factor.rank()) {
    case 1:
      return at::upsample_nearest1d(x, as_ints(extents), scale(0));
    case 2:
      return at::upsample_nearest2d(x, as_ints(extents), scale(0), scale(1));
    default:
      return at::upsample_nearest3d(x, as_ints(extents), scale(0), scale(1), scale(2));
  }
}

}  // namespace octconv::nn
