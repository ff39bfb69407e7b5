// SPDX-License-Identifier: Apache-2.0
#include "kernels/conv_tile.h"

#include <algorithm>

#include "kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/conv_tile.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h, which chooses the target.
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace octconv::kernels {
namespace HWY_NAMESPACE {

// Pixels of a tile that are computed at once. The accumulators, the weights and one input value
// must fit in the registers (32 of them, or 16), and there must be enough of them to hide the
// latency of an FMA.
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL || HWY_TARGET == HWY_NEON
template <std::size_t kVectors>
inline constexpr std::size_t kPixels = kVectors <= 2 ? 12 : 6;
#else
template <std::size_t kVectors>
inline constexpr std::size_t kPixels = kVectors == 1   ? 12
                                       : kVectors == 2 ? 6
                                                       : 4;
#endif
inline constexpr std::size_t kLanes = hn::MaxLanes(Tag());

// Pixels that are computed at once, by one block of channels.
struct Part {
  std::int64_t pixel;    // the first
  std::size_t pixels;    // that are stored, >= 1
  std::int64_t channel;  // first output channel of the block
  std::size_t last;      // channels in its last vector; the others are full
};

template <std::size_t kVectors>
struct Accumulators {
  Vector at[kPixels<kVectors>][kVectors];
};

// The next block's weights, brought near while this block's are used: their first use is from far
// away, and too fast for the processor's own prefetching.
struct Ahead {
  static constexpr std::int64_t kLine = 16;     // floats in a cache line
  static constexpr std::int64_t kStretch = 16;  // channels between two prefetches

  const float* at;
  const float* end;
  std::int64_t step;  // floats at a time

  HWY_INLINE void Prefetch() {
    for (std::int64_t i = 0; i < step && at < end; i += kLine, at += kLine) {
      __builtin_prefetch(at, 0, 2);  // into the second-level cache: the first is busy
    }
  }
};

// The products of one channel of a tap.
template <std::size_t kVectors>
HWY_INLINE void MultiplyAdd(Tag d, const float* HWY_RESTRICT const* row, std::int64_t c,
                            const float* HWY_RESTRICT weights, Accumulators<kVectors>& acc) {
  Vector w[kVectors];
#pragma GCC unroll 3
  for (std::size_t v = 0; v < kVectors; ++v) w[v] = hn::Load(d, weights + v * kLanes);
#pragma GCC unroll 12
  for (std::size_t m = 0; m < kPixels<kVectors>; ++m) {
    const Vector x = hn::Set(d, row[m][c]);
#pragma GCC unroll 3
    for (std::size_t v = 0; v < kVectors; ++v) acc.at[m][v] = hn::MulAdd(x, w[v], acc.at[m][v]);
  }
}

template <std::size_t kVectors, bool kAhead>
HWY_INLINE void Accumulate(Tag d, const ConvSource& source, const float* const* rows,
                           std::int64_t pitch, const float* HWY_RESTRICT& weights, Ahead& ahead,
                           Accumulators<kVectors>& acc) {
  constexpr std::size_t kCount = kPixels<kVectors>;
  constexpr std::size_t kWidth = kVectors * kLanes;
  for (std::int64_t tap = 0; tap < source.taps; ++tap, rows += pitch) {
    const float* HWY_RESTRICT row[kCount];
#pragma GCC unroll 12
    for (std::size_t m = 0; m < kCount; ++m) row[m] = rows[m] + source.first_channel;
    if constexpr (kAhead) {
      for (std::int64_t c = 0; c < source.channels;) {
        ahead.Prefetch();
        const std::int64_t end = std::min(c + Ahead::kStretch, source.channels);
        for (; c < end; ++c, weights += kWidth) MultiplyAdd<kVectors>(d, row, c, weights, acc);
      }
    } else {
      for (std::int64_t c = 0; c < source.channels; ++c, weights += kWidth) {
        MultiplyAdd<kVectors>(d, row, c, weights, acc);
      }
    }
  }
}

// Applies the epilogue and stores. `kWhole`: every pixel is stored, and every vector is full.
template <std::size_t kVectors, bool kWhole>
HWY_INLINE void Finish(Tag d, const ConvTiles& tiles, const Part& part,
                       Accumulators<kVectors>& acc) {
  constexpr std::size_t kCount = kPixels<kVectors>;
  const std::size_t pixels = kWhole ? kCount : part.pixels;
  const std::size_t last = kWhole ? kLanes : part.last;
  const auto load = [&](const float* from, std::size_t v) HWY_ATTR {
    return v + 1 == kVectors && last < kLanes ? LoadPart(d, from, last) : hn::LoadU(d, from);
  };
  const auto store = [&](Vector value, float* to, std::size_t v) HWY_ATTR {
    if (v + 1 == kVectors && last < kLanes) {
      StorePart(d, value, to, last);
    } else {
      hn::StoreU(value, d, to);
    }
  };
  if (tiles.addend != nullptr) {
    const float* const* rows = tiles.addend + part.pixel;
#pragma GCC unroll 12
    for (std::size_t m = 0; m < kCount; ++m) {
      if (m >= pixels) break;
      const float* row = rows[m] + tiles.first_output + part.channel;
#pragma GCC unroll 3
      for (std::size_t v = 0; v < kVectors; ++v) {
        acc.at[m][v] = hn::Add(acc.at[m][v], load(row + v * kLanes, v));
      }
    }
  }
  const std::int64_t offset = part.pixel * tiles.stride + tiles.first_output + part.channel;
  if (tiles.residual != nullptr) {
    const float* row = tiles.residual + offset;
#pragma GCC unroll 12
    for (std::size_t m = 0; m < kCount; ++m, row += tiles.stride) {
      if (m >= pixels) break;
#pragma GCC unroll 3
      for (std::size_t v = 0; v < kVectors; ++v) {
        acc.at[m][v] = hn::Add(acc.at[m][v], load(row + v * kLanes, v));
      }
    }
  }
  if (tiles.activation.kind == ActivationKind::kRelu) {
#pragma GCC unroll 12
    for (std::size_t m = 0; m < kCount; ++m) {
#pragma GCC unroll 3
      for (std::size_t v = 0; v < kVectors; ++v) acc.at[m][v] = Relu(d, acc.at[m][v]);
    }
  }
  float* row = tiles.out + offset;
#pragma GCC unroll 12
  for (std::size_t m = 0; m < kCount; ++m, row += tiles.stride) {
    if (m >= pixels) break;
#pragma GCC unroll 3
    for (std::size_t v = 0; v < kVectors; ++v) store(acc.at[m][v], row + v * kLanes, v);
  }
  if (tiles.activation.kind == ActivationKind::kNone ||
      tiles.activation.kind == ActivationKind::kRelu)
    return;
  // The others are rare and long: not unrolled, they take the sums from where they were stored.
  row = tiles.out + offset;
  for (std::size_t m = 0; m < pixels; ++m, row += tiles.stride) {
    for (std::size_t v = 0; v < kVectors; ++v) {
      float* at = row + v * kLanes;
      store(Activate(d, load(at, v), tiles.activation), at, v);
    }
  }
}

// A block of channels.
struct BlockPlace {
  const float* weights;
  std::int64_t floats;   // of weights
  std::int64_t channel;  // the first
};

// One block of channels for all pixels.
template <std::size_t kVectors, bool kAhead>
void RunBlock(const ConvTiles& tiles, const BlockPlace& block) {
  constexpr std::size_t kCount = kPixels<kVectors>;
  static_assert(kTilePixels % kCount == 0);
  const Tag d;
  const auto channels = static_cast<std::size_t>(tiles.outputs - block.channel);
  const std::size_t last = std::min(kLanes, channels - (kVectors - 1) * kLanes);
  const std::int64_t parts = (tiles.pixels + std::int64_t{kCount} - 1) / std::int64_t{kCount};
  Ahead ahead{.at = block.weights + block.floats,
              .end = block.weights + 2 * block.floats,
              .step = (Ahead::kStretch * std::int64_t{kVectors * kLanes} + parts - 1) / parts};
  for (std::int64_t pixel = 0; pixel < tiles.pixels; pixel += std::int64_t{kCount}) {
    Accumulators<kVectors> acc;
#pragma GCC unroll 12
    for (std::size_t m = 0; m < kCount; ++m) {
#pragma GCC unroll 3
      for (std::size_t v = 0; v < kVectors; ++v) {
        acc.at[m][v] = hn::Load(d, tiles.bias + block.channel + v * kLanes);
      }
    }
    const float* HWY_RESTRICT weights = block.weights;
    for (const ConvSource& source : tiles.sources) {
      Accumulate<kVectors, kAhead>(d, source, source.rows + pixel, tiles.pitch, weights, ahead,
                                   acc);
    }
    const Part part{.pixel = pixel,
                    .pixels = std::min(kCount, static_cast<std::size_t>(tiles.pixels - pixel)),
                    .channel = block.channel,
                    .last = last};
    if (part.pixels == kCount && last == kLanes) {
      Finish<kVectors, true>(d, tiles, part, acc);
    } else {
      Finish<kVectors, false>(d, tiles, part, acc);
    }
  }
}

void Run(const ConvTiles& tiles, std::int64_t block_begin, std::int64_t block_end);

const ConvKernel& Kernel() {
  static constexpr ConvKernel kernel{.lanes = kLanes, .run = Run};
  return kernel;
}

void Run(const ConvTiles& tiles, std::int64_t block_begin, std::int64_t block_end) {
  std::int64_t depth = 0;  // products in one sum
  for (const ConvSource& source : tiles.sources) depth += source.taps * source.channels;
  for (std::int64_t i = block_begin; i < block_end; ++i) {
    const std::int64_t channel = i * 2 * std::int64_t{kLanes};
    const std::int64_t vectors = Kernel().block_vectors(tiles.outputs, i);
    const BlockPlace block{.weights = tiles.weights + channel * depth,
                           .floats = depth * vectors * std::int64_t{kLanes},
                           .channel = channel};
    constexpr std::int64_t kNear = 8 * 1024;  // floats that a first-level cache holds
    const bool last = i + 1 == Kernel().blocks(tiles.outputs);
    if (vectors == 1) {
      RunBlock<1, false>(tiles, block);
    } else if (vectors == 3) {
      RunBlock<3, false>(tiles, block);
    } else if (last || block.floats <= kNear) {
      RunBlock<2, false>(tiles, block);
    } else {
      RunBlock<2, true>(tiles, block);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace octconv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace octconv::kernels {

HWY_EXPORT(Kernel);

const ConvKernel& conv_kernel() noexcept {
  return HWY_DYNAMIC_DISPATCH(Kernel)();
}

}  // namespace octconv::kernels
#endif
