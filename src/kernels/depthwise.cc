// SPDX-License-Identifier: Apache-2.0
#include "kernels/depthwise.h"

#include <cstddef>

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

inline constexpr std::size_t kLanes = hn::MaxLanes(Tag());

// `kVectors` vectors of channels of `kPixels` pixels, which share the loads of the weights. Of the
// last vector `last` channels unless `kWhole`.
template <std::size_t kPixels, std::size_t kVectors, bool kWhole>
HWY_INLINE void Channels(const DepthwisePixels& all, std::int64_t pixel, std::int64_t channel,
                         std::size_t last) {
  const Tag d;
  const auto load = [&](const float* from, std::size_t v) HWY_ATTR {
    return kWhole || v + 1 < kVectors ? hn::LoadU(d, from + v * kLanes)
                                      : LoadPart(d, from + v * kLanes, last);
  };
  Vector acc[kPixels][kVectors];
#pragma GCC unroll 4
  for (std::size_t v = 0; v < kVectors; ++v) {
    const Vector bias = load(all.bias + channel, v);
#pragma GCC unroll 4
    for (std::size_t p = 0; p < kPixels; ++p) acc[p][v] = bias;
  }
  const float* weights = all.weights + channel;
  const float* const* rows = all.rows + pixel;
  for (std::int64_t tap = 0; tap < all.taps; ++tap, weights += all.channels, rows += all.pitch) {
#pragma GCC unroll 4
    for (std::size_t v = 0; v < kVectors; ++v) {
      const Vector weight = load(weights, v);
#pragma GCC unroll 4
      for (std::size_t p = 0; p < kPixels; ++p) {
        acc[p][v] = hn::MulAdd(load(rows[p] + channel, v), weight, acc[p][v]);
      }
    }
  }
  const std::int64_t offset = pixel * all.channels + channel;
#pragma GCC unroll 4
  for (std::size_t p = 0; p < kPixels; ++p) {
    const std::int64_t at = offset + static_cast<std::int64_t>(p) * all.channels;
#pragma GCC unroll 4
    for (std::size_t v = 0; v < kVectors; ++v) {
      if (all.residual != nullptr) acc[p][v] = hn::Add(acc[p][v], load(all.residual + at, v));
      const Vector value = Activate(d, acc[p][v], all.activation);
      float* to = all.out + at + v * kLanes;
      if (kWhole || v + 1 < kVectors) {
        hn::StoreU(value, d, to);
      } else {
        StorePart(d, value, to, last);
      }
    }
  }
}

template <std::size_t kPixels>
HWY_INLINE void AllChannels(const DepthwisePixels& all, std::int64_t pixel) {
  constexpr auto kStep = static_cast<std::int64_t>(kLanes);
  std::int64_t channel = 0;
  for (; channel + 2 * kStep <= all.channels; channel += 2 * kStep) {
    Channels<kPixels, 2, true>(all, pixel, channel, kLanes);
  }
  // What is left takes as long as two vectors even if it fills one: the sums wait for one another.
  const auto left = static_cast<std::size_t>(all.channels - channel);
  if (left > kLanes) {
    Channels<kPixels, 2, false>(all, pixel, channel, left - kLanes);
  } else if (left == kLanes) {
    Channels<kPixels, 1, true>(all, pixel, channel, kLanes);
  } else if (left > 0) {
    Channels<kPixels, 1, false>(all, pixel, channel, left);
  }
}

void Depthwise(const DepthwisePixels& all) {
  std::int64_t pixel = 0;
  for (; pixel + 4 <= all.pixels; pixel += 4) AllChannels<4>(all, pixel);
  for (; pixel < all.pixels; ++pixel) AllChannels<1>(all, pixel);
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
