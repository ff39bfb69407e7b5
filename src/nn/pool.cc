// SPDX-License-Identifier: Apache-2.0
#include "nn/pool.h"

#include <algorithm>
#include <limits>

#include <ATen/ATen.h>

#include "nn/run_again.h"
#include "nn/spatial.h"
#include "nn/work_timer.h"
#include "octconv/graph/graph.h"
#include "octconv/octave/conv.h"

namespace octconv::nn {
namespace {

// Does LibTorch's own padding, as much at the far edge and at most half a window, give `out`
// windows?
bool pads_like_torch(const Pool& pool, const Shape& in, const Shape& out) {
  for (std::size_t axis = 0; axis < in.rank(); ++axis) {
    const std::int64_t padding = pool.padding_begin[axis];
    if (padding > pool.kernel[axis] / 2 ||
        conv_extent(in[axis], pool.kernel[axis], pool.stride[axis], 1, 2 * padding) != out[axis])
      return false;
  }
  return true;
}

// `out` windows along each axis, whatever padding that takes at the far edge.
at::Tensor pool_tensor(const at::Tensor& x, const Pool& pool, const Shape& out) {
  const Shape in = spatial_extents(x);
  Shape end = out;
  for (std::size_t axis = 0; axis < in.rank(); ++axis) {
    end[axis] = std::max<std::int64_t>(0, (out[axis] - 1) * pool.stride[axis] + pool.kernel[axis] -
                                              in[axis] - pool.padding_begin[axis]);
  }
  const bool padded = !(is_all(pool.padding_begin, 0) && is_all(end, 0));
  if (pool.kind == PoolKind::kMax) {
    if (pads_like_torch(pool, in, out))
      return max_pool(x, pool.kernel, pool.stride, pool.padding_begin);
    const at::Tensor y =
        padded ? pad(x, pool.padding_begin, end, -std::numeric_limits<double>::infinity()) : x;
    return max_pool(y, pool.kernel, pool.stride, Shape::filled(in.rank(), 0));
  }
  if (!padded) return average_pool(x, pool.kernel, pool.stride);
  // The share of each window that lies on the image, as an average over ones.
  std::vector<std::int64_t> one_image(x.sizes().begin(), x.sizes().end());
  one_image[0] = one_image[1] = 1;
  const at::Tensor share = average_pool(
      pad(at::ones(one_image, x.options()), pool.padding_begin, end, 0), pool.kernel, pool.stride);
  return average_pool(pad(x, pool.padding_begin, end, 0), pool.kernel, pool.stride) / share;
}

}  // namespace

OctTensor pool(const OctTensor& value, const Pool& options, const Shape& octave) {
  return pool_of(value, {}, options, octave);
}

OctTensor pool_of(const OctTensor& value, const OctRemade& remade, const Pool& options,
                  const Shape& octave) {
  const WorkTimer timer(Work::kPool);
  const Shape out = pooled_extents(options, full_extents(value, octave));
  const auto pooled = [&](const at::Tensor& x, const Remade& how, const Shape& windows) {
    if (!x.defined()) return x;
    if (!how.possible() || !at::GradMode::is_enabled()) return pool_tensor(x, options, windows);
    const auto compute = [=](const OctTensor& map, const std::vector<at::Tensor>&) {
      return OctTensor(pool_tensor(map.high, options, windows));
    };
    return run_again(OctTensor(x), {.high = how}, {}, compute).high;
  };
  OctTensor result;
  result.high = pooled(value.high, remade.high, out);
  result.low = pooled(value.low, remade.low, low_extents(out, octave));
  if (!result.high.defined()) result.extents = out;
  return result;
}

}  // namespace octconv::nn
