// SPDX-License-Identifier: Apache-2.0
// The transposed octave convolution, composed of LibTorch's differentiable operations.
#include <algorithm>

#include <ATen/ATen.h>

#include "nn/compose.h"
#include "nn/spatial.h"
#include "octconv/base/error.h"
#include "octconv/nn/oct_conv.h"

namespace octconv::nn {
namespace {

// The transposed convolution's first `extents` pixels: all of them on the grid that its options
// lead to, and fewer or more at the far edge on a low grid that must follow the high one.
at::Tensor transposed_conv(const at::Tensor& x, const at::Tensor& weight, std::int64_t groups,
                           const ConvTransposeOptions& o, const Shape& extents) {
  const Shape none = Shape::filled(o.rank(), 0);
  const auto run = [&](const Shape& padding, const Shape& output_padding) {
    return at::convolution(x, x.numel() == 0 ? weight.contiguous() : weight, {}, as_ints(o.stride),
                           as_ints(padding), as_ints(o.dilation),
                           /*transposed=*/true, as_ints(output_padding), groups);
  };
  if (output_extents(o, spatial_extents(x)) == extents) return run(o.padding, o.output_padding);
  // Unpadded, nothing that the kernel reaches is lost.
  at::Tensor y = run(none, none);
  Shape beyond = none;
  for (std::size_t axis = 0; axis < o.rank(); ++axis) {
    const std::int64_t reached = y.size(static_cast<std::int64_t>(axis) + 2) - o.padding[axis];
    beyond[axis] = std::max<std::int64_t>(0, extents[axis] - reached);
  }
  if (!is_all(beyond, 0)) y = pad(y, none, beyond, 0.0);
  for (std::size_t axis = 0; axis < o.rank(); ++axis) {
    y = y.narrow(static_cast<std::int64_t>(axis) + 2, o.padding[axis], extents[axis]);
  }
  return y;
}

}  // namespace

OctTensor oct_conv_transpose(const OctTensor& input, const at::Tensor& weight,
                             const at::Tensor& bias, const ConvTransposeOptions& o, BiasRule rule) {
  check(o);
  if (is_unbatched(input, o.rank())) {
    return without_batch(oct_conv_transpose(with_batch(input), weight, bias, o, rule));
  }
  Shape weight_shape{o.in.total(), o.out.total() / o.groups};
  for (const std::int64_t extent : o.kernel) weight_shape.push_back(extent);
  check_operands("oct_conv_transpose", input, o.in, o.rank(), weight, weight_shape, bias,
                 o.out.total());
  const Shape extents = full_extents(input, o.octave, o.odd_low);
  const Shape out = output_extents(o, extents);
  const Shape out_low = low_extents(out, o.octave, o.odd_low);

  PathSources sources(input, o.odd_low);
  OctTensor result;
  for (const ConvPath& path : conv_paths(o)) {
    const bool to_high = path.dst == Frequency::kHigh;
    at::Tensor& dst = to_high ? result.high : result.low;
    const at::Tensor block =
        weight.narrow(0, path.row, path.rows).narrow(1, path.column, path.columns);
    at::Tensor x = sources.get(path);
    at::Tensor y;
    if (path.upsample_first) {
      y = transposed_conv(upsample(x, path.upsample, extents, o.upsample), block, path.groups, o,
                          out);
    } else {
      y = transposed_conv(x, block, path.groups, o, to_high && !path.upsampled() ? out : out_low);
      if (path.upsampled()) y = upsample(y, path.upsample, out, o.upsample);
    }
    if (bias.defined() && (!dst.defined() || rule == BiasRule::kPerPath)) {
      const std::int64_t rows = to_high ? o.out.high : o.out.low;
      y = y +
          bias.narrow(0, to_high ? o.out.low : 0, rows).view(as_ints(bias_shape(o.rank(), rows)));
    }
    dst = dst.defined() ? dst + y : y;
  }
  if (!result.high.defined()) result.extents = out;
  return result;
}

}  // namespace octconv::nn
