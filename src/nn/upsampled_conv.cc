// SPDX-License-Identifier: Apache-2.0
#include "nn/upsampled_conv.h"

#include <numeric>
#include <vector>

#include <ATen/ATen.h>

#include "nn/spatial.h"
#include "octconv/octave/upsampled_taps.h"

namespace octconv::nn {
namespace {

// The small kernel of one output phase along one axis: tap j reads the pixel at distance first + j
// * spacing and weighs as much as the large kernel's taps `sums[j]` together (none: zero).
struct PhaseKernel {
  std::int64_t first = 0;
  std::int64_t spacing = 1;
  std::vector<std::vector<std::int64_t>> sums;

  [[nodiscard]] std::int64_t size() const { return static_cast<std::int64_t>(sums.size()); }
};

PhaseKernel phase_kernel(std::int64_t kernel, std::int64_t dilation, std::int64_t padding,
                         std::int64_t phase) {
  const std::vector<UpsampledTap> taps = upsampled_taps(kernel, dilation, padding, phase);
  PhaseKernel small{.first = taps.front().offset};
  std::int64_t spacing = 0;
  for (const UpsampledTap& tap : taps) spacing = std::gcd(spacing, tap.offset - small.first);
  small.spacing = std::max<std::int64_t>(1, spacing);
  for (const UpsampledTap& tap : taps) {
    small.sums.resize(static_cast<std::size_t>((tap.offset - small.first) / small.spacing));
    small.sums.push_back(tap.taps);
  }
  return small;
}

// How one axis is computed: along a halved axis one small kernel per phase, two phases at stride 1
// and the even one alone at stride 2; along the others the kernel as it is.
struct AxisPlan {
  std::vector<PhaseKernel> phases;
  std::int64_t stride = 1;
  bool halved = false;
};

AxisPlan plan_axis(const ConvOptions& o, const ConvPath& path, std::size_t axis) {
  AxisPlan plan{.halved = path.upsample[axis] == 2};
  if (!plan.halved) {
    plan.stride = path.stride[axis];
    PhaseKernel same{.first = -o.padding_begin[axis], .spacing = o.dilation[axis]};
    for (std::int64_t tap = 0; tap < o.kernel[axis]; ++tap) same.sums.push_back({tap});
    plan.phases.push_back(std::move(same));
    return plan;
  }
  const std::int64_t phases = path.stride[axis] == 2 ? 1 : 2;
  for (std::int64_t phase = 0; phase < phases; ++phase) {
    plan.phases.push_back(
        phase_kernel(o.kernel[axis], o.dilation[axis], o.padding_begin[axis], phase));
  }
  return plan;
}

// Is a low map that is padded by `mode` the same as an upsampled map that is padded by the options'
// mode?
std::optional<PaddingMode> low_padding(const ConvOptions& o, const ConvPath& path,
                                       const Shape& extents) {
  bool odd = false;
  bool one_pixel = true;
  for (std::size_t axis = 0; axis < o.rank(); ++axis) {
    if (path.upsample[axis] != 2) continue;
    odd = odd || extents[axis] % 2 != 0;
    one_pixel = one_pixel && o.padding_begin[axis] <= 1;
  }
  switch (o.padding_mode) {
    case PaddingMode::kZeros:
      return PaddingMode::kZeros;  // the far edge of an odd map is mended below
    case PaddingMode::kReplicate:
      return PaddingMode::kReplicate;
    case PaddingMode::kCircular:
      return odd ? std::nullopt : std::optional(PaddingMode::kCircular);
    // The mirror image of the first cell's second pixel is that cell again.
    case PaddingMode::kReflect:
      return odd || !one_pixel || path.upsample != Shape::filled(o.rank(), 2)
                 ? std::nullopt
                 : std::optional(PaddingMode::kReplicate);
  }
  return std::nullopt;
}

std::int64_t small_taps(const std::vector<AxisPlan>& plans) {
  std::int64_t product = 1;
  for (const AxisPlan& plan : plans) {
    std::int64_t taps = 0;
    for (const PhaseKernel& phase : plan.phases) taps += phase.size();
    product *= taps;
  }
  return product;
}

std::int64_t large_taps(const ConvOptions& o, const std::vector<AxisPlan>& plans) {
  std::int64_t product = 1;
  for (std::size_t axis = 0; axis < plans.size(); ++axis) {
    product *= o.kernel[axis] * static_cast<std::int64_t>(plans[axis].phases.size());
  }
  return product;
}

at::Tensor sum_taps(const at::Tensor& weight, std::size_t axis, const PhaseKernel& phase) {
  const auto dim = static_cast<std::int64_t>(axis) + 2;
  std::vector<at::Tensor> taps;
  for (const std::vector<std::int64_t>& sum : phase.sums) {
    at::Tensor tap;
    for (const std::int64_t index : sum) {
      const at::Tensor one = weight.narrow(dim, index, 1);
      tap = tap.defined() ? tap + one : one;
    }
    taps.push_back(tap.defined() ? tap : at::zeros_like(weight.narrow(dim, 0, 1)));
  }
  return at::cat(taps, dim);
}

// Rows [begin, end) that a kernel of `taps` reads for `count` outputs, cut from x or padded around
// it.
at::Tensor window(const at::Tensor& x, const Shape& begin, const Shape& end, PaddingMode mode) {
  Shape before = begin;
  Shape after = end;
  for (std::size_t axis = 0; axis < begin.rank(); ++axis) {
    before[axis] = std::max<std::int64_t>(0, -begin[axis]);
    after[axis] =
        std::max<std::int64_t>(0, end[axis] - x.size(static_cast<std::int64_t>(axis) + 2));
  }
  at::Tensor y = pad(x, before, after, mode);
  for (std::size_t axis = 0; axis < begin.rank(); ++axis) {
    y = y.narrow(static_cast<std::int64_t>(axis) + 2, begin[axis] + before[axis],
                 end[axis] - begin[axis]);
  }
  return y;
}

class SmallConvs {
 public:
  SmallConvs(const at::Tensor& x, const ConvPath& path, const ConvOptions& options,
             std::vector<AxisPlan> plans, const Shape& out, PaddingMode mode)
      : x_(x),
        path_(path),
        rank_(options.rank()),
        plans_(std::move(plans)),
        out_(out),
        mode_(mode) {}

  at::Tensor run(const at::Tensor& weight) {
    return run_axis(0, weight, Shape(), Shape(), Shape(), Shape());
  }

 private:
  // Chooses a phase for each axis in turn, convolves, and interleaves the phases again.
  at::Tensor run_axis(std::size_t axis, const at::Tensor& weight, Shape begin, Shape end,
                      Shape stride, Shape dilation) {
    if (axis == rank_) {
      return convolution(window(x_, begin, end, mode_), weight, {}, stride, Shape::filled(rank_, 0),
                         dilation, path_.groups);
    }
    const AxisPlan& plan = plans_[axis];
    const auto phases = static_cast<std::int64_t>(plan.phases.size());
    std::vector<at::Tensor> made;
    for (const PhaseKernel& phase : plan.phases) {
      // Output pixels of this phase, as many as the first phase has: the surplus is cut off.
      const std::int64_t count = (out_[axis] + phases - 1) / phases;
      Shape b = begin;
      Shape e = end;
      Shape s = stride;
      Shape d = dilation;
      b.push_back(phase.first);
      e.push_back(phase.first + (count - 1) * plan.stride + (phase.size() - 1) * phase.spacing + 1);
      s.push_back(plan.stride);
      d.push_back(phase.spacing);
      made.push_back(run_axis(axis + 1, sum_taps(weight, axis, phase), b, e, s, d));
    }
    const auto dim = static_cast<std::int64_t>(axis) + 2;
    if (phases == 1) return made.front();
    return at::stack(made, dim + 1).flatten(dim, dim + 1).narrow(dim, 0, out_[axis]);
  }

  const at::Tensor& x_;
  const ConvPath& path_;
  std::size_t rank_;
  std::vector<AxisPlan> plans_;
  Shape out_;
  PaddingMode mode_;
};

at::Tensor plainly(const at::Tensor& x, const at::Tensor& weight, const ConvPath& path,
                   const ConvOptions& o, const Shape& extents) {
  return padded_conv(upsample(x, path.upsample, extents, o.upsample), weight, {}, path, o);
}

// The outputs of the last `rows` pixels along `axis`, from the upsampled rows that they read.
at::Tensor far_edge(const at::Tensor& x, const at::Tensor& weight, const ConvPath& path,
                    const ConvOptions& o, const Shape& extents, std::size_t axis, std::int64_t rows,
                    std::int64_t out) {
  const auto dim = static_cast<std::int64_t>(axis) + 2;
  const std::int64_t first =
      (out - rows) * path.stride[axis] - o.padding_begin[axis];  // upsampled row
  const std::int64_t low_first = std::max<std::int64_t>(0, first) / 2;
  Shape strip = extents;
  strip[axis] = extents[axis] - low_first * 2;
  at::Tensor grown =
      upsample(x.narrow(dim, low_first, x.size(dim) - low_first), path.upsample, strip, o.upsample);
  Shape before = o.padding_begin;
  before[axis] = std::max<std::int64_t>(0, -first);
  grown = pad(grown, before, o.padding_end, PaddingMode::kZeros);
  const std::int64_t skip = std::max<std::int64_t>(0, first) - low_first * 2;
  grown = grown.narrow(dim, skip, grown.size(dim) - skip);
  const Shape none = Shape::filled(o.rank(), 0);
  return convolution(grown, weight, {}, path.stride, none, o.dilation, path.groups);
}

}  // namespace

at::Tensor padded_conv(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                       const ConvPath& path, const ConvOptions& o) {
  const Shape none = Shape::filled(o.rank(), 0);
  at::Tensor in = x;
  Shape padding = o.padding_begin;
  if (o.padding_mode != PaddingMode::kZeros || o.padding_begin != o.padding_end) {
    in = pad(x, o.padding_begin, o.padding_end, o.padding_mode);
    padding = none;
  }
  return convolution(in, weight, bias, path.stride, padding, o.dilation, path.groups);
}

at::Tensor conv_of_upsampled(const at::Tensor& x, const at::Tensor& weight, const ConvPath& path,
                             const ConvOptions& o, const Shape& extents) {
  const std::optional<PaddingMode> mode =
      o.upsample == Upsample::kNearest && o.odd_low == OddLow::kCeil ? low_padding(o, path, extents)
                                                                     : std::nullopt;
  std::vector<AxisPlan> plans;
  for (std::size_t axis = 0; axis < o.rank(); ++axis) plans.push_back(plan_axis(o, path, axis));
  if (!mode || small_taps(plans) >= large_taps(o, plans))
    return plainly(x, weight, path, o, extents);

  Shape out = extents;
  for (std::size_t axis = 0; axis < o.rank(); ++axis) {
    out[axis] = conv_extent(extents[axis], o.kernel[axis], path.stride[axis], o.dilation[axis],
                            o.padding_begin[axis] + o.padding_end[axis]);
  }
  at::Tensor y = SmallConvs(x, path, o, plans, out, *mode).run(weight);
  if (*mode != PaddingMode::kZeros) return y;
  // The last cell of an odd map has one pixel; the small convolutions took it for two.
  for (std::size_t axis = 0; axis < o.rank(); ++axis) {
    const std::int64_t rows = std::min(o.padding_end[axis], out[axis]);
    if (path.upsample[axis] != 2 || extents[axis] % 2 == 0 || rows == 0) continue;
    const auto dim = static_cast<std::int64_t>(axis) + 2;
    y = at::cat({y.narrow(dim, 0, out[axis] - rows),
                 far_edge(x, weight, path, o, extents, axis, rows, out[axis])},
                dim);
  }
  return y;
}

}  // namespace octconv::nn
