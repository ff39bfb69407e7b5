// SPDX-License-Identifier: Apache-2.0
// An executor of plain threads, as a caller could write one.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "octconv/base/executor.h"

namespace octconv::testing {

/// Starts its threads anew for each loop and counts the loops.
class PoolExecutor : public Executor {
 public:
  explicit PoolExecutor(int threads) : threads_(threads) {}

  [[nodiscard]] int threads() const noexcept override { return threads_; }
  [[nodiscard]] std::int64_t loops() const { return loops_; }

  void run(std::int64_t pieces, Task task, void* context) noexcept override {
    ++loops_;
    std::atomic<std::int64_t> next = 0;
    std::vector<std::thread> workers;
    for (std::int64_t i = 0; i < std::min<std::int64_t>(threads_, pieces); ++i) {
      workers.emplace_back([&] {
        for (std::int64_t piece = next++; piece < pieces; piece = next++) task(context, piece);
      });
    }
    for (std::thread& worker : workers) worker.join();
  }

 private:
  int threads_;
  std::atomic<std::int64_t> loops_ = 0;
};

/// Does the pieces in the caller's thread, the last one first.
class BackwardExecutor : public Executor {
 public:
  [[nodiscard]] int threads() const noexcept override { return 3; }

  void run(std::int64_t pieces, Task task, void* context) noexcept override {
    while (pieces-- > 0) task(context, pieces);
  }
};

}  // namespace octconv::testing
