// SPDX-License-Identifier: Apache-2.0
// The parallel loop on OpenMP.
#include "octconv/base/parallel.h"

#include <algorithm>
#include <atomic>
#include <string>

#include <omp.h>

#include "octconv/base/error.h"

namespace octconv {
namespace {

std::atomic<int>& threads() noexcept {
  static std::atomic<int> count{std::max(1, omp_get_num_procs())};
  return count;
}

}  // namespace

int thread_count() noexcept {
  return threads().load(std::memory_order_relaxed);
}

void set_thread_count(int count) {
  if (count < 1 || count > 1024) {
    throw InvalidArgument("set_thread_count: threads must be in [1, 1024], got " +
                          std::to_string(count));
  }
  threads().store(count, std::memory_order_relaxed);
}

namespace detail {

void run_loop(std::int64_t count, std::int64_t grain, LoopBody body, void* context) {
  if (count <= 0) return;
  const std::int64_t ranges = std::max<std::int64_t>(1, count / std::max<std::int64_t>(1, grain));
  const int workers = static_cast<int>(std::min<std::int64_t>(thread_count(), ranges));
  if (workers == 1) {
    body(context, 0, count);
    return;
  }
  // Four ranges a worker even out their speeds; what a range computes does not depend on who runs
  // it.
  const std::int64_t pieces = std::min<std::int64_t>(ranges, std::int64_t{4} * workers);
  // The first `longer` pieces hold one index more; no product overflows.
  const std::int64_t length = count / pieces;
  const std::int64_t longer = count % pieces;
#pragma omp parallel for num_threads(workers) schedule(dynamic, 1)
  for (std::int64_t piece = 0; piece < pieces; ++piece) {
    const std::int64_t begin = piece * length + std::min(piece, longer);
    body(context, begin, begin + length + (piece < longer ? 1 : 0));
  }
}

}  // namespace detail
}  // namespace octconv
