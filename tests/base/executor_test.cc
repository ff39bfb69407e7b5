// SPDX-License-Identifier: Apache-2.0
// Loops run where their thread's scope says, and OpenMP is not touched unless it has to be.
#include "octconv/base/executor.h"

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <omp.h>

#include "octconv/base/error.h"
#include "octconv/base/parallel.h"
#include "support/pool_executor.h"

namespace octconv {
namespace {

using testing::BackwardExecutor;
using testing::PoolExecutor;

constexpr std::int64_t kCount = 103;

// How often each index was visited, and the deepest level of OpenMP's regions that a visit saw.
struct Visits {
  std::vector<std::atomic<int>> counts = std::vector<std::atomic<int>>(kCount);
  std::atomic<int> level = 0;
};

void visit(Visits& visits) {
  parallel_for(kCount, 1, [&](std::int64_t begin, std::int64_t end) {
    if (omp_get_level() > 0) visits.level = omp_get_level();
    for (std::int64_t i = begin; i < end; ++i) ++visits.counts[static_cast<std::size_t>(i)];
  });
}

TEST(ParallelScope, GivesEachIndexToTheExecutorOnce) {
  PoolExecutor pool(3);
  BackwardExecutor backward;
  for (Executor* executor : std::vector<Executor*>{&pool, &backward}) {
    const ParallelScope scope(*executor);
    EXPECT_EQ(thread_count(), 3);
    Visits visits;
    visit(visits);
    for (const std::atomic<int>& count : visits.counts) EXPECT_EQ(count, 1);
    EXPECT_EQ(visits.level, 0);
  }
  EXPECT_EQ(pool.loops(), 1);
}

TEST(ParallelScope, OpensNoRegionOfOpenMpForOneThread) {
  const ParallelScope scope(1);
  Visits visits;
  visit(visits);
  EXPECT_EQ(visits.level, 0);
}

TEST(ParallelScope, UsesOpenMpForSeveralThreads) {
  const ParallelScope scope(2);
  Visits visits;
  visit(visits);
  for (const std::atomic<int>& count : visits.counts) EXPECT_EQ(count, 1);
  EXPECT_EQ(visits.level, 1);
}

TEST(ParallelScope, DoesNotUseAnExecutorOfOneThread) {
  PoolExecutor pool(1);
  const ParallelScope scope(pool);
  Visits visits;
  visit(visits);
  for (const std::atomic<int>& count : visits.counts) EXPECT_EQ(count, 1);
  EXPECT_EQ(pool.loops(), 0);
}

TEST(ParallelScope, RunsALoopInsideAPieceInThePiecesThread) {
  PoolExecutor pool(2);
  const ParallelScope scope(pool);
  std::atomic<int> elsewhere = 0;
  std::atomic<std::int64_t> sum = 0;
  parallel_for(4, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::thread::id here = std::this_thread::get_id();
      parallel_for(kCount, 1, [&](std::int64_t first, std::int64_t last) {
        if (std::this_thread::get_id() != here) ++elsewhere;
        sum += last - first;
      });
    }
  });
  EXPECT_EQ(elsewhere, 0);
  EXPECT_EQ(sum, 4 * kCount);
  EXPECT_EQ(pool.loops(), 1);
}

TEST(ParallelScope, HoldsForItsThreadUntilItEnds) {
  const int before = thread_count();
  PoolExecutor pool(5);
  {
    const ParallelScope outer(7);
    EXPECT_EQ(thread_count(), 7);
    {
      const ParallelScope inner(pool);
      EXPECT_EQ(thread_count(), 5);
    }
    EXPECT_EQ(thread_count(), 7);
    int other = 0;
    std::thread([&] { other = thread_count(); }).join();
    EXPECT_EQ(other, before);
  }
  EXPECT_EQ(thread_count(), before);
}

TEST(ParallelScope, RefusesOtherCounts) {
  for (const int count : {0, -1, 1025}) {
    EXPECT_THAT(
        [&] { const ParallelScope scope(count); },
        ::testing::ThrowsMessage<InvalidArgument>(::testing::HasSubstr(std::to_string(count))));
  }
}

}  // namespace
}  // namespace octconv
