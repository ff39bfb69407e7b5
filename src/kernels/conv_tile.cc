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

template <std::size_t kVectors>
HWY_INLINE void Accumulate(Tag d, const ConvSource& source, const float* const* rows,
                           std::int64_t pitch, const float* HWY_RESTRICT& weights,
                           Accumulators<kVectors>& acc) {
  constexpr std::size_t kCount = kPixels<kVectors>;
  for (std::int64_t tap = 0; tap < source.taps; ++tap, rows += pitch) {
    const float* HWY_RESTRICT row[kCount];
#pragma GCC unroll 12
    for (std::size_t m = 0; m < kCount; ++m) row[m] = rows[m] + source.first_channel;
    for (std::int64_t c = 0; c < source.channels; ++c, weights += kVectors * kLanes) {
      Vector w[kVectors];
#pragma GCC unroll 3
      for (std::size_t v = 0; v < kVectors; ++v) w[v] = hn::Load(d, weights + v * kLanes);
#pragma GCC unroll 12
      for (std::size_t m = 0; m < kCount; ++m) {
        const Vector x = hn::Set(d, row[m][c]);
#pragma GCC unroll 3
        for (std::size_t v = 0; v < kVectors; ++v) {
          acc.at[m][v] = hn::MulAdd(x, w[v], acc.at[m][v]);
        }
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
  if (tiles.activation == Activation::kRelu) {
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
  if (tiles.activation == Activation::kNone || tiles.activation == Activation::kRelu) return;
  // The others are rare and long: not unrolled, they take the sums from where they were stored.
  row = tiles.out + offset;
  for (std::size_t m = 0; m < pixels; ++m, row += tiles.stride) {
    for (std::size_t v = 0; v < kVectors; ++v) {
      float* at = row + v * kLanes;
      store(Activate(d, load(at, v), tiles.activation), at, v);
    }
  }
}

// One block of channels for all pixels.
template <std::size_t kVectors>
void Block(const ConvTiles& tiles, const float* block_weights, std::int64_t channel) {
  constexpr std::size_t kCount = kPixels<kVectors>;
  static_assert(kTilePixels % kCount == 0);
  const Tag d;
  const auto channels = static_cast<std::size_t>(tiles.outputs - channel);
  const std::size_t last = std::min(kLanes, channels - (kVectors - 1) * kLanes);
  for (std::int64_t pixel = 0; pixel < tiles.pixels; pixel += std::int64_t{kCount}) {
    Accumulators<kVectors> acc;
#pragma GCC unroll 12
    for (std::size_t m = 0; m < kCount; ++m) {
#pragma GCC unroll 3
      for (std::size_t v = 0; v < kVectors; ++v) {
        acc.at[m][v] = hn::Load(d, tiles.bias + channel + v * kLanes);
      }
    }
    const float* HWY_RESTRICT weights = block_weights;
    for (const ConvSource& source : tiles.sources) {
      Accumulate<kVectors>(d, source, source.rows + pixel, tiles.pitch, weights, acc);
    }
    const Part part{.pixel = pixel,
                    .pixels = std::min(kCount, static_cast<std::size_t>(tiles.pixels - pixel)),
                    .channel = channel,
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
  for (std::int64_t block = block_begin; block < block_end; ++block) {
    const std::int64_t channel = block * 2 * static_cast<std::int64_t>(kLanes);
    const float* weights = tiles.weights + channel * depth;
    switch (Kernel().block_vectors(tiles.outputs, block)) {
      case 1:
        Block<1>(tiles, weights, channel);
        break;
      case 2:
        Block<2>(tiles, weights, channel);
        break;
      default:
        Block<3>(tiles, weights, channel);
        break;
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
