// SPDX-License-Identifier: Apache-2.0
#include "kernels/depthwise.h"

#include <algorithm>

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

// Pixels that are computed at once.
inline constexpr std::size_t kNeighbours = 4;
// The same where there are 32 registers: rows of 7 times a power of two are common.
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL || HWY_TARGET == HWY_NEON
inline constexpr std::size_t kManyNeighbours = 7;
#else
inline constexpr std::size_t kManyNeighbours = kNeighbours;
#endif

template <std::size_t kVectors, bool kWhole>
struct Loader {
  std::size_t last;  // channels in the last vector, if it is not whole

  HWY_INLINE Vector operator()(Tag d, const float* from, std::size_t v) const {
    return kWhole || v + 1 < kVectors ? hn::LoadU(d, from + v * kLanes)
                                      : LoadPart(d, from + v * kLanes, last);
  }
};

// Sums begin with the bias.
template <std::size_t kPixels, std::size_t kVectors, bool kWhole>
HWY_INLINE void Start(Tag d, const float* bias, const Loader<kVectors, kWhole>& load,
                      Vector (&acc)[kPixels][kVectors]) {
#pragma GCC unroll 2
  for (std::size_t v = 0; v < kVectors; ++v) {
    const Vector first = load(d, bias, v);
#pragma GCC unroll 7
    for (std::size_t p = 0; p < kPixels; ++p) acc[p][v] = first;
  }
}

// Where the sums of some pixels go.
struct Output {
  const float* residual;  // of the first pixel; may be null
  float* out;
  std::int64_t channels;  // from one pixel to the next
  const Activation& activation;
};

// Applies an activation that is not short to `channels` of some pixels that are stored. Apart,
// since what holds it in every place is ten times as much code.
HWY_NOINLINE void ActivateStored(const Output& output, std::int64_t channel, std::size_t channels,
                                 std::size_t pixels) {
  const Tag d;
  ForStored(output.channels, channel, channels, pixels,
            [&](std::int64_t at, std::size_t /*c*/, std::size_t count) HWY_ATTR {
              float* const out = output.out + at;
              StorePart(d, Activate(d, LoadPart(d, out, count), output.activation), out, count);
            });
}

// Adds the residual, applies the activation and stores.
template <std::size_t kPixels, std::size_t kVectors, bool kWhole>
HWY_INLINE void Finish(Tag d, const Output& output, std::int64_t channel,
                       const Loader<kVectors, kWhole>& load, Vector (&acc)[kPixels][kVectors]) {
  const ActivationKind kind = output.activation.kind;
  const bool at_once = is_short(output.activation);
#pragma GCC unroll 7
  for (std::size_t p = 0; p < kPixels; ++p) {
    const std::int64_t at = static_cast<std::int64_t>(p) * output.channels + channel;
#pragma GCC unroll 2
    for (std::size_t v = 0; v < kVectors; ++v) {
      Vector value = acc[p][v];
      if (output.residual != nullptr) value = hn::Add(value, load(d, output.residual + at, v));
      if (at_once) value = ActivateShort(d, value, kind);
      float* to = output.out + at + v * kLanes;
      if (kWhole || v + 1 < kVectors) {
        hn::StoreU(value, d, to);
      } else {
        StorePart(d, value, to, load.last);
      }
    }
  }
  if (!at_once) {
    ActivateStored(output, channel, (kVectors - 1) * kLanes + (kWhole ? kLanes : load.last),
                   kPixels);
  }
}

// `kVectors` vectors of channels of `kPixels` pixels, which share the loads of the weights.
template <std::size_t kPixels, std::size_t kVectors, bool kWhole>
HWY_INLINE void Pixels(const DepthwisePixels& all, std::int64_t pixel, std::int64_t channel,
                       std::size_t last) {
  const Tag d;
  const Loader<kVectors, kWhole> load{last};
  Vector acc[kPixels][kVectors];
  Start(d, all.bias + channel, load, acc);
  const float* weights = all.weights + channel;
  const float* const* rows = all.rows + pixel;
  for (std::int64_t tap = 0; tap < all.taps; ++tap, weights += all.channels, rows += all.pitch) {
#pragma GCC unroll 2
    for (std::size_t v = 0; v < kVectors; ++v) {
      const Vector weight = load(d, weights, v);
#pragma GCC unroll 7
      for (std::size_t p = 0; p < kPixels; ++p) {
        acc[p][v] = hn::MulAdd(load(d, rows[p] + channel, v), weight, acc[p][v]);
      }
    }
  }
  const std::int64_t first = pixel * all.channels;
  Finish(d,
         Output{.residual = all.residual == nullptr ? nullptr : all.residual + first,
                .out = all.out + first,
                .channels = all.channels,
                .activation = all.activation},
         channel, load, acc);
}

// Calls body.Run<kVectors, kWhole>(channel, channels in the last vector) until all are done.
template <class Body>
HWY_INLINE void ForChannels(std::int64_t channels, const Body& body) {
  constexpr auto kStep = static_cast<std::int64_t>(kLanes);
  std::int64_t channel = 0;
  if constexpr (Body::kFewPixels) {  // rare
    for (; channel < channels; channel += kStep) {
      body.template Run<1, false>(channel,
                                  std::min(kLanes, static_cast<std::size_t>(channels - channel)));
    }
    return;
  }
  for (; channel + 2 * kStep <= channels; channel += 2 * kStep) {
    body.template Run<2, true>(channel, kLanes);
  }
  // What is left takes as long as two vectors even if it fills one: the sums wait for one another.
  const auto left = static_cast<std::size_t>(channels - channel);
  if (left > kLanes) {
    body.template Run<2, false>(channel, left - kLanes);
  } else if (left == kLanes) {
    body.template Run<1, true>(channel, kLanes);
  } else if (left > 0) {
    body.template Run<1, false>(channel, left);
  }
}

template <std::size_t kPixels>
struct AnyPixels {
  static constexpr bool kFewPixels = kPixels == 1;
  const DepthwisePixels& all;
  std::int64_t pixel;

  template <std::size_t kVectors, bool kWhole>
  HWY_INLINE void Run(std::int64_t channel, std::size_t last) const {
    Pixels<kPixels, kVectors, kWhole>(all, pixel, channel, last);
  }
};

void Depthwise(const DepthwisePixels& all) {
  constexpr auto kStep = std::int64_t{kNeighbours};
  std::int64_t pixel = 0;
  for (; pixel + kStep <= all.pixels; pixel += kStep) {
    ForChannels(all.channels, AnyPixels<kNeighbours>{all, pixel});
  }
  for (; pixel < all.pixels; ++pixel) ForChannels(all.channels, AnyPixels<1>{all, pixel});
}

// The vector is in a register from here on: loads that several products share are not made part of
// each.
HWY_INLINE void Keep([[maybe_unused]] Vector& vector) {
#if (HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL || HWY_TARGET == HWY_AVX2) && \
    HWY_COMPILER_GCC
  asm("" : "+v"(vector.raw));
#endif
}

// kPixels neighbours of a row.
template <std::size_t kTaps, std::size_t kStride, std::size_t kPixels>
struct RowPixels {
  static constexpr bool kFewPixels = kPixels == 1;
  static constexpr std::size_t kColumns = (kPixels - 1) * kStride + kTaps;
  // Of one row of the kernel: what is read at each column.
  struct Columns {
    const float* at[kColumns];
    const float* weights;
  };

  const DepthwiseRow& row;
  Output output;
  Columns rows[DepthwiseRow::kMostRows];
  std::size_t count = 0;

  RowPixels(const DepthwiseRow& all, std::int64_t pixel)
      : row(all),
        output{.residual = all.residual == nullptr ? nullptr : all.residual + pixel * all.channels,
               .out = all.out + pixel * all.channels,
               .channels = all.channels,
               .activation = all.activation} {
    const std::int64_t first = pixel * std::int64_t{kStride} - all.padding;
    for (std::int64_t r = 0; r < all.kernel_rows; ++r) {
      if (all.rows[r] == nullptr) continue;
      Columns& columns = rows[count++];
      columns.weights = all.weights + r * std::int64_t{kTaps} * all.channels;
      for (std::size_t i = 0; i < kColumns; ++i) {
        const std::int64_t x = first + static_cast<std::int64_t>(i);
        columns.at[i] = x < 0 || x >= all.in_width ? all.zeros : all.rows[r] + x * all.channels;
      }
    }
  }

  template <std::size_t kVectors, bool kWhole>
  HWY_INLINE void Run(std::int64_t channel, std::size_t last) const {
    const Tag d;
    const Loader<kVectors, kWhole> load{last};
    Vector acc[kPixels][kVectors];
    Start(d, row.bias + channel, load, acc);
    for (std::size_t r = 0; r < count; ++r) {
      const Columns& columns = rows[r];
#pragma GCC unroll 2
      for (std::size_t v = 0; v < kVectors; ++v) {
        Vector weights[kTaps];
#pragma GCC unroll 5
        for (std::size_t t = 0; t < kTaps; ++t) {
          weights[t] =
              load(d, columns.weights + static_cast<std::int64_t>(t) * row.channels + channel, v);
          Keep(weights[t]);
        }
        // What is read of a column goes to every pixel that it is part of.
#pragma GCC unroll 15
        for (std::size_t x = 0; x < kColumns; ++x) {
          Vector value = load(d, columns.at[x] + channel, v);
          Keep(value);
#pragma GCC unroll 5
          for (std::size_t t = 0; t < kTaps; ++t) {
            if (x < t || (x - t) % kStride != 0 || (x - t) / kStride >= kPixels) continue;
            Vector& sum = acc[(x - t) / kStride][v];
            sum = hn::MulAdd(value, weights[t], sum);
          }
        }
      }
    }
    Finish(d, output, channel, load, acc);
  }
};

template <std::size_t kTaps, std::size_t kStride>
void Row(const DepthwiseRow& row) {
  constexpr auto kStep = std::int64_t{kNeighbours};
  std::int64_t pixel = 0;
  if constexpr (kTaps == 3 && kManyNeighbours > kNeighbours) {
    constexpr auto kLongStep = std::int64_t{kManyNeighbours};
    for (; pixel + kLongStep <= row.width; pixel += kLongStep) {
      ForChannels(row.channels, RowPixels<kTaps, kStride, kManyNeighbours>(row, pixel));
    }
  }
  for (; pixel + kStep <= row.width; pixel += kStep) {
    ForChannels(row.channels, RowPixels<kTaps, kStride, kNeighbours>(row, pixel));
  }
  if (pixel < row.width && row.width > kStep && row.residual == nullptr) {
    // Some of these were there before, and become what they are.
    ForChannels(row.channels, RowPixels<kTaps, kStride, kNeighbours>(row, row.width - kStep));
    return;
  }
  for (; pixel < row.width; ++pixel) {
    ForChannels(row.channels, RowPixels<kTaps, kStride, 1>(row, pixel));
  }
}

void RunRow(const DepthwiseRow& row) {
  if (row.taps == 3) {
    row.stride == 1 ? Row<3, 1>(row) : Row<3, 2>(row);
  } else {
    Row<5, 1>(row);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace octconv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace octconv::kernels {

HWY_EXPORT(Depthwise);
HWY_EXPORT(RunRow);

void depthwise(const DepthwisePixels& pixels) noexcept {
  HWY_DYNAMIC_DISPATCH(Depthwise)(pixels);
}

void depthwise(const DepthwiseRow& row) noexcept {
  HWY_DYNAMIC_DISPATCH(RunRow)(row);
}

}  // namespace octconv::kernels
#endif
