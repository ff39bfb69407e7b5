// SPDX-License-Identifier: Apache-2.0
#include "kernels/weights.h"

#include <algorithm>
#include <cstddef>

#include "kernels/targets.h"
#include "kernels/winograd_points.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/weights.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h, which chooses the target.
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace octconv::kernels {
namespace HWY_NAMESPACE {

inline constexpr std::size_t kLanes = hn::MaxLanes(Tag());
inline constexpr auto kStep = std::int64_t{kLanes};

#if HWY_TARGET == HWY_SCALAR
HWY_INLINE void LoadColumns(const float* from, std::int64_t /*row_step*/, Vector* columns) {
  for (std::size_t i = 0; i < 4; ++i) columns[i] = hn::LoadU(Tag(), from + i);
}
#else
// Four floats of each fourth row, side by side.
template <class D>
HWY_INLINE hn::Vec<D> LoadFours(D d, const float* from, std::int64_t row_step) {
  if constexpr (hn::MaxLanes(d) == 4) {
    return hn::LoadU(d, from);
  } else {
    const hn::Half<D> half;
    constexpr auto kRows = static_cast<std::int64_t>(hn::MaxLanes(half));
    return hn::Combine(d, LoadFours(half, from + kRows * row_step, row_step),
                       LoadFours(half, from, row_step));
  }
}

// Four columns, which lie side by side, of as many rows as a vector has lanes.
HWY_INLINE void LoadColumns(const float* from, std::int64_t row_step, Vector* columns) {
  const Tag d;
  const hn::RepartitionToWide<Tag> pairs;
  const auto wide = [&](Vector x) HWY_ATTR { return hn::BitCast(pairs, x); };
  Vector rows[4];
#pragma GCC unroll 4
  for (std::int64_t i = 0; i < 4; ++i) rows[i] = LoadFours(d, from + i * row_step, row_step);
  const auto lower_a = wide(hn::InterleaveLower(d, rows[0], rows[1]));
  const auto lower_b = wide(hn::InterleaveLower(d, rows[2], rows[3]));
  const auto upper_a = wide(hn::InterleaveUpper(d, rows[0], rows[1]));
  const auto upper_b = wide(hn::InterleaveUpper(d, rows[2], rows[3]));
  columns[0] = hn::BitCast(d, hn::InterleaveLower(pairs, lower_a, lower_b));
  columns[1] = hn::BitCast(d, hn::InterleaveUpper(pairs, lower_a, lower_b));
  columns[2] = hn::BitCast(d, hn::InterleaveLower(pairs, upper_a, upper_b));
  columns[3] = hn::BitCast(d, hn::InterleaveUpper(pairs, upper_a, upper_b));
}
#endif

// A vector of rows: the first, and how many are real.
struct Rows {
  std::int64_t first;
  std::int64_t count;

  [[nodiscard]] bool whole() const { return count == kStep; }
};

// Element by element.
HWY_INLINE void CopyRows(const Weights& weights, const float* from, std::int64_t count, float* to) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = from[i * weights.row_step] * weights.factor;
  std::fill(to + count, to + kStep, 0.0F);
}

// One tap.
void PackRows(const Weights& weights, const Rows& rows, const float* from, std::int64_t width,
              float* to) {
  const Tag d;
  const Vector factor = hn::Set(d, weights.factor);
  std::int64_t column = 0;
  if (rows.whole() && weights.row_step == 1) {
    for (; column < weights.columns; ++column, from += weights.column_step, to += width) {
      hn::StoreU(hn::Mul(hn::LoadU(d, from), factor), d, to);
    }
  } else if (rows.whole() && weights.column_step == 1) {
    for (; column + 4 <= weights.columns; column += 4, from += 4) {
      Vector columns[4];
      LoadColumns(from, weights.row_step, columns);
#pragma GCC unroll 4
      for (std::size_t i = 0; i < 4; ++i, to += width) {
        hn::StoreU(hn::Mul(columns[i], factor), d, to);
      }
    }
  }
  for (; column < weights.columns; ++column, from += weights.column_step, to += width) {
    CopyRows(weights, from, rows.count, to);
  }
}

// Calls run(rows, from) for the vectors of rows, with the first weight of each.
template <class Run>
HWY_INLINE void ForRows(const Weights& weights, const Run& run) {
  const float* from = weights.first;
  for (std::int64_t row = 0; row < weights.rows; row += kStep, from += kStep * weights.row_step) {
    run(Rows{row, std::min(kStep, weights.rows - row)}, from);
  }
}

void PackAll(const Weights& weights, const PackedWeights& to) {
  ForRows(weights, [&](const Rows& rows, const float* from) {
    for (std::int64_t tap = 0; tap < weights.taps; ++tap, from += weights.tap_step) {
      PackRows(weights, rows, from, to.width, to.out + tap * to.plane + rows.first);
    }
  });
}

// Half a vector of floats becomes a vector of doubles.
using HalfTag = hn::CappedTag<float, std::max<std::size_t>(1, kLanes / 2)>;
using DoubleTag = hn::Rebind<double, HalfTag>;
using Doubles = hn::Vec<DoubleTag>;

// Three weights to points along one axis: every `kFrom`-th of `x` to every `kTo`-th of `to`.
template <std::size_t kOutputs, std::size_t kFrom, std::size_t kTo>
HWY_INLINE void TransformTaps(DoubleTag d, const Doubles* x, Doubles* to) {
  const auto at = [x](std::size_t i) HWY_ATTR { return x[i * kFrom]; };
  // The points at +-p, of which q is the share.
  const auto pair = [&](double p, double q, Doubles* plus, Doubles* minus) HWY_ATTR {
    const Doubles even = hn::MulAdd(hn::Set(d, q * p * p), at(2), hn::Mul(hn::Set(d, q), at(0)));
    const Doubles odd = hn::Mul(hn::Set(d, q * p), at(1));
    *plus = hn::Add(even, odd);
    *minus = hn::Sub(even, odd);
  };
  if constexpr (kOutputs == 1) {
    to[0] = at(0);
  } else if constexpr (kOutputs == 2) {
    to[0 * kTo] = at(0);
    pair(1, 0.5, to + 1 * kTo, to + 2 * kTo);
    to[3 * kTo] = at(2);
  } else {
    to[0 * kTo] = hn::Mul(hn::Set(d, kNearZero), at(0));
    pair(kA, kNearA, to + 1 * kTo, to + 2 * kTo);
    pair(kB, kNearB, to + 3 * kTo, to + 4 * kTo);
    to[5 * kTo] = at(2);
  }
}

// The taps of one column: a vector of rows each.
template <std::size_t kTaps>
HWY_INLINE void LoadTaps(const Weights& weights, const Rows& rows, const float* from, float* taps) {
  if constexpr (kTaps == 9) {
    const bool turned = weights.tap_step == -1;
    if (rows.whole() && (turned || weights.tap_step == 1)) {
      const Tag d;
      const Vector factor = hn::Set(d, weights.factor);
      const float* const lowest = turned ? from - 8 : from;
      // Nine in three times four, of which some are loaded twice: nothing beyond them is read.
      constexpr std::int64_t kFirst[] = {0, 4, 5};
#pragma GCC unroll 3
      for (std::size_t part = 0; part < 3; ++part) {
        const std::int64_t first = kFirst[part];
        Vector four[4];
        LoadColumns(lowest + first, weights.row_step, four);
#pragma GCC unroll 4
        for (std::int64_t i = 0; i < 4; ++i) {
          const std::int64_t tap = turned ? 8 - first - i : first + i;
          hn::Store(hn::Mul(four[i], factor), d, taps + tap * kStep);
        }
      }
      return;
    }
  }
  for (std::size_t tap = 0; tap < kTaps; ++tap, from += weights.tap_step, taps += kStep) {
    CopyRows(weights, from, rows.count, taps);
  }
}

// So many columns before they are written, their places are brought near: a point's are far from
// those of the next.
inline constexpr std::int64_t kColumnsAhead = 8;

template <std::size_t kY, std::size_t kX>
void TransformAll(const Weights& weights, const PackedWeights& to) {
  constexpr std::size_t kTapsY = kY == 1 ? 1 : 3;
  constexpr std::size_t kPointsY = kPointsOf<kY>;
  constexpr std::size_t kPointsX = kPointsOf<kX>;
  const HalfTag half;
  const DoubleTag d;
  HWY_ALIGN float taps[3 * kTapsY * kLanes];
  ForRows(weights, [&](const Rows& rows, const float* from) HWY_ATTR {
    float* out = to.out + rows.first;
    for (std::int64_t column = 0; column < weights.columns;
         ++column, from += weights.column_step, out += to.width) {
      LoadTaps<3 * kTapsY>(weights, rows, from, taps);
      for (std::size_t lane = 0; lane < kLanes; lane += hn::MaxLanes(half)) {
        Doubles x[3 * kTapsY];
#pragma GCC unroll 9
        for (std::size_t tap = 0; tap < 3 * kTapsY; ++tap) {
          x[tap] = hn::PromoteTo(d, hn::Load(half, taps + tap * kLanes + lane));
        }
        Doubles along_y[kPointsY * 3];
#pragma GCC unroll 3
        for (std::size_t i = 0; i < 3; ++i) TransformTaps<kY, 3, 3>(d, x + i, along_y + i);
        float* point = out + lane;
#pragma GCC unroll 6
        for (std::size_t y = 0; y < kPointsY; ++y) {
          Doubles line[kPointsX];
          TransformTaps<kX, 1, 1>(d, along_y + y * 3, line);
#pragma GCC unroll 6
          for (std::size_t i = 0; i < kPointsX; ++i, point += to.plane) {
            if (lane == 0) __builtin_prefetch(point + kColumnsAhead * to.width, 1);
            hn::StoreU(hn::DemoteTo(half, line[i]), half, point);
          }
        }
      }
    }
  });
}

void TransformWeights(WinogradTile tile, const Weights& weights, const PackedWeights& to) {
  if (tile == WinogradTile{1, 2}) return TransformAll<1, 2>(weights, to);
  if (tile == WinogradTile{2, 2}) return TransformAll<2, 2>(weights, to);
  if (tile == WinogradTile{1, 4}) return TransformAll<1, 4>(weights, to);
  HWY_DASSERT((tile == WinogradTile{4, 4}));
  TransformAll<4, 4>(weights, to);
}

}  // namespace HWY_NAMESPACE
}  // namespace octconv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace octconv::kernels {

HWY_EXPORT(PackAll);
HWY_EXPORT(TransformWeights);

void pack_weights(const Weights& weights, const PackedWeights& to) noexcept {
  HWY_DYNAMIC_DISPATCH(PackAll)(weights, to);
}

void transform_weights(WinogradTile tile, const Weights& weights,
                       const PackedWeights& to) noexcept {
  HWY_DYNAMIC_DISPATCH(TransformWeights)(tile, weights, to);
}

}  // namespace octconv::kernels
#endif
