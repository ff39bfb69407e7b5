// SPDX-License-Identifier: Apache-2.0
#include "kernels/correlation.h"

#include <algorithm>
#include <cstddef>
#include <type_traits>

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
inline constexpr std::size_t kVectors = 6;
inline constexpr std::size_t kSums = 24;
#else
inline constexpr std::size_t kVectors = 2;
inline constexpr std::size_t kSums = 12;
#endif
template <std::size_t kV>
inline constexpr std::size_t kOutputs = std::min<std::size_t>(16, kSums / kV);

// And so many fewer, for what is left over.
constexpr std::size_t Fewer(std::size_t outputs) {
  return outputs > 8 ? 8 : outputs > 4 ? 4 : outputs / 2;
}

template <std::size_t kCount>
using Count = std::integral_constant<std::size_t, kCount>;

const CorrelationKernel& CorrelationOf();

inline constexpr std::int64_t kMostColumns = std::int64_t{kVectors} * kLanes;

// What a group of vectors reads, side by side for each pixel: all outputs read it from the
// first-level cache, which maps with a power of two of channels would use but in part.
class Packed {
 public:
  // Columns [first, first + columns) of a row of sums.
  void pack(const Correlation& all, std::int64_t step, std::int64_t first, std::int64_t columns) {
    const std::int64_t end = std::min(first + columns, all.taps * step);
    if (end < first + columns) std::fill_n(values_, all.pixels * columns, 0.0F);
    const std::int64_t width = all.run * step;  // of a run of taps
    const std::int64_t real = all.run == 1 ? all.channels : width;
    for (std::int64_t run = first / width; run * width < end; ++run) {
      const std::int64_t begin = std::max<std::int64_t>(0, first - run * width);
      const std::int64_t count = std::min(real, end - run * width) - begin;
      if (count <= 0) continue;
      const std::int64_t* const offsets = all.offsets + run * all.run * all.pitch;
      std::int64_t column = run * width + begin - first;
      std::int64_t c = begin;
      for (; c + kLanes <= begin + count; c += kLanes, column += kLanes) {
        copy(all, offsets, c, kLanes, column, columns, WholeVector(), WholeVector());
      }
      const std::int64_t left = begin + count - c;
      if (left == 0) continue;
      const PartVector part{static_cast<std::size_t>(left)};
      // What a whole store writes beyond the channels, the next taps overwrite.
      if (column + kLanes <= columns) {
        copy(all, offsets, c, left, column, columns, part, WholeVector());
      } else {
        copy(all, offsets, c, left, column, columns, part, part);
      }
    }
  }

  [[nodiscard]] const float* values() const { return values_; }

 private:
  // Some channels of all pixels, or some floats of a run: `count`, from `first` on.
  template <class Load, class Store>
  void copy(const Correlation& all, const std::int64_t* offsets, std::int64_t first,
            std::int64_t count, std::int64_t column, std::int64_t columns, Load load, Store store) {
    const float* const src = all.src + first;
    float* to = values_ + column;
    if (all.prologue) {
      const PrologueLanes through(all.prologue, first, load);
      for (std::int64_t p = 0; p < all.pixels; ++p, to += columns) {
        const bool outside = offsets[p] == kOutside;
        store.Store(outside ? hn::Zero(Tag()) : through(load.Load(src + offsets[p])), to);
      }
    } else if (all.run == 1) {
      for (std::int64_t p = 0; p < all.pixels; ++p, to += columns) {
        store.Store(load.Load(offsets[p] == kOutside ? all.zeros : src + offsets[p]), to);
      }
    } else {
      const std::int64_t* const last = offsets + (all.run - 1) * all.pitch;
      const Edge edge{.offsets = offsets + first / all.channels * all.pitch,
                      .channel = first % all.channels,
                      .count = count};
      for (std::int64_t p = 0; p < all.pixels; ++p, to += columns) {
        const bool inside = offsets[p] != kOutside && last[p] != kOutside;
        store.Store(inside ? load.Load(src + offsets[p]) : edge.load(all, p), to);
      }
    }
  }

  // Some floats of runs that are not on the map as a whole, tap by tap.
  struct Edge {
    const std::int64_t* offsets;  // of the first tap
    std::int64_t channel;         // the first
    std::int64_t count;

    [[nodiscard]] Vector load(const Correlation& all, std::int64_t pixel) const {
      HWY_ALIGN float lanes[kLanes] = {};
      const std::int64_t* tap = offsets + pixel;
      std::int64_t c = channel;
      for (std::int64_t i = 0; i < count; tap += all.pitch, c = 0) {
        const std::int64_t some = std::min(all.channels - c, count - i);
        if (*tap != kOutside) std::copy_n(all.src + *tap + c, some, lanes + i);
        i += some;
      }
      return hn::Load(Tag(), lanes);
    }
  };

  HWY_ALIGN float values_[kCorrelationPixels * kMostColumns];
};

// What outputs are correlated with.
struct Values {
  const float* at;       // of the first pixel
  std::int64_t columns;  // floats from one pixel to the next
  std::int64_t pixels;
};

// The outputs of these pixels, and where their sums go.
struct Outputs {
  const float* diff;    // of the first pixel
  std::int64_t stride;  // floats from one pixel to the next
  float* sums;          // with the first of the columns
  std::int64_t pitch;   // floats from one output to the next
  bool adds;            // to the sums that are there
};

// So many pixels before they are read, what is read of them is brought near: the values of many
// pixels do not stay in the first-level cache beside the sums, and outputs lie far apart.
inline constexpr std::int64_t kValuesAhead = 12;
inline constexpr std::int64_t kOutputsAhead = 24;

// kO outputs from `first` on.
template <std::size_t kO, std::size_t kV>
void RunTile(const Values& values, const Outputs& outputs, std::int64_t first) {
  const Tag d;
  float* const to = outputs.sums + first * outputs.pitch;
  const std::int64_t pitch = outputs.pitch;
  const auto place = [&](std::size_t o, std::size_t v) {
    return to + static_cast<std::int64_t>(o) * pitch + static_cast<std::int64_t>(v) * kLanes;
  };
  Vector acc[kO][kV];
#pragma GCC unroll 16
  for (std::size_t o = 0; o < kO; ++o) {
#pragma GCC unroll 6
    for (std::size_t v = 0; v < kV; ++v)
      acc[o][v] = outputs.adds ? hn::LoadU(d, place(o, v)) : hn::Zero(d);
  }
  const float* diff = outputs.diff + first;
  const float* value = values.at;
  const float* const end = value + values.pixels * values.columns;
  for (; value < end; value += values.columns, diff += outputs.stride) {
    __builtin_prefetch(diff + kOutputsAhead * outputs.stride);
    Vector x[kV];
#pragma GCC unroll 6
    for (std::size_t v = 0; v < kV; ++v) {
      const float* const from = value + static_cast<std::int64_t>(v) * kLanes;
      __builtin_prefetch(from + kValuesAhead * values.columns);
      x[v] = hn::LoadU(d, from);
    }
#pragma GCC unroll 16
    for (std::size_t o = 0; o < kO; ++o) {
      const Vector y = hn::Set(d, diff[o]);
#pragma GCC unroll 6
      for (std::size_t v = 0; v < kV; ++v) acc[o][v] = hn::MulAdd(x[v], y, acc[o][v]);
    }
  }
#pragma GCC unroll 16
  for (std::size_t o = 0; o < kO; ++o) {
#pragma GCC unroll 6
    for (std::size_t v = 0; v < kV; ++v) hn::StoreU(acc[o][v], d, place(o, v));
  }
}

// Outputs [begin, end) of one group of vectors, whose inputs then are in the first-level cache.
template <std::size_t kV, std::size_t kO = kOutputs<kV>>
void RunOutputs(const Values& values, const Outputs& outputs, std::int64_t begin,
                std::int64_t end) {
  constexpr auto kStep = std::int64_t{kO};
  for (; begin + kStep <= end; begin += kStep) RunTile<kO, kV>(values, outputs, begin);
  if constexpr (kO > 1) {
    if (begin < end) RunOutputs<kV, Fewer(kO)>(values, outputs, begin, end);
  }
}

// Calls run(Count<vectors>(), first) for the groups of vectors of columns [first, end).
template <class Run>
HWY_INLINE void ForVectors(std::int64_t first, std::int64_t end, const Run& run) {
  const auto go = [&](auto vectors) {
    run(vectors, first);
    first += std::int64_t{vectors.value} * kLanes;
  };
  const auto left = [&] { return (end - first) / kLanes; };
  while (left() >= std::int64_t{kVectors}) go(Count<kVectors>());
  if constexpr (kVectors > 2) {
    if (left() >= 4) go(Count<4>());
    if (left() == 3) go(Count<3>());
    if (left() == 2) go(Count<2>());
  }
  if (left() == 1) go(Count<1>());
}

void Correlate(const Correlation& all, const CorrelationBlock& block) {
  const CorrelationKernel& kernel = CorrelationOf();
  const std::int64_t step = kernel.step(all.channels);
  Packed packed;
  ForVectors(block.first_column, block.end_column, [&](auto vectors, std::int64_t first) {
    constexpr auto kColumns = std::int64_t{vectors.value} * kLanes;
    packed.pack(all, step, first, kColumns);
    RunOutputs<vectors.value>({.at = packed.values(), .columns = kColumns, .pixels = all.pixels},
                              {.diff = all.diff,
                               .stride = all.stride,
                               .sums = all.sums + first,
                               .pitch = all.sums_pitch,
                               .adds = all.adds},
                              block.first_output, block.end_output);
  });
}

void CorrelateDense(const DenseCorrelation& all) {
  ForVectors(0, all.columns, [&](auto vectors, std::int64_t first) {
    RunOutputs<vectors.value>({.at = all.src + first, .columns = all.pitch, .pixels = all.pixels},
                              {.diff = all.diff,
                               .stride = all.stride,
                               .sums = all.sums + first,
                               .pitch = all.columns,
                               .adds = all.adds},
                              0, all.outputs);
  });
}

const CorrelationKernel& CorrelationOf() {
  static constexpr CorrelationKernel kernel{.lanes = kLanes,
                                            .outputs = std::int64_t{kOutputs<kVectors>},
                                            .columns = kMostColumns,
                                            .run = Correlate,
                                            .run_dense = CorrelateDense};
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
