// SPDX-License-Identifier: Apache-2.0
#include "kernels/limits.h"

#include "kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/limits.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h, which chooses the target.
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace octconv::kernels {
namespace HWY_NAMESPACE {

// Enough of them to hide the latency of an FMA in any processor, few enough for 16 registers.
inline constexpr std::size_t kChains = 12;
inline constexpr std::size_t kLanes = hn::MaxLanes(Tag());

std::int64_t MultiplyAddRegisters(std::int64_t rounds, float& sink) {
  const Tag d;
  const Vector factor = hn::Set(d, 0.999F);
  const Vector term = hn::Set(d, sink);
  Vector chains[kChains];
#pragma GCC unroll 12
  for (std::size_t i = 0; i < kChains; ++i) chains[i] = hn::Set(d, static_cast<float>(i));
  for (std::int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (std::size_t i = 0; i < kChains; ++i) chains[i] = hn::MulAdd(chains[i], factor, term);
  }
  Vector sum = hn::Zero(d);
#pragma GCC unroll 12
  for (std::size_t i = 0; i < kChains; ++i) sum = hn::Add(sum, chains[i]);
  sink = hn::GetLane(sum);
  return rounds * std::int64_t{kChains * kLanes};
}

float ReadAll(const float* data, std::int64_t count) {
  constexpr std::int64_t kStreams = 4;
  constexpr auto kStep = kStreams * std::int64_t{kLanes};
  const Tag d;
  Vector sums[kStreams] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
  std::int64_t i = 0;
  for (; i + kStep <= count; i += kStep) {
#pragma GCC unroll 4
    for (std::int64_t s = 0; s < kStreams; ++s) {
      sums[s] = hn::Add(sums[s], hn::LoadU(d, data + i + s * std::int64_t{kLanes}));
    }
  }
  float rest =
      hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(sums[0], sums[1]), hn::Add(sums[2], sums[3]))));
  for (; i < count; ++i) rest += data[i];
  return rest;
}

}  // namespace HWY_NAMESPACE
}  // namespace octconv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace octconv::kernels {

HWY_EXPORT(MultiplyAddRegisters);
HWY_EXPORT(ReadAll);

std::int64_t multiply_add_registers(std::int64_t rounds, float& sink) noexcept {
  return HWY_DYNAMIC_DISPATCH(MultiplyAddRegisters)(rounds, sink);
}

float read_all(const float* data, std::int64_t count) noexcept {
  return HWY_DYNAMIC_DISPATCH(ReadAll)(data, count);
}

}  // namespace octconv::kernels
#endif
