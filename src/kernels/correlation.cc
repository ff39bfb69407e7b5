// SPDX-License-Identifier: Apache-2.0
#include "kernels/correlation.h"

#include <algorithm>
#include <cstring>

#include "kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/correlation.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h, which chooses the target.
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace octconv::kernels {
namespace HWY_NAMESPACE {

inline constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(Tag()));

// Sums of 12 inputs times a block's outputs stay in the registers.
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL || HWY_TARGET == HWY_NEON
inline constexpr std::size_t kBlockVectors = 2;
#else
inline constexpr std::size_t kBlockVectors = 1;
#endif
inline constexpr std::size_t kInputs = 12;
inline constexpr std::int64_t kWidth = std::int64_t{kBlockVectors} * kLanes;

const CorrelationKernel& CorrelationOf();

void PackDiff(const float* diff, std::int64_t stride, std::int64_t pixels, std::int64_t outputs,
              float* to) {
  for (std::int64_t first = 0; first < outputs; first += kWidth) {
    const std::int64_t count = std::min(kWidth, outputs - first);
    const std::int64_t width = (count + kLanes - 1) / kLanes * kLanes;
    const float* from = diff + first;
    if (count == kWidth) {
      for (std::int64_t pixel = 0; pixel < pixels; ++pixel, from += stride, to += kWidth) {
        std::memcpy(to, from, static_cast<std::size_t>(kWidth) * sizeof(float));
      }
      continue;
    }
    for (std::int64_t pixel = 0; pixel < pixels; ++pixel, from += stride, to += width) {
      std::copy_n(from, count, to);
      std::fill(to + count, to + width, 0.0F);
    }
  }
}

// `kCount` channels of all pixels to rows of inputs.
template <std::size_t kCount>
void CopyColumns(const float* const* rows, std::int64_t channel, std::int64_t pixels, float* to) {
  for (std::int64_t p = 0; p < pixels; ++p, to += kInputs) {
    std::memcpy(to, rows[p] + channel, kCount * sizeof(float));
  }
}

// Inputs [first, first + kInputs) of all pixels side by side; zeros where there are no more.
void Gather(const Correlation& all, std::int64_t first, float* panel) {
  constexpr auto kCount = std::int64_t{kInputs};
  const std::int64_t inputs = all.taps * all.channels;
  for (std::int64_t at = 0; at < kCount;) {
    const std::int64_t input = first + at;
    if (input >= inputs) {
      for (std::int64_t p = 0; p < all.pixels; ++p) {
        std::fill(panel + p * kCount + at, panel + (p + 1) * kCount, 0.0F);
      }
      return;
    }
    const std::int64_t channel = input % all.channels;
    const std::int64_t count = std::min(kCount - at, all.channels - channel);
    const float* const* rows = all.rows + input / all.channels * all.pitch;
    const std::int64_t offset = all.first_channel + channel;
    float* to = panel + at;
    switch (count) {
      case 12:
        CopyColumns<12>(rows, offset, all.pixels, to);
        break;
      case 8:
        CopyColumns<8>(rows, offset, all.pixels, to);
        break;
      case 4:
        CopyColumns<4>(rows, offset, all.pixels, to);
        break;
      default:
        for (std::int64_t i = 0; i < count; ++i) {
          CopyColumns<1>(rows, offset + i, all.pixels, to + i);
        }
    }
    at += count;
  }
}

template <std::size_t kVectors>
HWY_INLINE void RunTile(const float* panel, const float* diff, std::int64_t pixels, float* sums) {
  constexpr auto kStep = static_cast<std::int64_t>(kVectors) * kLanes;
  const Tag d;
  Vector acc[kInputs][kVectors];
#pragma GCC unroll 12
  for (std::size_t i = 0; i < kInputs; ++i) {
#pragma GCC unroll 2
    for (std::size_t v = 0; v < kVectors; ++v) {
      acc[i][v] = hn::LoadU(
          d, sums + static_cast<std::int64_t>(i) * kStep + static_cast<std::int64_t>(v) * kLanes);
    }
  }
  for (std::int64_t p = 0; p < pixels; ++p, panel += kInputs, diff += kStep) {
    Vector y[kVectors];
#pragma GCC unroll 2
    for (std::size_t v = 0; v < kVectors; ++v) {
      y[v] = hn::LoadU(d, diff + static_cast<std::int64_t>(v) * kLanes);
    }
#pragma GCC unroll 12
    for (std::size_t i = 0; i < kInputs; ++i) {
      const Vector x = hn::Set(d, panel[i]);
#pragma GCC unroll 2
      for (std::size_t v = 0; v < kVectors; ++v) acc[i][v] = hn::MulAdd(x, y[v], acc[i][v]);
    }
  }
#pragma GCC unroll 12
  for (std::size_t i = 0; i < kInputs; ++i) {
#pragma GCC unroll 2
    for (std::size_t v = 0; v < kVectors; ++v) {
      hn::StoreU(
          acc[i][v], d,
          sums + static_cast<std::int64_t>(i) * kStep + static_cast<std::int64_t>(v) * kLanes);
    }
  }
}

void Correlate(const Correlation& all, std::int64_t block_begin, std::int64_t block_end) {
  constexpr auto kCount = std::int64_t{kInputs};
  HWY_ALIGN float panel[kCorrelationPixels * kInputs];
  const CorrelationKernel& kernel = CorrelationOf();
  const std::int64_t inputs = kernel.padded_inputs(all.taps * all.channels);
  const std::int64_t padded = kernel.padded(all.outputs);
  for (std::int64_t input = 0; input < inputs; input += kCount) {
    Gather(all, input, panel);
    for (std::int64_t block = block_begin; block < block_end; ++block) {
      const std::int64_t first = block * kWidth;
      const std::int64_t width = std::min(kWidth, padded - first);
      const float* diff = all.diff + first * all.pixels;
      float* sums = all.sums + first * inputs + input * width;
      if (width == kWidth) {
        RunTile<kBlockVectors>(panel, diff, all.pixels, sums);
      } else {
        RunTile<1>(panel, diff, all.pixels, sums);
      }
    }
  }
}

const CorrelationKernel& CorrelationOf() {
  static constexpr CorrelationKernel kernel{.lanes = kLanes,
                                            .block_vectors = std::int64_t{kBlockVectors},
                                            .tile_inputs = std::int64_t{kInputs},
                                            .pack = PackDiff,
                                            .run = Correlate};
  return kernel;
}

}  // namespace HWY_NAMESPACE
}  // namespace octconv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace octconv::kernels {

HWY_EXPORT(CorrelationOf);

const CorrelationKernel& correlation_kernel() noexcept {
  return HWY_DYNAMIC_DISPATCH(CorrelationOf)();
}

}  // namespace octconv::kernels
#endif
