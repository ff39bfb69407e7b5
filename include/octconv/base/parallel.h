// SPDX-License-Identifier: Apache-2.0
// The parallel loop. Only its implementation knows the threading library.
#pragma once

#include <atomic>
#include <cstdint>
#include <type_traits>

#include "octconv/base/api.h"

namespace octconv {

/// Threads that a loop of this thread may use, >= 1: those of its innermost `ParallelScope`
/// (octconv/base/executor.h), else what was set. Starts as the number of processors the process may
/// run on.
[[nodiscard]] OCTCONV_API int thread_count() noexcept;

/// Sets the threads for loops started by any thread from now on, outside of a `ParallelScope`.
/// @throws InvalidArgument unless 1 <= count <= 1024
OCTCONV_API void set_thread_count(int count);

/// What `parallel_for` is made of; not for use by itself.
namespace detail {
/// A loop body that takes what it was given through `context`.
using LoopBody = void (*)(void* context, std::int64_t begin, std::int64_t end);
/// The loop behind `parallel_for`.
OCTCONV_API void run_loop(std::int64_t count, std::int64_t grain, LoopBody body, void* context);
}  // namespace detail

/// Calls `body(begin, end)` on disjoint ranges that cover [0, count), from several threads.
///
/// Ranges hold at least `grain` indices (but the last). With one thread, or one range, the caller's
/// thread does it all and no threading library is touched. Allocates nothing. `body` must not
/// throw.
template <class Body>
void parallel_for(std::int64_t count, std::int64_t grain, Body&& body) {
  using Type = std::remove_reference_t<Body>;
  detail::run_loop(
      count, grain,
      [](void* context, std::int64_t begin, std::int64_t end) {
        (*static_cast<Type*>(context))(begin, end);
      },
      // The lambda above casts back to the very type that was given, const or not.
      const_cast<void*>(static_cast<const void*>(&body)));  // NOLINT(*-const-cast)
}

/// Calls `body(task, slot)` for each of `tasks`, no more than `slots` at a time, each in a slot of
/// its own: the memory that it works in. Whoever is free takes the next task, so that a slow thread
/// holds nobody up. Allocates nothing. `body` must not throw, nor depend on the slot.
template <class Body>
void parallel_tasks(std::int64_t tasks, std::int64_t slots, Body&& body) {
  std::atomic<std::int64_t> next{0};
  parallel_for(slots, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t slot = begin; slot < end; ++slot) {
      for (std::int64_t task = next++; task < tasks; task = next++) body(task, slot);
    }
  });
}

}  // namespace octconv
