// SPDX-License-Identifier: Apache-2.0
#include "kernels/correlation.h"

#include <algorithm>

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

// Sums of so many outputs times so many vectors of inputs stay in the registers, of which there are
// 32 or 16.
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL || HWY_TARGET == HWY_NEON
inline constexpr std::size_t kOutputs = 4;
inline constexpr std::size_t kVectors = 6;
#else
inline constexpr std::size_t kOutputs = 6;
inline constexpr std::size_t kVectors = 2;
#endif

// A vector of inputs: some channels at one tap.
struct InputVector {
  const std::int64_t* offsets;
  std::int64_t channel;
  std::int64_t count;  // of channels
};

// Loads the channels that there are. Where all are in whole vectors there is nothing to mask.
template <bool kWhole>
struct Loader {
  void set(std::int64_t) {}
  HWY_INLINE Vector load(const float* from) const { return hn::LoadU(Tag(), from); }
};

template <>
struct Loader<false> {
#if OCTCONV_MASKED_MOVES
  void set(std::int64_t count) {
    mask = hn::FirstN(Tag(), static_cast<std::size_t>(count));
  }
  HWY_INLINE Vector load(const float* from) const {
    return hn::MaskedLoad(mask, Tag(), from);
  }
  hn::Mask<Tag> mask;
#else
  void set(std::int64_t to) {
    count = to;
  }
  HWY_INLINE Vector load(const float* from) const {
    return count == kLanes ? hn::LoadU(Tag(), from)
                           : LoadPart(Tag(), from, static_cast<std::size_t>(count));
  }
  std::int64_t count;
#endif
};

// `to` is where the sums of the first output and vector are, `pitch` floats from output to output.
template <std::size_t kO, std::size_t kV, bool kWhole>
void RunTile(const Correlation& all, const InputVector* inputs, const float* diff, float* to,
             std::int64_t pitch) {
  const Tag d;
  Vector acc[kO][kV];
#pragma GCC unroll 6
  for (std::size_t o = 0; o < kO; ++o) {
#pragma GCC unroll 6
    for (std::size_t v = 0; v < kV; ++v) {
      acc[o][v] = hn::LoadU(
          d, to + static_cast<std::int64_t>(o) * pitch + static_cast<std::int64_t>(v) * kLanes);
    }
  }
  Loader<kWhole> loaders[kV];
  const float* src[kV];  // of the vector's channels
  const std::int64_t* offsets[kV];
  for (std::size_t v = 0; v < kV; ++v) {
    loaders[v].set(inputs[v].count);
    src[v] = all.src + inputs[v].channel;
    offsets[v] = inputs[v].offsets;
  }
  const float* const zeros = all.zeros;
  const std::int64_t stride = all.stride;
  const std::int64_t pixels = all.pixels;
  for (std::int64_t p = 0; p < pixels; ++p, diff += stride) {
    Vector x[kV];
#pragma GCC unroll 6
    for (std::size_t v = 0; v < kV; ++v) {
      const std::int64_t offset = offsets[v][p];
      x[v] = loaders[v].load(offset == kOutside ? zeros : src[v] + offset);
    }
#pragma GCC unroll 6
    for (std::size_t o = 0; o < kO; ++o) {
      const Vector y = hn::Set(d, diff[o]);
#pragma GCC unroll 6
      for (std::size_t v = 0; v < kV; ++v) acc[o][v] = hn::MulAdd(x[v], y, acc[o][v]);
    }
  }
#pragma GCC unroll 6
  for (std::size_t o = 0; o < kO; ++o) {
#pragma GCC unroll 6
    for (std::size_t v = 0; v < kV; ++v) {
      hn::StoreU(acc[o][v], d,
                 to + static_cast<std::int64_t>(o) * pitch + static_cast<std::int64_t>(v) * kLanes);
    }
  }
}

// All outputs of one group of vectors, whose inputs then are in the first-level cache.
template <std::size_t kV, bool kWhole>
void RunOutputs(const Correlation& all, const InputVector* inputs, std::int64_t begin,
                std::int64_t end, float* sums, std::int64_t pitch) {
  constexpr auto kStep = static_cast<std::int64_t>(kOutputs);
  for (; begin + kStep <= end; begin += kStep) {
    RunTile<kOutputs, kV, kWhole>(all, inputs, all.diff + begin, sums + begin * pitch, pitch);
  }
  if constexpr (kOutputs > 4) {
    if (begin + 4 <= end) {
      RunTile<4, kV, kWhole>(all, inputs, all.diff + begin, sums + begin * pitch, pitch);
      begin += 4;
    }
  }
  if (begin + 2 <= end) {
    RunTile<2, kV, kWhole>(all, inputs, all.diff + begin, sums + begin * pitch, pitch);
    begin += 2;
  }
  if (begin < end) {
    RunTile<1, kV, kWhole>(all, inputs, all.diff + begin, sums + begin * pitch, pitch);
  }
}

template <bool kWhole>
void RunVectors(const Correlation& all, std::int64_t begin, std::int64_t end) {
  const std::int64_t vectors = (all.channels + kLanes - 1) / kLanes;  // of a tap
  const std::int64_t count = all.taps * vectors;
  const std::int64_t pitch = count * kLanes;
  InputVector inputs[kVectors];
  for (std::int64_t first = 0; first < count;) {
    const std::int64_t left = std::min(count - first, static_cast<std::int64_t>(kVectors));
    for (std::int64_t v = 0; v < left; ++v) {
      const std::int64_t channel = (first + v) % vectors * kLanes;
      inputs[v] = {.offsets = all.offsets + (first + v) / vectors * all.pitch,
                   .channel = channel,
                   .count = std::min(kLanes, all.channels - channel)};
    }
    float* const sums = all.sums + first * kLanes;
    if (left == static_cast<std::int64_t>(kVectors)) {
      RunOutputs<kVectors, kWhole>(all, inputs, begin, end, sums, pitch);
      first += static_cast<std::int64_t>(kVectors);
      continue;
    }
    if constexpr (kVectors > 2) {
      if (left >= 4) {
        RunOutputs<4, kWhole>(all, inputs, begin, end, sums, pitch);
        first += 4;
        continue;
      }
      if (left == 3) {
        RunOutputs<3, kWhole>(all, inputs, begin, end, sums, pitch);
        first += 3;
        continue;
      }
      if (left == 2) {
        RunOutputs<2, kWhole>(all, inputs, begin, end, sums, pitch);
        first += 2;
        continue;
      }
    }
    RunOutputs<1, kWhole>(all, inputs, begin, end, sums, pitch);
    first += 1;
  }
}

void Correlate(const Correlation& all, std::int64_t begin, std::int64_t end) {
  if (all.channels % kLanes == 0) {
    RunVectors<true>(all, begin, end);
  } else {
    RunVectors<false>(all, begin, end);
  }
}

const CorrelationKernel& CorrelationOf() {
  static constexpr CorrelationKernel kernel{
      .lanes = kLanes, .outputs = std::int64_t{kOutputs}, .run = Correlate};
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
