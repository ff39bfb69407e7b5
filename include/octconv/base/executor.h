// SPDX-License-Identifier: Apache-2.0
// Threads of the caller's own for parallel loops.
#pragma once

#include <cstdint>

#include "octconv/base/api.h"

namespace octconv {

/// Runs the pieces of parallel loops in place of OpenMP, e.g. on the thread pool of a server.
class OCTCONV_API Executor {
 public:
  /// Does one piece: `task(context, piece)`. Does not throw.
  using Task = void (*)(void* context, std::int64_t piece);

  virtual ~Executor();

  /// Pieces that it can run at once, >= 1: for how many threads loops are divided. With 1, loops do
  /// not use it. Does not change while loops run.
  [[nodiscard]] virtual int threads() const noexcept = 0;

  /// Calls `task(context, piece)` once for every piece in [0, pieces), in any order and from any
  /// threads, and returns when all calls have returned; what they wrote is then visible to the
  /// caller. Sessions of several threads may call it at once. Pieces themselves do not call it.
  virtual void run(std::int64_t pieces, Task task, void* context) noexcept = 0;

 protected:
  /// For classes that implement it.
  /// @{
  Executor() = default;
  Executor(const Executor&) = default;
  Executor& operator=(const Executor&) = default;
  /// @}
};

/// While it exists, loops that this thread starts use these threads in place of `thread_count()`.
/// Scopes may be nested: the innermost holds.
class OCTCONV_API ParallelScope {
 public:
  /// Loops use OpenMP with so many threads.
  /// @throws InvalidArgument unless 1 <= threads <= 1024
  explicit ParallelScope(int threads);
  /// Loops use the executor, which must outlive the scope.
  explicit ParallelScope(Executor& executor) noexcept;
  ~ParallelScope();
  ParallelScope(const ParallelScope&) = delete;
  ParallelScope& operator=(const ParallelScope&) = delete;

 private:
  int threads_before_;
  Executor* executor_before_;
};

}  // namespace octconv
