// SPDX-License-Identifier: Apache-2.0
#include "kernels/pointwise.h"

#include "kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/pointwise.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h, which chooses the target.
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace octconv::kernels {
namespace HWY_NAMESPACE {

// out[i] = function(i, load), where `load` reads the elements of an array that belong to i.
template <class Function>
HWY_INLINE void ForVectors(std::int64_t count, float* out, Function function) {
  ForChannelVectors(count, [&](std::int64_t i, auto access) HWY_ATTR {
    access.Store(function([&](const float* from) HWY_ATTR { return access.Load(from + i); }),
                 out + i);
  });
}

void ScaleShift(const float* src, std::int64_t pixels, std::int64_t channels, const float* scale,
                const float* shift, Activation activation, float* out) {
  const Tag d;
  for (std::int64_t p = 0; p < pixels; ++p, src += channels, out += channels) {
    ForVectors(channels, out, [&](auto load) HWY_ATTR {
      return Activate(d, hn::MulAdd(load(src), load(scale), load(shift)), activation);
    });
  }
}

void ScaleChannels(const float* src, std::int64_t pixels, std::int64_t channels, const float* scale,
                   float* out) {
  for (std::int64_t p = 0; p < pixels; ++p, src += channels, out += channels) {
    ForVectors(channels, out, [&](auto load) HWY_ATTR { return hn::Mul(load(src), load(scale)); });
  }
}

void AddVectors(const float* a, const float* b, std::int64_t count, Activation activation,
                float* out) {
  const Tag d;
  ForVectors(count, out, [&](auto load) HWY_ATTR {
    return Activate(d, hn::Add(load(a), load(b)), activation);
  });
}

void MultiplyVectors(const float* a, const float* b, std::int64_t count, Activation activation,
                     float* out) {
  const Tag d;
  ForVectors(count, out, [&](auto load) HWY_ATTR {
    return Activate(d, hn::Mul(load(a), load(b)), activation);
  });
}

void ActivateVectors(const float* src, std::int64_t count, Activation activation, float* out) {
  const Tag d;
  ForVectors(count, out, [&](auto load) HWY_ATTR { return Activate(d, load(src), activation); });
}

}  // namespace HWY_NAMESPACE
}  // namespace octconv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace octconv::kernels {

HWY_EXPORT(ScaleShift);
HWY_EXPORT(ScaleChannels);
HWY_EXPORT(AddVectors);
HWY_EXPORT(MultiplyVectors);
HWY_EXPORT(ActivateVectors);

void scale_shift(const float* src, std::int64_t pixels, std::int64_t channels, const float* scale,
                 const float* shift, Activation activation, float* out) noexcept {
  HWY_DYNAMIC_DISPATCH(ScaleShift)(src, pixels, channels, scale, shift, activation, out);
}

void scale(const float* src, std::int64_t pixels, std::int64_t channels, const float* scale,
           float* out) noexcept {
  HWY_DYNAMIC_DISPATCH(ScaleChannels)(src, pixels, channels, scale, out);
}

void add(const float* a, const float* b, std::int64_t count, Activation activation,
         float* out) noexcept {
  HWY_DYNAMIC_DISPATCH(AddVectors)(a, b, count, activation, out);
}

void multiply(const float* a, const float* b, std::int64_t count, Activation activation,
              float* out) noexcept {
  HWY_DYNAMIC_DISPATCH(MultiplyVectors)(a, b, count, activation, out);
}

void activate(const float* src, std::int64_t count, Activation activation, float* out) noexcept {
  HWY_DYNAMIC_DISPATCH(ActivateVectors)(src, count, activation, out);
}

}  // namespace octconv::kernels
#endif
