// SPDX-License-Identifier: Apache-2.0
// Softmax in one pass over the keys: sums are kept relative to the largest score so far and scaled
// down when a larger one comes, so that no row of scores is stored.
//
// Source: Milakov, Gimelshein, "Online normalizer calculation for softmax", 2018
// (https://arxiv.org/abs/1805.02867).
#include "kernels/attention.h"

#include <algorithm>
#include <limits>

#include "kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/attention.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h, which chooses the target.
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace octconv::kernels {
namespace HWY_NAMESPACE {

// Scores that are turned into shares at once.
inline constexpr std::int64_t kBlock = 64;

HWY_INLINE float Dot(const float* a, const float* b, std::int64_t count) {
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(Tag()));
  const Tag d;
  Vector sum = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    sum = hn::MulAdd(hn::LoadU(d, a + i), hn::LoadU(d, b + i), sum);
  }
  if (i < count) {
    const auto left = static_cast<std::size_t>(count - i);
    sum = hn::MulAdd(LoadPart(d, a + i, left), LoadPart(d, b + i, left), sum);
  }
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

// exp(x) for x <= 0, or NaN.
HWY_INLINE Vector Share(Tag d, Vector x) {
  const Vector result = hn::Exp(d, hn::Max(x, hn::Set(d, -87.0F)));
  return hn::IfThenElse(hn::Eq(x, x), hn::IfThenElseZero(hn::Ge(x, hn::Set(d, -87.0F)), result), x);
}

HWY_INLINE float ShareOf(float x) {
  return hn::GetLane(Share(Tag(), hn::Set(Tag(), x)));
}

// out = out * keep + sum of shares[p] * values[p]
HWY_INLINE void Accumulate(const float* shares, const float* values, std::int64_t count,
                           std::int64_t width, float keep, float* out) {
  const Tag d;
  ForChannelVectors(width, [&](std::int64_t c, auto access) HWY_ATTR {
    Vector sum = hn::Mul(access.Load(out + c), hn::Set(d, keep));
    const float* from = values + c;
    for (std::int64_t p = 0; p < count; ++p, from += width) {
      sum = hn::MulAdd(hn::Set(d, shares[p]), access.Load(from), sum);
    }
    access.Store(sum, out + c);
  });
}

void AttendRows(const AttentionRows& all, std::int64_t begin, std::int64_t end) {
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(Tag()));
  const Tag d;
  HWY_ALIGN float scores[kBlock + HWY_MAX_BYTES / sizeof(float)];
  for (std::int64_t q = begin; q < end; ++q) {
    const float* query = all.queries + q * all.channels;
    float* out = all.out + q * all.width;
    std::fill_n(out, all.width, 0.0F);
    float most = -std::numeric_limits<float>::infinity();
    float sum = 0;
    for (std::int64_t first = 0; first < all.positions; first += kBlock) {
      const std::int64_t count = std::min(kBlock, all.positions - first);
      float top = most;
      for (std::int64_t p = 0; p < count; ++p) {
        scores[p] = all.factor * Dot(query, all.keys + (first + p) * all.channels, all.channels);
        top = std::max(top, scores[p]);
      }
      for (std::int64_t p = 0; p < count; p += kLanes) {
        hn::StoreU(Share(d, hn::Sub(hn::LoadU(d, scores + p), hn::Set(d, top))), d, scores + p);
      }
      const float keep = first == 0 ? 0.0F : ShareOf(most - top);
      sum *= keep;
      for (std::int64_t p = 0; p < count; ++p) sum += scores[p];
      Accumulate(scores, all.values + first * all.width, count, all.width, keep, out);
      most = top;
    }
    const float factor = 1.0F / sum;
    for (std::int64_t c = 0; c < all.width; ++c) out[c] *= factor;
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace octconv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace octconv::kernels {

HWY_EXPORT(AttendRows);

void attention(const AttentionRows& rows, std::int64_t begin, std::int64_t end) noexcept {
  HWY_DYNAMIC_DISPATCH(AttendRows)(rows, begin, end);
}

}  // namespace octconv::kernels
#endif
