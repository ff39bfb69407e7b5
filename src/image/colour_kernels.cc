// SPDX-License-Identifier: Apache-2.0
#include "image/colour_kernels.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "image/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "image/colour_kernels.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h, which chooses the target.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace octconv::image {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Tag = hn::ScalableTag<float>;
using Vector = hn::Vec<Tag>;
using Integers = hn::RebindToSigned<Tag>;

constexpr std::size_t kLanes = hn::MaxLanes(Tag());

// So many greys are below 2^31 parts.
constexpr std::size_t kSums = 256;

struct Pixels {
  Vector red;
  Vector green;
  Vector blue;
};

HWY_INLINE Pixels Load(const float* from) {
  Pixels pixels;
  hn::LoadInterleaved3(Tag(), from, pixels.red, pixels.green, pixels.blue);
  return pixels;
}

HWY_INLINE Vector Grey(const Pixels& pixels) {
  const Tag d;
  const Vector red = hn::Mul(hn::Set(d, 0.299F), pixels.red);
  const Vector green = hn::Mul(hn::Set(d, 0.587F), pixels.green);
  const Vector blue = hn::Mul(hn::Set(d, 0.114F), pixels.blue);
  return hn::Add(hn::Add(red, green), blue);
}

HWY_INLINE Vector Cut(Vector level) {
  const Tag d;
  return hn::Min(hn::Max(level, hn::Zero(d)), hn::Set(d, 255.0F));
}

HWY_INLINE void Change(Pixels& pixels, const ColourStep* steps, std::size_t count) {
  const Tag d;
  for (const ColourStep* step = steps; step != steps + count; ++step) {
    const Vector factor = hn::Set(d, step->factor);
    Vector rest = hn::Set(d, step->constant);
    if (step->grey != 0) rest = hn::Add(rest, hn::Mul(hn::Set(d, step->grey), Grey(pixels)));
    pixels.red = Cut(hn::Add(hn::Mul(factor, pixels.red), rest));
    pixels.green = Cut(hn::Add(hn::Mul(factor, pixels.green), rest));
    pixels.blue = Cut(hn::Add(hn::Mul(factor, pixels.blue), rest));
  }
}

// Of the first `count` of the lanes.
HWY_INLINE std::int64_t SumOf(hn::Vec<Integers> sums, std::size_t count) {
  HWY_ALIGN std::int32_t lanes[kLanes];
  hn::Store(sums, Integers(), lanes);
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += lanes[i];
  return sum;
}

std::int64_t GreyParts(const float* pixels, std::size_t count, const ColourStep* steps,
                       std::size_t step_count) {
  const Integers integers;
  const auto parts = [&](const float* from) HWY_ATTR {
    Pixels some = Load(from);
    Change(some, steps, step_count);
    return hn::NearestInt(hn::Mul(hn::Set(Tag(), float{kGreyParts}), Grey(some)));
  };
  std::int64_t total = 0;
  std::size_t i = 0;
  while (i + kLanes <= count) {
    const std::size_t end = std::min(count, i + kSums * kLanes);
    auto sums = hn::Zero(integers);
    for (; i + kLanes <= end; i += kLanes) sums = hn::Add(sums, parts(pixels + 3 * i));
    total += SumOf(sums, kLanes);
  }
  if (i < count) {
    float some[3 * kLanes] = {};
    std::copy(pixels + 3 * i, pixels + 3 * count, some);
    total += SumOf(parts(some), count - i);
  }
  return total;
}

void ChangeColours(float* pixels, std::size_t count, const ColourStep* steps,
                   std::size_t step_count, const float* scale, const float* offset) {
  const Tag d;
  const auto change = [&](float* at) HWY_ATTR {
    Pixels some = Load(at);
    Change(some, steps, step_count);
    const auto rescaled = [&](Vector level, std::size_t c) HWY_ATTR {
      return hn::Add(hn::Mul(level, hn::Set(d, scale[c])), hn::Set(d, offset[c]));
    };
    hn::StoreInterleaved3(rescaled(some.red, 0), rescaled(some.green, 1), rescaled(some.blue, 2), d,
                          at);
  };
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) change(pixels + 3 * i);
  if (i < count) {
    float some[3 * kLanes] = {};
    std::copy(pixels + 3 * i, pixels + 3 * count, some);
    change(some);
    std::copy(some, some + 3 * (count - i), pixels + 3 * i);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace octconv::image
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace octconv::image {
namespace {

HWY_EXPORT(GreyParts);
HWY_EXPORT(ChangeColours);

}  // namespace

float mean_grey(std::span<const float> pixels, std::span<const ColourStep> steps) {
  const std::size_t count = pixels.size() / 3;
  const std::int64_t parts =
      HWY_DYNAMIC_DISPATCH(GreyParts)(pixels.data(), count, steps.data(), steps.size());
  return static_cast<float>(static_cast<double>(parts) / kGreyParts / static_cast<double>(count));
}

void change_colours(std::span<float> pixels, std::span<const ColourStep> steps,
                    const std::array<float, 3>& scale, const std::array<float, 3>& offset) {
  HWY_DYNAMIC_DISPATCH(ChangeColours)
  (pixels.data(), pixels.size() / 3, steps.data(), steps.size(), scale.data(), offset.data());
}

}  // namespace octconv::image
#endif
