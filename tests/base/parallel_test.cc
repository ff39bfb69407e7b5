// SPDX-License-Identifier: Apache-2.0
// The parallel loop gives each index to one call, whatever the threads.
#include "octconv/base/parallel.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <limits>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octconv/base/error.h"
#include "octconv/base/executor.h"

namespace octconv {
namespace {

using Range = std::pair<std::int64_t, std::int64_t>;

class Parallel : public testing::TestWithParam<int> {
 protected:
  Parallel() { set_thread_count(GetParam()); }
  ~Parallel() override { set_thread_count(before_); }

  // The ranges of a loop, sorted.
  static std::vector<Range> ranges(std::int64_t count, std::int64_t grain) {
    std::mutex mutex;
    std::vector<Range> all;
    parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end) {
      const std::lock_guard lock(mutex);
      all.emplace_back(begin, end);
    });
    std::sort(all.begin(), all.end());
    return all;
  }

 private:
  int before_ = thread_count();
};

TEST_P(Parallel, CoversEachIndexOnce) {
  for (const std::int64_t count : {0, 1, 2, 3, 7, 8, 27, 28, 29, 100, 1001}) {
    for (const std::int64_t grain : {0, 1, 2, 3, 64, 5000}) {
      std::int64_t next = 0;
      for (const auto& [begin, end] : ranges(count, grain)) {
        EXPECT_EQ(begin, next) << count << " by " << grain;
        EXPECT_LT(begin, end);
        EXPECT_GE(end - begin, std::min(count, grain));
        next = end;
      }
      EXPECT_EQ(next, count) << count << " by " << grain;
    }
  }
}

TEST_P(Parallel, CoversTheLargestCount) {
  constexpr std::int64_t kCount = std::numeric_limits<std::int64_t>::max();
  const std::vector<Range> all = ranges(kCount, 1);
  std::int64_t next = 0;
  for (const auto& [begin, end] : all) {
    EXPECT_EQ(begin, next);
    next = end;
  }
  EXPECT_EQ(next, kCount);
}

TEST_P(Parallel, WorksInsideItself) {
  constexpr std::int64_t kOuter = 13;
  constexpr std::int64_t kInner = 29;
  std::vector<std::atomic<int>> visits(kOuter * kInner);
  parallel_for(kOuter, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      parallel_for(kInner, 2, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t j = first; j < last; ++j) {
          ++visits[static_cast<std::size_t>(i * kInner + j)];
        }
      });
    }
  });
  for (const std::atomic<int>& count : visits) EXPECT_EQ(count, 1);
}

TEST_P(Parallel, WorksFromSeveralThreadsAtOnce) {
  std::vector<std::int64_t> sums(4);
  std::vector<std::thread> callers;
  for (std::int64_t& sum : sums) {
    callers.emplace_back([&sum] {
      std::atomic<std::int64_t> total = 0;
      parallel_for(1000, 10, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) total += i;
      });
      sum = total;
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_THAT(sums, testing::Each(999 * 1000 / 2));
}

TEST_P(Parallel, UsesNoMoreThreadsThanItWasGiven) {
  std::mutex mutex;
  std::vector<std::thread::id> ids;
  parallel_for(1000, 1, [&](std::int64_t, std::int64_t) {
    const std::lock_guard lock(mutex);
    ids.push_back(std::this_thread::get_id());
  });
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  EXPECT_LE(ids.size(), static_cast<std::size_t>(GetParam()));
  if (GetParam() == 1) {
    EXPECT_THAT(ids, testing::ElementsAre(std::this_thread::get_id()));
  }
}

TEST_P(Parallel, UsesAsManyThreadsAsItWasGiven) {
  // Each call waits until as many calls as there are threads have begun.
  std::mutex mutex;
  std::condition_variable changed;
  int begun = 0;
  bool together = true;
  parallel_for(GetParam(), 1, [&](std::int64_t, std::int64_t) {
    std::unique_lock lock(mutex);
    ++begun;
    changed.notify_all();
    together = changed.wait_for(lock, std::chrono::seconds(20), [&] {
      return begun >= GetParam() || !together;
    }) && together;
  });
  EXPECT_TRUE(together) << begun << " calls were made";
}

TEST_P(Parallel, RunsEachTaskOnce) {
  for (const std::int64_t count : {0, 1, 2, 3, 8, 100}) {
    std::vector<std::atomic<int>> runs(static_cast<std::size_t>(count));
    parallel_tasks(count, 3, [&](std::int64_t task, std::int64_t /*slot*/) {
      ++runs[static_cast<std::size_t>(task)];
    });
    EXPECT_THAT(runs, testing::Each(testing::Eq(1))) << count;
  }
}

TEST_P(Parallel, GivesATaskASlotOfItsOwn) {
  std::array<std::atomic<bool>, 3> taken{};
  std::atomic<bool> shared = false;
  parallel_tasks(60, 3, [&](std::int64_t /*task*/, std::int64_t slot) {
    std::atomic<bool>& mine = taken.at(static_cast<std::size_t>(slot));
    if (mine.exchange(true)) shared = true;
    std::this_thread::sleep_for(std::chrono::microseconds(100));
    mine = false;
  });
  EXPECT_FALSE(shared);
}

INSTANTIATE_TEST_SUITE_P(Threads, Parallel, testing::Values(1, 2, 7));

TEST(ParallelTasks, AreLeftByASlowThreadToTheOthers) {
  const ParallelScope threads(2);
  // One task waits for all others.
  std::atomic<int> done = 0;
  bool all_seen = false;
  parallel_tasks(20, 2, [&](std::int64_t task, std::int64_t /*slot*/) {
    if (task > 0) {
      ++done;
      return;
    }
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (done < 19 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    all_seen = done == 19;
  });
  EXPECT_TRUE(all_seen);
}

TEST(ThreadCount, IsRefusedOutsideItsRange) {
  const int before = thread_count();
  EXPECT_GE(before, 1);
  for (const int count : {0, -1, 1025}) {
    EXPECT_THAT([&] { set_thread_count(count); },
                testing::ThrowsMessage<InvalidArgument>(testing::HasSubstr(std::to_string(count))));
    EXPECT_EQ(thread_count(), before);
  }
  set_thread_count(1024);
  EXPECT_EQ(thread_count(), 1024);
  set_thread_count(before);
}

}  // namespace
}  // namespace octconv
