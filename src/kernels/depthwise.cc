// SPDX-License-Identifier: Apache-2.0
#include "kernels/depthwise.h"

#include <algorithm>
#include <type_traits>

#include "kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/depthwise.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h, which chooses the target.
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace octconv::kernels {
namespace HWY_NAMESPACE {

// `kVectors` vectors of channels of one pixel; the last has `last` channels.
template <std::size_t kVectors>
HWY_INLINE void Channels(const DepthwisePixels& all, const float* const* rows, std::int64_t pixel,
                         std::int64_t channel, std::size_t last) {
  constexpr std::size_t kLanes = hn::MaxLanes(Tag());
  const Tag d;
  const auto load = [&](const float* from, std::size_t v) HWY_ATTR {
    return v + 1 == kVectors && last < kLanes ? LoadPart(d, from, last) : hn::LoadU(d, from);
  };
  Vector acc[kVectors];
#pragma GCC unroll 4
  for (std::size_t v = 0; v < kVectors; ++v) acc[v] = load(all.bias + channel + v * kLanes, v);
  const float* weights = all.weights + channel;
  for (std::int64_t tap = 0; tap < all.taps; ++tap, weights += all.channels) {
    const float* row = rows[tap * all.pitch] + channel;
#pragma GCC unroll 4
    for (std::size_t v = 0; v < kVectors; ++v) {
      acc[v] = hn::MulAdd(load(row + v * kLanes, v), load(weights + v * kLanes, v), acc[v]);
    }
  }
  const std::int64_t offset = pixel * all.channels + channel;
#pragma GCC unroll 4
  for (std::size_t v = 0; v < kVectors; ++v) {
    if (all.residual != nullptr) {
      acc[v] = hn::Add(acc[v], load(all.residual + offset + v * kLanes, v));
    }
    acc[v] = Activate(d, acc[v], all.activation);
    float* to = all.out + offset + v * kLanes;
    if (v + 1 == kVectors && last < kLanes) {
      StorePart(d, acc[v], to, last);
    } else {
      hn::StoreU(acc[v], d, to);
    }
  }
}

void Depthwise(const DepthwisePixels& all) {
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(Tag()));
  for (std::int64_t pixel = 0; pixel < all.pixels; ++pixel) {
    const float* const* rows = all.rows + pixel;
    std::int64_t channel = 0;
    for (; channel + 4 * kLanes <= all.channels; channel += 4 * kLanes) {
      Channels<4>(all, rows, pixel, channel, kLanes);
    }
    for (; channel < all.channels; channel += kLanes) {
      Channels<1>(all, rows, pixel, channel,
                  static_cast<std::size_t>(std::min(kLanes, all.channels - channel)));
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace octconv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace octconv::kernels {

HWY_EXPORT(Depthwise);

void depthwise(const DepthwisePixels& pixels) noexcept {
  HWY_DYNAMIC_DISPATCH(Depthwise)(pixels);
}

}  // namespace octconv::kernels
#endif
