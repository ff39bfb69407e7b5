// SPDX-License-Identifier: Apache-2.0
#include "kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "peak.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <chrono>
#include <cstddef>

#include "peak.h"

HWY_BEFORE_NAMESPACE();
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

constexpr std::size_t kSums = 12;  // as many as two units with a latency of six cycles need

// `steps` multiply-adds on each of `kSums` sums, which begin with `values` (all different: the
// compiler would make equal ones once) and are stored there. Returns the floating-point operations.
double MultiplyAdds(std::size_t steps, float* values) {
  const hn::ScalableTag<float> d;
  const auto factor = hn::Set(d, 0.5F);
  auto a = hn::Set(d, values[0]), b = hn::Set(d, values[1]), c = hn::Set(d, values[2]);
  auto e = hn::Set(d, values[3]), f = hn::Set(d, values[4]), g = hn::Set(d, values[5]);
  auto h = hn::Set(d, values[6]), i = hn::Set(d, values[7]), j = hn::Set(d, values[8]);
  auto k = hn::Set(d, values[9]), l = hn::Set(d, values[10]), m = hn::Set(d, values[11]);
  for (std::size_t step = 0; step < steps; ++step) {
    a = hn::MulAdd(a, factor, factor);
    b = hn::MulAdd(b, factor, factor);
    c = hn::MulAdd(c, factor, factor);
    e = hn::MulAdd(e, factor, factor);
    f = hn::MulAdd(f, factor, factor);
    g = hn::MulAdd(g, factor, factor);
    h = hn::MulAdd(h, factor, factor);
    i = hn::MulAdd(i, factor, factor);
    j = hn::MulAdd(j, factor, factor);
    k = hn::MulAdd(k, factor, factor);
    l = hn::MulAdd(l, factor, factor);
    m = hn::MulAdd(m, factor, factor);
  }
  const auto all = {a, b, c, e, f, g, h, i, j, k, l, m};
  std::size_t place = 0;
  for (const auto& sum : all) values[place++] = hn::GetLane(sum);
  return 2.0 * static_cast<double>(kSums * steps * hn::Lanes(d));
}

}  // namespace HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
HWY_EXPORT(MultiplyAdds);

double peak_gflops() {
  constexpr std::size_t kSteps = 1'000'000;
  constexpr int kRounds = 20;
  double best = 0;
  for (int round = 0; round < kRounds; ++round) {
    volatile float seed = 1;  // not known to the compiler
    float values[12];
    for (int i = 0; i < 12; ++i) values[i] = seed * static_cast<float>(i);
    const auto begin = std::chrono::steady_clock::now();
    const double operations = HWY_DYNAMIC_DISPATCH(MultiplyAdds)(kSteps, values);
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
    best = std::max(best, 1e-9 * operations / time.count());
  }
  return best;
}
#endif
