// SPDX-License-Identifier: Apache-2.0
#include "nn/spread_kernel.h"

#include <algorithm>

#include "kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "nn/spread_kernel.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h, which chooses the target.
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace octconv::nn::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
namespace simd = octconv::kernels::HWY_NAMESPACE;

using simd::Tag;
using simd::Vector;

// A row of the output, from the row of its cells.
template <bool kAdds>
void SpreadRow(const SpreadRows& all, const float* src, float row_pixels, float* out) {
  const Tag d;
  const auto share_of = [&](std::int64_t pixels) HWY_ATTR {
    return hn::Set(d, all.shares ? 1.0F / (row_pixels * static_cast<float>(pixels)) : 1.0F);
  };
  const std::int64_t width = all.extents[2];
  Vector share = share_of(all.cell[2]);
  for (std::int64_t x = 0; x < width; x += all.cell[2], src += all.src_pitch) {
    const std::int64_t pixels = std::min(all.cell[2], width - x);
    if (pixels < all.cell[2]) share = share_of(pixels);
    simd::ForChannelVectors(all.channels, [&](std::int64_t c, auto access) HWY_ATTR {
      const Vector value = hn::Mul(access.Load(src + c), share);
      float* pixel = out + c;
      for (std::int64_t i = 0; i < pixels; ++i, pixel += all.out_pitch) {
        access.Store(kAdds ? hn::Add(access.Load(pixel), value) : value, pixel);
      }
    });
    out += pixels * all.out_pitch;
  }
}

void Spread(const SpreadRows& all, std::int64_t begin, std::int64_t end) {
  const Extents3& extents = all.extents;
  const Extents3& cell = all.cell;
  const auto cells = [&](std::size_t axis) {
    return (extents[axis] + cell[axis] - 1) / cell[axis];
  };
  // Of the cell that holds a pixel.
  const auto pixels = [&](std::size_t axis, std::int64_t at) {
    return std::min(cell[axis], extents[axis] - at / cell[axis] * cell[axis]);
  };
  for (std::int64_t row = begin; row < end; ++row) {
    const std::int64_t y = row % extents[1];
    const std::int64_t z = row / extents[1] % extents[0];
    const std::int64_t image = row / (extents[0] * extents[1]);
    const std::int64_t from = (image * cells(0) + z / cell[0]) * cells(1) + y / cell[1];
    const float* const src = all.src + from * cells(2) * all.src_pitch;
    float* const out = all.out + row * extents[2] * all.out_pitch;
    const auto row_pixels = static_cast<float>(pixels(0, z) * pixels(1, y));
    if (all.adds) {
      SpreadRow<true>(all, src, row_pixels, out);
    } else {
      SpreadRow<false>(all, src, row_pixels, out);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace octconv::nn::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace octconv::nn::kernels {

HWY_EXPORT(Spread);

void spread(const SpreadRows& rows, std::int64_t begin, std::int64_t end) noexcept {
  HWY_DYNAMIC_DISPATCH(Spread)(rows, begin, end);
}

}  // namespace octconv::nn::kernels
#endif
