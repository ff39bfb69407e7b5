// SPDX-License-Identifier: Apache-2.0
#include "workflow/limits.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

#include "kernels/limits.h"
#include "octconv/base/parallel.h"
#include "octconv/tensor/tensor.h"

namespace octconv::workflow {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kTrials = 9;
constexpr std::int64_t kRounds = 4'000'000;  // about 10 ms
// Beyond the last-level cache of any processor that a network runs on.
constexpr std::int64_t kFloats = std::int64_t{96} << 20;

// `work()` returns an amount; amounts per nanosecond.
template <class Work>
double best_rate(const Work& work) {
  double best = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    const Clock::time_point begin = Clock::now();
    const auto amount = static_cast<double>(work());
    const double ns = std::chrono::duration<double, std::nano>(Clock::now() - begin).count();
    best = std::max(best, amount / ns);
  }
  return best;
}

}  // namespace

MachineLimits measure_limits(int threads) {
  std::atomic<float> sink{0.5F};  // what is computed must be wanted by somebody
  MachineLimits limits;
  limits.macs_per_ns = best_rate([&] {
    std::atomic<std::int64_t> all{0};
    parallel_for(threads, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        float value = sink.load();
        all += kernels::multiply_add_registers(kRounds, value);
        sink = value;
      }
    });
    return all.load();
  });
  Tensor data(Shape{kFloats});
  std::fill(data.values().begin(), data.values().end(), 1e-9F);
  limits.bytes_per_ns = best_rate([&] {
    parallel_for(threads, 1, [&](std::int64_t begin, std::int64_t end) {
      const std::int64_t first = kFloats * begin / threads;
      sink = kernels::read_all(data.data() + first, kFloats * end / threads - first);
    });
    return kFloats * static_cast<std::int64_t>(sizeof(float));
  });
  return limits;
}

}  // namespace octconv::workflow
