// SPDX-License-Identifier: Apache-2.0
#include "nn/spatial.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include <ATen/ATen.h>

#include "octconv/base/error.h"

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

at::Tensor maximum_of(const at::Tensor& x, const Shape& kernel, const Shape& stride,
                      at::IntArrayRef padding, bool ceil_mode) {
  const at::IntArrayRef dense = filled(kOnes, kernel);
  switch (kernel.rank()) {
    case 1:
      return at::max_pool1d(x, as_ints(kernel), as_ints(stride), padding, dense, ceil_mode);
    case 2:
      return at::max_pool2d(x, as_ints(kernel), as_ints(stride), padding, dense, ceil_mode);
    default:
      return at::max_pool3d(x, as_ints(kernel), as_ints(stride), padding, dense, ceil_mode);
  }
}

// The pixel of an axis that stands at `at`, inside or outside it.
std::int64_t source_index(std::int64_t at, std::int64_t extent, PaddingMode mode) {
  if (mode == PaddingMode::kReplicate) return std::clamp<std::int64_t>(at, 0, extent - 1);
  if (mode == PaddingMode::kCircular) return (at + extent) % extent;
  if (at < 0) return -at;
  return at < extent ? at : 2 * (extent - 1) - at;
}

}  // namespace

at::Tensor empty_last(std::int64_t batch, std::int64_t channels, const Shape& extents) {
  if (channels == 0) return {};
  std::vector<std::int64_t> sizes{batch};
  if (extents.rank() == 1) {
    sizes.insert(sizes.end(), {extents[0], channels});
    return at::empty(sizes, at::kFloat);
  }
  sizes.push_back(channels);
  sizes.insert(sizes.end(), extents.begin(), extents.end());
  return at::empty(sizes, at::kFloat,
                   channels_last_format(static_cast<std::int64_t>(sizes.size())));
}

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

at::Tensor every(const at::Tensor& x, const Shape& step) {
  at::Tensor y = x;
  for (std::size_t axis = 0; axis < step.rank(); ++axis) {
    y = y.slice(static_cast<std::int64_t>(axis) + 2, 0, c10::nullopt, step[axis]);
  }
  return y;
}

bool picks_pixels(const Shape& kernel, const Shape& stride, const Shape& padding) {
  return is_all(kernel, 1) && is_all(padding, 0) && !is_all(stride, 1);
}

at::Tensor convolution(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                       const Shape& stride, const Shape& padding, const Shape& dilation,
                       std::int64_t groups) {
  // With an empty batch LibTorch 1.13 views the weight as a matrix, which a block cannot be.
  const at::Tensor usable = x.numel() == 0 ? weight.contiguous() : weight;
  const bool picks = picks_pixels(spatial_extents(weight), stride, padding);
  const at::Tensor source = picks ? every(x, stride).contiguous(x.suggest_memory_format()) : x;
  return at::convolution(source, usable, bias, picks ? filled(kOnes, stride) : as_ints(stride),
                         as_ints(padding), as_ints(dilation), /*transposed=*/false,
                         filled(kZeros, stride), groups);
}

at::Tensor max_pool(const at::Tensor& x, const Shape& kernel, const Shape& stride,
                    const Shape& padding) {
  return maximum_of(x, kernel, stride, as_ints(padding), /*ceil_mode=*/false);
}

at::Tensor average_pool(const at::Tensor& x, const Shape& kernel, const Shape& stride) {
  return average(x, kernel, stride, /*ceil_mode=*/false);
}

at::Tensor pad(const at::Tensor& x, const Shape& begin, const Shape& end, PaddingMode mode) {
  if (mode == PaddingMode::kZeros) return pad(x, begin, end, 0.0);
  at::Tensor padded = x;
  for (std::size_t axis = 0; axis < begin.rank(); ++axis) {
    if (begin[axis] == 0 && end[axis] == 0) continue;
    const auto dim = static_cast<std::int64_t>(axis) + 2;
    const std::int64_t extent = x.size(dim);
    const std::int64_t most = std::max(begin[axis], end[axis]);
    if ((mode == PaddingMode::kReflect && most >= extent) ||
        (mode == PaddingMode::kCircular && most > extent) || extent == 0) {
      throw InvalidArgument("padding of " + std::to_string(most) + " by mode " +
                            std::string(to_string(mode)) + " does not fit a map of extents " +
                            spatial_extents(x).to_string());
    }
    std::vector<std::int64_t> sources;
    for (std::int64_t at = -begin[axis]; at < extent + end[axis]; ++at) {
      sources.push_back(source_index(at, extent, mode));
    }
    padded = padded.index_select(dim, at::tensor(sources, at::kLong).to(x.device()));
  }
  return padded;
}

at::Tensor pool_cells(const at::Tensor& x, const Shape& window, bool maximum, OddLow odd_low) {
  const bool ceil_mode = odd_low == OddLow::kCeil;
  Shape cell = window;
  for (std::size_t axis = 0; axis < cell.rank(); ++axis) {
    const std::int64_t extent = x.size(static_cast<std::int64_t>(axis) + 2);
    if (extent >= cell[axis]) continue;
    if (!ceil_mode) {
      throw InvalidArgument("a map of extents " + spatial_extents(x).to_string() +
                            " has no whole cell of " + window.to_string());
    }
    cell[axis] = extent;  // one cell, which LibTorch would call smaller than its window
  }
  return maximum ? maximum_of(x, cell, cell, filled(kZeros, cell), ceil_mode)
                 : average(x, cell, cell, ceil_mode);
}

at::Tensor upsample(const at::Tensor& x, const Shape& factor, const Shape& extents, Upsample how) {
  // Given the factors, LibTorch takes source pixel floor(i / factor), or interpolates around
  // (i + .5) / factor - .5, whatever size is asked for: cropping is free.
  const auto scale = [&](std::size_t axis) { return static_cast<double>(factor[axis]); };
  constexpr bool kCornersAligned = false;
  const bool nearest = how == Upsample::kNearest;
  switch (factor.rank()) {
    case 1:
      return nearest ? at::upsample_nearest1d(x, as_ints(extents), scale(0))
                     : at::upsample_linear1d(x, as_ints(extents), kCornersAligned, scale(0));
    case 2:
      return nearest ? at::upsample_nearest2d(x, as_ints(extents), scale(0), scale(1))
                     : at::upsample_bilinear2d(x, as_ints(extents), kCornersAligned, scale(0),
                                               scale(1));
    default:
      return nearest ? at::upsample_nearest3d(x, as_ints(extents), scale(0), scale(1), scale(2))
                     : at::upsample_trilinear3d(x, as_ints(extents), kCornersAligned, scale(0),
                                                scale(1), scale(2));
  }
}

}  // namespace octconv::nn
