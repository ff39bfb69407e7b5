// SPDX-License-Identifier: Apache-2.0
#include "image/resample.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "image/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "image/resample.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h, which chooses the target.
#include "hwy/highway.h"

#ifndef OCTCONV_IMAGE_RESAMPLE_AXIS
#define OCTCONV_IMAGE_RESAMPLE_AXIS
namespace octconv::image {

// How the pixels of an axis are made: each is the sum of `taps` others from first[i] on, times
// weights[i * taps ...]. All taps are inside.
struct Axis {
  std::int64_t taps = 0;
  std::vector<std::int64_t> first;
  std::vector<float> weights;
};

// Vertically first: a row of floats, from which the pixels of a result row are made.
struct Job {
  Levels from;
  Axis rows;
  Axis columns;
  std::array<float, 3> scale{};
  std::array<float, 3> offset{};
};

}  // namespace octconv::image
#endif

HWY_BEFORE_NAMESPACE();
namespace octconv::image {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Tag = hn::ScalableTag<float>;
using Vector = hn::Vec<Tag>;

constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(Tag()));

HWY_INLINE Vector Converted(const std::uint8_t* from) {
  const hn::Rebind<std::uint8_t, Tag> bytes;
  const hn::Rebind<std::int32_t, Tag> integers;
  return hn::ConvertTo(Tag(), hn::PromoteTo(integers, hn::LoadU(bytes, from)));
}

// to[i] = sum over taps of weight[t] * row t [i]. `kTaps` is their number, or 0 if it is only known
// at run time. Products are added in the order of taps, without a fused addition, which not every
// instruction set has.
template <std::int64_t kTaps>
HWY_INLINE void SumRows(const std::uint8_t* rows, std::ptrdiff_t pitch, const float* weights,
                        std::int64_t count, std::int64_t values, float* to) {
  const Tag d;
  const std::int64_t taps = kTaps == 0 ? count : kTaps;
  const auto sum_at = [&](std::int64_t i) HWY_ATTR {
    Vector sum = hn::Mul(hn::Set(d, weights[0]), Converted(rows + i));
    for (std::int64_t t = 1; t < taps; ++t)
      sum = hn::Add(sum, hn::Mul(hn::Set(d, weights[t]), Converted(rows + t * pitch + i)));
    hn::StoreU(sum, d, to + i);
  };
  if (values < kLanes) {
    for (std::int64_t i = 0; i < values; ++i) {
      float sum = weights[0] * static_cast<float>(rows[i]);
      for (std::int64_t t = 1; t < taps; ++t)
        sum += weights[t] * static_cast<float>(rows[t * pitch + i]);
      to[i] = sum;
    }
    return;
  }
  std::int64_t i = 0;
  for (; i + kLanes <= values; i += kLanes) sum_at(i);
  if (i < values) sum_at(values - kLanes);  // some once more
}

// The channels of a pixel lie in one vector, where there are vectors: of four, for pixels of three.
template <std::int64_t kChannels>
inline constexpr std::int64_t kTogether = kChannels == 3 && HWY_TARGET != HWY_SCALAR ? 4 : 1;

template <std::int64_t kChannels>
using PixelTag = hn::FixedTag<float, static_cast<std::size_t>(kTogether<kChannels>)>;

// The pixels of a row of results, stored by `Out`.
template <std::int64_t kTaps, std::int64_t kChannels, class Out>
HWY_INLINE void SumColumns(const float* row, const Axis& axis, const Out& out,
                           typename Out::Value* to) {
  const PixelTag<kChannels> d;
  const std::int64_t taps = kTaps == 0 ? axis.taps : kTaps;
  const auto width = static_cast<std::int64_t>(axis.first.size());
  const auto store = [&](std::int64_t x, typename Out::Value* pixel) HWY_ATTR {
    const float* weights = axis.weights.data() + x * taps;
    for (std::int64_t c = 0; c < kChannels; c += kTogether<kChannels>) {
      const float* from = row + axis.first[static_cast<std::size_t>(x)] * kChannels + c;
      auto sum = hn::Mul(hn::Set(d, weights[0]), hn::LoadU(d, from));
      for (std::int64_t t = 1; t < taps; ++t)
        sum = hn::Add(sum, hn::Mul(hn::Set(d, weights[t]), hn::LoadU(d, from + t * kChannels)));
      out.Store(sum, c, pixel);
    }
  };
  // A fourth value is stored with a pixel of three, and the next pixel replaces it; not the last.
  for (std::int64_t x = 0; x < width - 1; ++x, to += kChannels) store(x, to);
  typename Out::Value last[4];
  store(width - 1, last);
  std::memcpy(to, last, kChannels * sizeof(*to));
}

template <std::int64_t kChannels>
struct ToLevels {
  using Value = std::uint8_t;
  using D = PixelTag<kChannels>;

  explicit HWY_INLINE ToLevels(const Job&) {}
  HWY_INLINE void Store(hn::Vec<D> sum, std::int64_t channel, std::uint8_t* pixel) const {
    const hn::Rebind<std::uint8_t, D> bytes;
    hn::StoreU(hn::DemoteTo(bytes, hn::NearestInt(sum)), bytes, pixel + channel);
  }
};

template <std::int64_t kChannels>
struct ToFloats {
  using Value = float;
  using D = PixelTag<kChannels>;

  explicit HWY_INLINE ToFloats(const Job& job) {
    float lanes[2][4]{};
    std::copy(job.scale.begin(), job.scale.end(), lanes[0]);
    std::copy(job.offset.begin(), job.offset.end(), lanes[1]);
    for (std::int64_t c = 0; c < kChannels; c += kTogether<kChannels>) {
      scale[c / kTogether<kChannels>] = hn::LoadU(D(), lanes[0] + c);
      offset[c / kTogether<kChannels>] = hn::LoadU(D(), lanes[1] + c);
    }
  }
  HWY_INLINE void Store(hn::Vec<D> sum, std::int64_t channel, float* pixel) const {
    const D d;
    const std::int64_t at = channel / kTogether<kChannels>;
    const auto level = hn::ConvertTo(d, hn::NearestInt(sum));
    hn::StoreU(hn::Add(hn::Mul(level, scale[at]), offset[at]), d, pixel + channel);
  }

  hn::Vec<D> scale[3];
  hn::Vec<D> offset[3];
};

template <std::int64_t kChannels, class Out>
HWY_INLINE void ResampleInto(const Job& job, typename Out::Value* to) {
  const Levels& from = job.from;
  const Out out(job);
  const std::int64_t values = from.width * kChannels;
  // Vectors of four are read for pixels of three.
  std::vector<float> row(static_cast<std::size_t>(values) + 1);
  const std::int64_t pitch = static_cast<std::int64_t>(job.columns.first.size()) * kChannels;
  for (std::size_t y = 0; y < job.rows.first.size(); ++y, to += pitch) {
    const std::int64_t taps = job.rows.taps;
    const std::uint8_t* first = from.first + job.rows.first[y] * from.pitch_bytes;
    const float* weights = job.rows.weights.data() + static_cast<std::int64_t>(y) * taps;
    switch (taps) {
      case 2:
        SumRows<2>(first, from.pitch_bytes, weights, taps, values, row.data());
        break;
      case 3:
        SumRows<3>(first, from.pitch_bytes, weights, taps, values, row.data());
        break;
      default:
        SumRows<0>(first, from.pitch_bytes, weights, taps, values, row.data());
    }
    switch (job.columns.taps) {
      case 2:
        SumColumns<2, kChannels>(row.data(), job.columns, out, to);
        break;
      case 3:
        SumColumns<3, kChannels>(row.data(), job.columns, out, to);
        break;
      default:
        SumColumns<0, kChannels>(row.data(), job.columns, out, to);
    }
  }
}

void ResampleLevels(const Job& job, std::uint8_t* to) {
  if (job.from.channels == 3) {
    ResampleInto<3, ToLevels<3>>(job, to);
  } else {
    ResampleInto<1, ToLevels<1>>(job, to);
  }
}

void ResampleFloats(const Job& job, float* to) {
  if (job.from.channels == 3) {
    ResampleInto<3, ToFloats<3>>(job, to);
  } else {
    ResampleInto<1, ToFloats<1>>(job, to);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace octconv::image
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace octconv::image {
namespace {

HWY_EXPORT(ResampleLevels);
HWY_EXPORT(ResampleFloats);

// Of the pixels [first, end) with those weights, all others 0.
void set_taps(Axis& axis, std::size_t at, std::int64_t from, std::int64_t first,
              const std::vector<double>& weights) {
  axis.first[at] = std::min(first, from - axis.taps);
  float* to = axis.weights.data() + static_cast<std::int64_t>(at) * axis.taps;
  for (std::size_t t = 0; t < weights.size(); ++t)
    to[first - axis.first[at] + static_cast<std::int64_t>(t)] = static_cast<float>(weights[t]);
}

// In units of 1 / to of a pixel: pixel p covers [p * to, (p + 1) * to), and the mean is of
// [i * from, (i + 1) * from).
void average(Axis& axis, std::int64_t from, std::int64_t to) {
  const auto first_of = [&](std::int64_t i) { return i * from / to; };
  const auto end_of = [&](std::int64_t i) { return ((i + 1) * from + to - 1) / to; };
  for (std::int64_t i = 0; i < to; ++i) axis.taps = std::max(axis.taps, end_of(i) - first_of(i));
  axis.weights.resize(static_cast<std::size_t>(to * axis.taps));
  std::vector<double> shares;
  for (std::int64_t i = 0; i < to; ++i) {
    shares.clear();
    for (std::int64_t p = first_of(i); p < end_of(i); ++p) {
      const std::int64_t share =
          std::min((p + 1) * to, (i + 1) * from) - std::max(p * to, i * from);
      shares.push_back(static_cast<double>(share) / static_cast<double>(from));
    }
    set_taps(axis, static_cast<std::size_t>(i), from, first_of(i), shares);
  }
}

// The centre of result i is at ((2 i + 1) * from - to) / (2 * to) among the centres of the pixels.
void interpolate(Axis& axis, std::int64_t from, std::int64_t to) {
  axis.taps = std::min<std::int64_t>(from, 2);
  axis.weights.resize(static_cast<std::size_t>(to * axis.taps));
  std::vector<double> shares;
  for (std::int64_t i = 0; i < to; ++i) {
    const std::int64_t at =
        std::clamp<std::int64_t>((2 * i + 1) * from - to, 0, 2 * to * (from - 1));
    const std::int64_t first = at / (2 * to);
    const double beyond = static_cast<double>(at % (2 * to)) / static_cast<double>(2 * to);
    shares.assign({1 - beyond});
    if (beyond > 0) shares.push_back(beyond);
    set_taps(axis, static_cast<std::size_t>(i), from, first, shares);
  }
}

Axis axis_of(std::int64_t from, std::int64_t to) {
  Axis axis;
  axis.first.resize(static_cast<std::size_t>(to));
  if (to <= from) {
    average(axis, from, to);
  } else {
    interpolate(axis, from, to);
  }
  return axis;
}

void mirror(Axis& axis) {
  const std::size_t count = axis.first.size();
  const auto taps = static_cast<std::size_t>(axis.taps);
  std::reverse(axis.first.begin(), axis.first.end());
  for (std::size_t i = 0; i < count / 2; ++i) {
    std::swap_ranges(&axis.weights[i * taps], &axis.weights[i * taps] + taps,
                     &axis.weights[(count - 1 - i) * taps]);
  }
}

Job job_of(const Levels& from, std::int64_t height, std::int64_t width) {
  return {
      .from = from, .rows = axis_of(from.height, height), .columns = axis_of(from.width, width)};
}

}  // namespace

void resample(const Levels& from, std::int64_t height, std::int64_t width, std::uint8_t* to) {
  HWY_DYNAMIC_DISPATCH(ResampleLevels)(job_of(from, height, width), to);
}

void resample(const Levels& from, std::int64_t height, std::int64_t width,
              const Rescaling& rescaling, float* to) {
  Job job = job_of(from, height, width);
  if (rescaling.mirrored) mirror(job.columns);
  job.scale = rescaling.scale;
  job.offset = rescaling.offset;
  HWY_DYNAMIC_DISPATCH(ResampleFloats)(job, to);
}

}  // namespace octconv::image
#endif
