// SPDX-License-Identifier: Apache-2.0
#include "kernels/pool.h"

#include <algorithm>
#include <type_traits>

#include "kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/pool.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h, which chooses the target.
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace octconv::kernels {
namespace HWY_NAMESPACE {

// Window pixels that are combined at once. A larger window is combined in several steps through the
// output.
inline constexpr std::size_t kGroup = 16;

struct Group {
  std::array<const float*, kGroup> rows;
  std::size_t count = 0;
};

// A map as it is, and through its prologue: what loads the channels from `c` on of a pixel.
struct ReadAsIs {
  template <class Access>
  HWY_INLINE auto at(std::int64_t c, Access access) const {
    return [=](const float* pixel) HWY_ATTR { return access.Load(pixel + c); };
  }
};

struct ReadThrough {
  Prologue prologue;

  template <class Access>
  HWY_INLINE auto at(std::int64_t c, Access access) const {
    const PrologueLanes through(prologue, c, access);
    return [=](const float* pixel) HWY_ATTR { return through(access.Load(pixel + c)); };
  }
};

template <PoolKind kKind>
HWY_INLINE Vector Combine(Vector a, Vector b) {
  if constexpr (kKind != PoolKind::kMax) {
    return hn::Add(a, b);
  } else {
    // The comparison with a NaN is false, also that of NaN with itself.
    const auto b_wins = hn::Not(hn::Le(b, a));
    const auto a_is_number = hn::Eq(a, a);
    return hn::IfThenElse(hn::And(b_wins, a_is_number), b, a);
  }
}

// out[c] = factor * combination of the group's rows, and of `out` unless it is the window's first
// group. `kCount` is the number of rows, or 0 if it is only known at run time.
template <PoolKind kKind, std::size_t kCount, class Read>
HWY_INLINE void CombineRows(const Group& group, bool first, float factor, std::int64_t channels,
                            const Read& read, float* out) {
  const Tag d;
  const std::size_t count = kCount == 0 ? group.count : kCount;
  const Vector scale = hn::Set(d, factor);
  ForChannelVectors(channels, [&](std::int64_t c, auto access) HWY_ATTR {
    const auto load = read.at(c, access);
    Vector value = load(group.rows[0]);
#pragma GCC unroll 4
    for (std::size_t i = 1; i < count; ++i) value = Combine<kKind>(value, load(group.rows[i]));
    if (!first) value = Combine<kKind>(access.Load(out + c), value);
    access.Store(kKind == PoolKind::kAverage ? hn::Mul(value, scale) : value, out + c);
  });
}

template <PoolKind kKind, class Read>
HWY_INLINE void Flush(Group& group, bool first, float factor, std::int64_t channels,
                      const Read& read, float* out) {
  if (group.count == 4) {
    CombineRows<kKind, 4>(group, first, factor, channels, read, out);
  } else {
    CombineRows<kKind, 0>(group, first, factor, channels, read, out);
  }
  group.count = 0;
}

struct Range {
  std::int64_t begin;
  std::int64_t end;
};

template <PoolKind kKind, class Read>
void Rows(const PoolRows& all, const Read& read, std::int64_t begin, std::int64_t end) {
  const auto window = [&](std::size_t axis, std::int64_t at) {
    const std::int64_t from = at * all.stride[axis] - all.padding[axis];
    return Range{std::max<std::int64_t>(from, 0), std::min(from + all.kernel[axis], all.in[axis])};
  };
  for (std::int64_t row = begin; row < end; ++row) {
    const std::int64_t image = row / (all.extents[0] * all.extents[1]);
    const Range z = window(0, row / all.extents[1] % all.extents[0]);
    const Range y = window(1, row % all.extents[1]);
    float* out = all.out + row * all.extents[2] * all.pitch;
    for (std::int64_t at = 0; at < all.extents[2]; ++at, out += all.pitch) {
      const Range x = window(2, at);
      const std::int64_t size = (z.end - z.begin) * (y.end - y.begin) * (x.end - x.begin);
      const float mean_factor = 1.0F / static_cast<float>(size);
      Group group;
      std::int64_t taken = 0;
      for (std::int64_t iz = z.begin; iz < z.end; ++iz) {
        for (std::int64_t iy = y.begin; iy < y.end; ++iy) {
          const float* src =
              all.src +
              (((image * all.in[0] + iz) * all.in[1] + iy) * all.in[2] + x.begin) * all.pitch;
          for (std::int64_t ix = x.begin; ix < x.end; ++ix, src += all.pitch) {
            group.rows[group.count++] = src;
            ++taken;
            if (group.count == kGroup || taken == size) {
              const bool first = taken <= static_cast<std::int64_t>(kGroup);
              Flush<kKind>(group, first, taken == size ? mean_factor : 1.0F, all.channels, read,
                           out);
            }
          }
        }
      }
    }
  }
}

// Whether it may read what lies beyond the channels: a prologue has no more than these.
template <class Read>
inline constexpr bool kReadsBeyond = std::is_same_v<Read, ReadAsIs>;

// `count` cells of 2 x 2 pixels side by side, from the first of two rows on; at a far edge they may
// have one row, or one column. What a part of a vector holds beyond the channels is the next
// pixel's: it is read for nothing, and written over by the next cell.
template <PoolKind kKind, std::int64_t kHeight, std::int64_t kWidth, class Read>
void Cells(const float* top, std::int64_t row, std::int64_t channels, std::int64_t count,
           const Read& read, float* out) {
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(Tag()));
  const Tag d;
  const Vector share = hn::Set(d, 1.0F / static_cast<float>(kHeight * kWidth));
  const auto combine = [&](std::int64_t c, auto access) HWY_ATTR {
    const auto load = read.at(c, access);
    Vector sum = load(top);
    if constexpr (kWidth == 2) sum = hn::Add(sum, load(top + channels));
    if constexpr (kHeight == 2) sum = hn::Add(sum, load(top + row));
    if constexpr (kHeight == 2 && kWidth == 2) sum = hn::Add(sum, load(top + row + channels));
    return kKind == PoolKind::kAverage ? hn::Mul(sum, share) : sum;
  };
  for (std::int64_t cell = 0; cell < count; ++cell) {
    std::int64_t c = 0;
    for (; c + kLanes <= channels; c += kLanes) {
      hn::StoreU(combine(c, WholeVector()), d, out + c);
    }
    if (c < channels) {
      if (kReadsBeyond<Read> && (count - 1 - cell) * channels >= kLanes) {
        hn::StoreU(combine(c, WholeVector()), d, out + c);
      } else {
        const PartVector part{static_cast<std::size_t>(channels - c)};
        part.Store(combine(c, part), out + c);
      }
    }
    top += kWidth * channels;
    out += channels;
  }
}

// Cells of 2 x 2 pixels without gaps: the averages and sums between the two grids of octave values.
bool AreCells(const PoolRows& all) {
  const Extents3 cell{1, 2, 2};
  return all.kernel == cell && all.stride == cell && all.padding == Extents3{} &&
         all.pitch == all.channels && all.in[0] == all.extents[0] &&
         (all.in[1] + 1) / 2 == all.extents[1] && (all.in[2] + 1) / 2 == all.extents[2];
}

template <PoolKind kKind, class Read>
void CellRows(const PoolRows& all, const Read& read, std::int64_t begin, std::int64_t end) {
  const std::int64_t channels = all.channels;
  const std::int64_t width = all.in[2] * channels;
  const std::int64_t whole = all.in[2] / 2;
  const bool odd = all.in[2] % 2 != 0;
  for (std::int64_t row = begin; row < end; ++row) {
    const std::int64_t y = row % all.extents[1] * 2;
    const float* top = all.src + (row / all.extents[1] * all.in[1] + y) * width;
    float* out = all.out + row * all.extents[2] * channels;
    const float* const last = top + whole * 2 * channels;
    float* const last_out = out + whole * channels;
    if (y + 1 < all.in[1]) {
      Cells<kKind, 2, 2>(top, width, channels, whole, read, out);
      if (odd) Cells<kKind, 2, 1>(last, width, channels, 1, read, last_out);
    } else {
      Cells<kKind, 1, 2>(top, width, channels, whole, read, out);
      if (odd) Cells<kKind, 1, 1>(last, width, channels, 1, read, last_out);
    }
  }
}

template <PoolKind kKind, class Read>
void AllRows(const PoolRows& all, const Read& read, std::int64_t begin, std::int64_t end) {
  if constexpr (kKind != PoolKind::kMax) {
    if (AreCells(all)) return CellRows<kKind>(all, read, begin, end);
  }
  Rows<kKind>(all, read, begin, end);
}

void Pool(const PoolRows& rows, std::int64_t begin, std::int64_t end) {
  switch (rows.kind) {
    case PoolKind::kMax:
      AllRows<PoolKind::kMax>(rows, ReadAsIs(), begin, end);
      break;
    case PoolKind::kAverage:
      if (rows.prologue) {
        AllRows<PoolKind::kAverage>(rows, ReadThrough{rows.prologue}, begin, end);
      } else {
        AllRows<PoolKind::kAverage>(rows, ReadAsIs(), begin, end);
      }
      break;
    case PoolKind::kSum:
      AllRows<PoolKind::kSum>(rows, ReadAsIs(), begin, end);
      break;
  }
}

void GlobalAverage(const float* src, std::int64_t pixels, std::int64_t stride,
                   std::int64_t channels, float* out) {
  const Tag d;
  const Vector factor = hn::Set(d, 1.0F / static_cast<float>(pixels));
  ForChannelVectors(channels, [&](std::int64_t c, auto access) HWY_ATTR {
    // Four sums hide the latency of an addition, and lose less to rounding than one.
    Vector sums[4] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
    const float* const first = src + c;
    std::int64_t p = 0;
    for (; p + 4 <= pixels; p += 4) {
#pragma GCC unroll 4
      for (std::int64_t i = 0; i < 4; ++i) {
        sums[i] = hn::Add(sums[i], access.Load(first + (p + i) * stride));
      }
    }
    for (; p < pixels; ++p) sums[0] = hn::Add(sums[0], access.Load(first + p * stride));
    const Vector sum = hn::Add(hn::Add(sums[0], sums[1]), hn::Add(sums[2], sums[3]));
    access.Store(hn::Mul(sum, factor), out + c);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace octconv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace octconv::kernels {

HWY_EXPORT(Pool);
HWY_EXPORT(GlobalAverage);

void pool(const PoolRows& rows, std::int64_t begin, std::int64_t end) noexcept {
  HWY_DYNAMIC_DISPATCH(Pool)(rows, begin, end);
}

void global_average(const float* src, std::int64_t pixels, std::int64_t stride,
                    std::int64_t channels, float* out) noexcept {
  HWY_DYNAMIC_DISPATCH(GlobalAverage)(src, pixels, stride, channels, out);
}

}  // namespace octconv::kernels
#endif
