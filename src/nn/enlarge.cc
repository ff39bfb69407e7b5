// SPDX-License-Identifier: Apache-2.0
#include "nn/enlarge.h"

#include <algorithm>

#include <ATen/ATen.h>

#include "nn/spatial.h"
#include "octconv/graph/graph.h"
#include "octconv/octave/conv.h"

namespace octconv::nn {

OctTensor resize_of(const OctTensor& value, const Resize& options, const Shape& octave) {
  const Upsample how =
      options.mode == ResizeMode::kNearest ? Upsample::kNearest : Upsample::kBilinear;
  const Shape out = resized_extents(options, full_extents(value, octave));
  const auto enlarge = [&](const at::Tensor& x, const Shape& extents) {
    return x.defined() ? upsample(x, options.factor, extents, how) : x;
  };
  return {enlarge(value.high, out), enlarge(value.low, low_extents(out, octave)), out};
}

at::Tensor transposed_conv(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                           const ConvTranspose& o) {
  const std::size_t rank = o.kernel.rank();
  const Shape none = Shape::filled(rank, 0);
  // LibTorch takes as much off both ends and adds less than a stride, so that it is asked for all
  // and cut afterwards.
  Shape added = none;
  for (std::size_t axis = 0; axis < rank; ++axis)
    added[axis] = std::max<std::int64_t>(0, -o.padding_end[axis]);
  at::Tensor y =
      at::convolution(x, weight, bias, as_ints(o.stride), as_ints(none), as_ints(o.dilation),
                      /*transposed=*/true, as_ints(added), o.groups);
  const Shape out = transposed_extents(o, spatial_extents(x));
  for (std::size_t axis = 0; axis < rank; ++axis)
    y = y.narrow(static_cast<std::int64_t>(axis) + 2, o.padding_begin[axis], out[axis]);
  return y;
}

}  // namespace octconv::nn
