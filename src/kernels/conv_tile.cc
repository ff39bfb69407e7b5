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

// A tile: pixels, and the vectors of output channels that they are computed with at once. The
// accumulators, the weights and one input value must fit in the registers (32 of them, or 16), and
// there must be enough of them to hide the latency of an FMA, about eight.
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL || HWY_TARGET == HWY_NEON
template <std::size_t kVectors>
inline constexpr std::size_t kPixels = kVectors <= 2 ? 12 : 6;
// The smaller tile, for what is left over in the end.
template <std::size_t kVectors>
inline constexpr std::size_t kFewPixels = kVectors <= 2 ? 8 : 3;
#else
template <std::size_t kVectors>
inline constexpr std::size_t kPixels = kVectors == 1   ? 12
                                       : kVectors == 2 ? 6
                                                       : 4;
template <std::size_t kVectors>
inline constexpr std::size_t kFewPixels = kVectors == 1   ? 8
                                          : kVectors == 2 ? 4
                                                          : 2;
#endif
// So few pixels are left over that two blocks of channels together make a tile of them.
inline constexpr std::size_t kVeryFewPixels = kFewPixels<2> / 2;
inline constexpr std::size_t kLanes = hn::MaxLanes(Tag());

// Pixels that are computed at once, and their channels.
struct Part {
  std::int64_t pixel;    // the first
  std::size_t pixels;    // that are stored, >= 1
  std::int64_t channel;  // first output channel
  std::size_t last;      // channels in its last vector; the others are full
};

template <std::size_t kCount, std::size_t kVectors>
struct Accumulators {
  // The compiler's own would not be built for the instruction set: vectors of NEON have
  // constructors.
  HWY_ATTR Accumulators() {}
  Vector at[kCount][kVectors];
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

// The products of one channel of a tap. Blocks of two vectors lie `between` floats apart.
template <std::size_t kCount, std::size_t kVectors>
HWY_INLINE void MultiplyAdd(Tag d, const float* HWY_RESTRICT const* row, std::int64_t c,
                            const float* HWY_RESTRICT weights, std::int64_t between,
                            Accumulators<kCount, kVectors>& acc) {
  Vector w[kVectors];
#pragma GCC unroll 4
  for (std::size_t v = 0; v < kVectors; ++v) {
    w[v] = hn::Load(
        d, kVectors == 4 && v >= 2 ? weights + between + (v - 2) * kLanes : weights + v * kLanes);
  }
#pragma GCC unroll 12
  for (std::size_t m = 0; m < kCount; ++m) {
    const Vector x = hn::Set(d, row[m][c]);
#pragma GCC unroll 4
    for (std::size_t v = 0; v < kVectors; ++v) acc.at[m][v] = hn::MulAdd(x, w[v], acc.at[m][v]);
  }
}

// One source of the sum. `weights` moves on by what it has used.
template <bool kAhead, std::size_t kCount, std::size_t kVectors>
HWY_INLINE void Accumulate(Tag d, const ConvSource& source, const float* const* rows,
                           std::int64_t pitch, const float* HWY_RESTRICT& weights,
                           std::int64_t between, Ahead& ahead,
                           Accumulators<kCount, kVectors>& acc) {
  constexpr std::size_t kWidth = (kVectors == 4 ? 2 : kVectors) * kLanes;
  for (std::int64_t tap = 0; tap < source.taps; ++tap, rows += pitch) {
    const float* HWY_RESTRICT row[kCount];
#pragma GCC unroll 12
    for (std::size_t m = 0; m < kCount; ++m) row[m] = rows[m] + source.first_channel;
    if constexpr (kAhead) {
      for (std::int64_t c = 0; c < source.channels;) {
        ahead.Prefetch();
        const std::int64_t end = std::min(c + Ahead::kStretch, source.channels);
        for (; c < end; ++c, weights += kWidth) MultiplyAdd(d, row, c, weights, between, acc);
      }
    } else {
      for (std::int64_t c = 0; c < source.channels; ++c, weights += kWidth) {
        MultiplyAdd(d, row, c, weights, between, acc);
      }
    }
  }
}

// What is rare and long takes the sums from where they were stored. Apart, since what holds an
// activation of many steps in every tile is several times as much code.
HWY_NOINLINE void ActivateStored(const ConvTiles& tiles, std::int64_t offset, std::size_t channels,
                                 std::size_t pixels) {
  const Tag d;
  ForStored(tiles.stride, offset, channels, pixels,
            [&](std::int64_t at, std::size_t /*c*/, std::size_t count) HWY_ATTR {
              float* const out = tiles.out + at;
              StorePart(d, Activate(d, LoadPart(d, out, count), tiles.activation), out, count);
            });
}

HWY_NOINLINE void MakeSecondOfStored(const ConvTiles& tiles, std::int64_t offset,
                                     std::int64_t channel, std::size_t channels,
                                     std::size_t pixels) {
  const Tag d;
  const SecondResult& second = tiles.second;
  const float* const scale = second.scale + tiles.first_output + channel;
  const float* const shift = second.shift + tiles.first_output + channel;
  ForStored(tiles.stride, offset, channels, pixels,
            [&](std::int64_t at, std::size_t c, std::size_t count) HWY_ATTR {
              const Vector value =
                  hn::MulAdd(LoadPart(d, tiles.out + at, count), LoadPart(d, scale + c, count),
                             LoadPart(d, shift + c, count));
              StorePart(d, Activate(d, value, second.activation), second.out + at, count);
            });
}

// Applies the epilogue and stores. `kWhole`: every pixel is stored, and every vector is full.
template <bool kWhole, std::size_t kCount, std::size_t kVectors>
HWY_INLINE void Finish(Tag d, const ConvTiles& tiles, const Part& part,
                       Accumulators<kCount, kVectors>& acc) {
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
#pragma GCC unroll 4
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
#pragma GCC unroll 4
      for (std::size_t v = 0; v < kVectors; ++v) {
        acc.at[m][v] = hn::Add(acc.at[m][v], load(row + v * kLanes, v));
      }
    }
  }
  if (tiles.activation.kind == ActivationKind::kRelu) {
#pragma GCC unroll 12
    for (std::size_t m = 0; m < kCount; ++m) {
#pragma GCC unroll 4
      for (std::size_t v = 0; v < kVectors; ++v) acc.at[m][v] = Relu(d, acc.at[m][v]);
    }
  } else if (tiles.activation.kind == ActivationKind::kRelu6) {
#pragma GCC unroll 12
    for (std::size_t m = 0; m < kCount; ++m) {
#pragma GCC unroll 4
      for (std::size_t v = 0; v < kVectors; ++v) acc.at[m][v] = Relu6(d, acc.at[m][v]);
    }
  }
  float* row = tiles.out + offset;
#pragma GCC unroll 12
  for (std::size_t m = 0; m < kCount; ++m, row += tiles.stride) {
    if (m >= pixels) break;
#pragma GCC unroll 4
    for (std::size_t v = 0; v < kVectors; ++v) store(acc.at[m][v], row + v * kLanes, v);
  }
  const std::size_t channels = (kVectors - 1) * kLanes + last;
  if (!is_short(tiles.activation)) ActivateStored(tiles, offset, channels, pixels);
  const SecondResult& second = tiles.second;
  if (second.out == nullptr) return;
  const float* scale = second.scale + tiles.first_output + part.channel;
  const float* shift = second.shift + tiles.first_output + part.channel;
  if (is_short(tiles.activation) && is_short(second.activation)) {
    const ActivationKind kind = second.activation.kind;
#pragma GCC unroll 4
    for (std::size_t v = 0; v < kVectors; ++v) {
      const Vector factor = load(scale + v * kLanes, v);
      const Vector term = load(shift + v * kLanes, v);
      float* to = second.out + offset + v * kLanes;
#pragma GCC unroll 12
      for (std::size_t m = 0; m < kCount; ++m, to += tiles.stride) {
        if (m >= pixels) break;
        const Vector value = hn::MulAdd(acc.at[m][v], factor, term);
        store(ActivateShort(d, value, kind), to, v);
      }
    }
  } else {
    MakeSecondOfStored(tiles, offset, part.channel, channels, pixels);
  }
}

// A block of channels.
struct BlockPlace {
  const float* weights;
  std::int64_t floats;   // of weights
  std::int64_t channel;  // the first
  const float* next;     // weights of the next; null: unknown

  // Channels in the last of its vectors.
  [[nodiscard]] std::size_t Last(const ConvTiles& tiles, std::size_t vectors) const {
    return std::min(kLanes,
                    static_cast<std::size_t>(tiles.outputs - channel) - (vectors - 1) * kLanes);
  }
};

// Where a tile is stored: its pixels lie far apart, so that the processor's own prefetching does
// not find them.
template <std::size_t kCount, std::size_t kVectors>
HWY_INLINE void BringNear(const ConvTiles& tiles, const Part& part) {
  const std::int64_t offset = part.pixel * tiles.stride + tiles.first_output + part.channel;
  float* row = tiles.out + offset;
  for (std::size_t m = 0; m < kCount && m < part.pixels; ++m, row += tiles.stride) {
#pragma GCC unroll 4
    for (std::size_t v = 0; v < kVectors; ++v) __builtin_prefetch(row + v * kLanes, 1);
  }
}

// One tile. Four vectors are two blocks.
template <std::size_t kCount, std::size_t kVectors, bool kAhead>
HWY_INLINE void RunTile(Tag d, const ConvTiles& tiles, const BlockPlace& block, const Part& part,
                        Ahead& ahead) {
  Accumulators<kCount, kVectors> acc;
#pragma GCC unroll 12
  for (std::size_t m = 0; m < kCount; ++m) {
#pragma GCC unroll 4
    for (std::size_t v = 0; v < kVectors; ++v) {
      acc.at[m][v] = hn::Load(d, tiles.bias + part.channel + v * kLanes);
    }
  }
  if (tiles.far) BringNear<kCount, kVectors>(tiles, part);
  const float* HWY_RESTRICT weights = block.weights;
  for (const ConvSource& source : tiles.sources) {
    Accumulate<kAhead>(d, source, source.rows + part.pixel, tiles.pitch, weights, block.floats,
                       ahead, acc);
  }
  if (part.pixels == kCount && part.last == kLanes) {
    Finish<true>(d, tiles, part, acc);
  } else {
    Finish<false>(d, tiles, part, acc);
  }
}

// The pixels that make whole tiles, and those that nearly do.
template <std::size_t kVectors>
std::int64_t WholePixels(std::int64_t pixels) {
  constexpr auto kCount = static_cast<std::int64_t>(kPixels<kVectors>);
  constexpr auto kFew = static_cast<std::int64_t>(kFewPixels<kVectors>);
  const std::int64_t rest = pixels % kCount;
  return rest > kFew ? pixels : pixels - rest;
}

// One block of channels for all pixels but the last few.
template <std::size_t kVectors, bool kAhead>
void RunBlock(const ConvTiles& tiles, const BlockPlace& block) {
  constexpr std::size_t kCount = kPixels<kVectors>;
  static_assert(kTilePixels % kCount == 0);
  const Tag d;
  const std::int64_t end = WholePixels<kVectors>(tiles.pixels);
  const std::int64_t parts = (end + std::int64_t{kCount} - 1) / std::int64_t{kCount};
  Ahead ahead{
      .at = block.next,
      .end = block.next + block.floats,
      .step =
          parts == 0 ? 0 : (Ahead::kStretch * std::int64_t{kVectors * kLanes} + parts - 1) / parts};
  const std::size_t last = block.Last(tiles, kVectors);
  for (std::int64_t pixel = 0; pixel < end; pixel += std::int64_t{kCount}) {
    const Part part{.pixel = pixel,
                    .pixels = std::min(kCount, static_cast<std::size_t>(end - pixel)),
                    .channel = block.channel,
                    .last = last};
    RunTile<kCount, kVectors, kAhead>(d, tiles, block, part, ahead);
  }
}

// The last few pixels, `kCount` of them at most.
template <std::size_t kCount, std::size_t kVectors>
HWY_NOINLINE void RunRest(const ConvTiles& tiles, const BlockPlace& block, std::int64_t begin) {
  const Part part{.pixel = begin,
                  .pixels = static_cast<std::size_t>(tiles.pixels - begin),
                  .channel = block.channel,
                  .last = block.Last(tiles, kVectors)};
  Ahead none{.at = nullptr, .end = nullptr, .step = 0};
  RunTile<kCount, kVectors, false>(Tag(), tiles, block, part, none);
}

void Run(const ConvTiles& tiles, std::int64_t block_begin, std::int64_t block_end);

const ConvKernel& Kernel() {
  static constexpr ConvKernel kernel{.lanes = kLanes, .run = Run};
  return kernel;
}

void Run(const ConvTiles& tiles, std::int64_t block_begin, std::int64_t block_end) {
  constexpr std::int64_t kNear = 512;         // floats that the processor fetches early enough
  constexpr std::int64_t kClose = 64 * 1024;  // floats that a second-level cache holds, and others
  std::int64_t depth = 0;                     // products in one sum
  std::int64_t taps = 0;
  for (const ConvSource& source : tiles.sources) {
    depth += source.taps * source.channels;
    taps += source.taps;
  }
  // A prefetch at each tap of a few channels would cost more than it brings.
  const bool short_taps = depth < taps * Ahead::kStretch;
  const std::int64_t rest = WholePixels<2>(tiles.pixels);  // where it begins
  const std::int64_t left = tiles.pixels - rest;
  std::int64_t waiting = 0;  // blocks of two vectors whose rest is not computed yet
  for (std::int64_t i = block_begin; i < block_end; ++i) {
    const std::int64_t channel = i * 2 * std::int64_t{kLanes};
    const std::int64_t vectors = Kernel().block_vectors(tiles.outputs, i);
    BlockPlace block{.weights = tiles.weights + channel * depth,
                     .floats = depth * vectors * std::int64_t{kLanes},
                     .channel = channel,
                     .next = nullptr};
    if (vectors == 1) {
      RunBlock<1, false>(tiles, block);
      const std::int64_t begin = WholePixels<1>(tiles.pixels);
      if (begin < tiles.pixels) RunRest<kFewPixels<1>, 1>(tiles, block, begin);
      continue;
    }
    if (vectors == 3) {
      RunBlock<3, false>(tiles, block);
      const std::int64_t begin = WholePixels<3>(tiles.pixels);
      if (begin < tiles.pixels) RunRest<kFewPixels<3>, 3>(tiles, block, begin);
      continue;
    }
    block.next = i + 1 < block_end ? block.weights + block.floats : tiles.next;
    if (block.next == nullptr || block.floats <= kNear || short_taps) {
      RunBlock<2, false>(tiles, block);
    } else {
      RunBlock<2, true>(tiles, block);
    }
    if (left == 0) continue;
    ++waiting;
    const bool pair_follows = left <= std::int64_t{kVeryFewPixels} && 2 * block.floats <= kClose &&
                              i + 1 < block_end &&
                              Kernel().block_vectors(tiles.outputs, i + 1) == 2;
    if (waiting == 2) {
      const BlockPlace first{.weights = block.weights - block.floats,
                             .floats = block.floats,
                             .channel = channel - 2 * std::int64_t{kLanes},
                             .next = nullptr};
      RunRest<kVeryFewPixels, 4>(tiles, first, rest);
      waiting = 0;
    } else if (!pair_follows) {
      RunRest<kFewPixels<2>, 2>(tiles, block, rest);
      waiting = 0;
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
