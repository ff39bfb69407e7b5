// SPDX-License-Identifier: Apache-2.0
// The parallel loop on OpenMP, or on the caller's own threads.
#include "octconv/base/parallel.h"

#include <algorithm>
#include <atomic>
#include <string>

#include <omp.h>

#include "octconv/base/error.h"
#include "octconv/base/executor.h"

namespace octconv {
namespace {

std::atomic<int>& threads() noexcept {
  static std::atomic<int> count{std::max(1, omp_get_num_procs())};
  return count;
}

void check_threads(int count, const char* who) {
  if (count < 1 || count > 1024) {
    throw InvalidArgument(std::string(who) + ": threads must be in [1, 1024], got " +
                          std::to_string(count));
  }
}

// What the innermost scope of this thread says; 0 threads: none.
thread_local int scope_threads = 0;
thread_local Executor* scope_executor = nullptr;

// A loop's ranges. The first `longer` of them hold one index more; no product overflows.
struct Loop {
  std::int64_t length;
  std::int64_t longer;
  detail::LoopBody body;
  void* context;

  void run(std::int64_t piece) const {
    const std::int64_t begin = piece * length + std::min(piece, longer);
    body(context, begin, begin + length + (piece < longer ? 1 : 0));
  }
};

// A loop inside a piece runs in the piece's thread: an executor need not bear being called by
// itself.
void run_piece(void* loop, std::int64_t piece) {
  const ParallelScope serial(1);
  static_cast<const Loop*>(loop)->run(piece);
}

}  // namespace

Executor::~Executor() = default;

ParallelScope::ParallelScope(int threads)
    : threads_before_(scope_threads), executor_before_(scope_executor) {
  check_threads(threads, "ParallelScope");
  scope_threads = threads;
  scope_executor = nullptr;
}

ParallelScope::ParallelScope(Executor& executor) noexcept
    : threads_before_(scope_threads), executor_before_(scope_executor) {
  scope_threads = std::max(1, executor.threads());
  scope_executor = &executor;
}

ParallelScope::~ParallelScope() {
  scope_threads = threads_before_;
  scope_executor = executor_before_;
}

int thread_count() noexcept {
  return scope_threads > 0 ? scope_threads : threads().load(std::memory_order_relaxed);
}

void set_thread_count(int count) {
  check_threads(count, "set_thread_count");
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
  Loop loop{.length = count / pieces, .longer = count % pieces, .body = body, .context = context};
  if (scope_executor != nullptr) {
    scope_executor->run(pieces, run_piece, &loop);
    return;
  }
#pragma omp parallel for num_threads(workers) schedule(dynamic, 1)
  for (std::int64_t piece = 0; piece < pieces; ++piece) loop.run(piece);
}

}  // namespace detail
}  // namespace octconv
