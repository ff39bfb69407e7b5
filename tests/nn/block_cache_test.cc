// SPDX-License-Identifier: Apache-2.0
#include "nn/block_cache.h"

#include <algorithm>
#include <cstdint>
#include <thread>
#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "octconv/base/random.h"
#include "octconv/nn/memory.h"

namespace octconv::nn {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kMegabyte = 256 * kPage;

TEST(BlockCache, GivesAFreedBlockOutAgainWithItsPages) {
  BlockCache cache;
  auto* block = static_cast<unsigned char*>(cache.take(kMegabyte));
  block[kMegabyte - 1] = 3;
  EXPECT_EQ(cache.in_use(), kMegabyte);
  EXPECT_TRUE(cache.give_back(block));
  EXPECT_EQ(cache.in_use(), 0U);
  EXPECT_EQ(cache.held(), kMegabyte);
  EXPECT_EQ(cache.take(kMegabyte / 2), block);
  EXPECT_EQ(cache.in_use(), kMegabyte / 2);
  EXPECT_EQ(cache.held(), kMegabyte / 2);
  EXPECT_EQ(cache.take(kMegabyte / 2), block + kMegabyte / 2);
  EXPECT_EQ(block[kMegabyte - 1], 3);  // the very page
  EXPECT_EQ(cache.held(), 0U);
}

TEST(BlockCache, TakesTheSmallestRangeThatFits) {
  BlockCache cache;
  std::vector<void*> blocks;
  for (const std::size_t pages : {104U, 1U, 100U, 1U, 102U, 1U}) {
    blocks.push_back(cache.take(pages * kPage));
  }
  for (const std::size_t i : {0U, 2U, 4U}) cache.give_back(blocks[i]);
  EXPECT_EQ(cache.take(101 * kPage), blocks[4]);
  EXPECT_EQ(cache.take(101 * kPage), blocks[0]);
}

TEST(BlockCache, MakesOneRangeOfNeighbours) {
  BlockCache cache;
  std::vector<void*> blocks;
  for (int i = 0; i < 5; ++i) blocks.push_back(cache.take(10 * kPage));
  for (const std::size_t i : {1U, 3U, 2U}) cache.give_back(blocks[i]);
  EXPECT_EQ(cache.held(), 30 * kPage);
  EXPECT_EQ(cache.take(30 * kPage), blocks[1]);
  EXPECT_EQ(cache.held(), 0U);
}

// Two steps of a training take blocks of many sizes and give them back in the other order: the
// second gets the same ones.
TEST(BlockCache, TouchesNoFreshPagesInTheSecondOfTwoSteps) {
  BlockCache cache;
  const auto step = [&] {
    Random random(3);
    std::vector<void*> kept;
    std::size_t most = 0;
    for (int i = 0; i < 200; ++i) {
      void* passing = cache.take((1 + random.below(90)) * kPage);
      kept.push_back(cache.take((1 + random.below(90)) * kPage));
      most = std::max(most, cache.in_use() + cache.held());
      cache.give_back(passing);
    }
    while (!kept.empty()) {
      cache.give_back(kept.back());
      kept.pop_back();
      void* gradient = cache.take((1 + random.below(40)) * kPage);
      most = std::max(most, cache.in_use() + cache.held());
      cache.give_back(gradient);
    }
    return most;
  };
  const std::size_t first = step();
  EXPECT_EQ(cache.held(), first);  // nothing went back to the system
  EXPECT_EQ(step(), first);
}

TEST(BlockCache, DoesNotKnowOthersBlocks) {
  BlockCache cache;
  int other = 0;
  EXPECT_FALSE(cache.give_back(&other));
  void* block = cache.take(1);
  EXPECT_TRUE(cache.give_back(block));
  EXPECT_FALSE(cache.give_back(block));
}

TEST(BlockCache, GivesBackWhatNoBlockNeedsAnyMore) {
  BlockCache cache;
  std::vector<void*> holes;
  std::vector<void*> between;
  for (int i = 0; i < 16; ++i) {
    holes.push_back(cache.take(2 * kMegabyte));
    between.push_back(cache.take(kPage));
  }
  for (void* hole : holes) cache.give_back(hole);
  EXPECT_GE(cache.held(), 32 * kMegabyte);
  // It fits into no hole, and there is no room for it beside all of them.
  auto* large = static_cast<unsigned char*>(cache.take(8 * kMegabyte));
  large[0] = 1;
  EXPECT_LE(cache.in_use() + cache.held(), 36 * kMegabyte + 32 * kPage);
  EXPECT_GE(cache.held(), 24 * kMegabyte);
}

// Random requests: blocks are on page boundaries and apart from each other, and what is held stays
// within an eighth of the most that was in use.
TEST(BlockCache, NeverHoldsMuchMoreThanWasEverInUse) {
  Random random(7);
  BlockCache cache;
  struct Block {
    unsigned char* data;
    std::size_t bytes;
    unsigned char mark;
  };
  std::vector<Block> blocks;
  std::size_t most = 0;
  for (int i = 0; i < 3000; ++i) {
    if (!blocks.empty() && random.below(2) == 0) {
      const std::size_t at = random.below(blocks.size());
      EXPECT_EQ(blocks[at].data[0], blocks[at].mark);
      EXPECT_EQ(blocks[at].data[blocks[at].bytes - 1], blocks[at].mark);
      EXPECT_TRUE(cache.give_back(blocks[at].data));
      blocks.erase(blocks.begin() + static_cast<std::ptrdiff_t>(at));
    } else {
      const std::size_t bytes = 1 + random.below(64 * kPage);
      auto* data = static_cast<unsigned char*>(cache.take(bytes));
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(data) % kPage, 0U);
      const auto mark = static_cast<unsigned char>(random.below(256));
      std::fill(data, data + bytes, mark);
      blocks.push_back({data, bytes, mark});
    }
    most = std::max(most, cache.in_use());
    ASSERT_LE(cache.in_use() + cache.held(), most + most / 8);
  }
  for (const Block& block : blocks) cache.give_back(block.data);
}

TEST(BlockCache, ServesThreads) {
  BlockCache cache;
  std::vector<std::thread> threads;
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    threads.emplace_back([&cache, seed] {
      Random random(seed);
      for (int i = 0; i < 500; ++i) {
        const std::size_t bytes = 1 + random.below(32 * kPage);
        auto* data = static_cast<unsigned char*>(cache.take(bytes));
        std::fill(data, data + bytes, static_cast<unsigned char>(seed));
        EXPECT_TRUE(std::all_of(data, data + bytes, [&](unsigned char x) { return x == seed; }));
        EXPECT_TRUE(cache.give_back(data));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(cache.in_use(), 0U);
}

TEST(KeepFreedMemory, GivesTheNextTensorTheMemoryOfTheLast) {
  keep_freed_memory();
  const void* freed = at::empty({1, 300, 301}, at::kFloat).data_ptr();
  const at::Tensor next = at::zeros({301, 300}, at::kFloat);
  EXPECT_EQ(next.data_ptr(), freed);
  EXPECT_EQ(next.abs().max().item<float>(), 0);
  // Small tensors and resized ones work as ever.
  at::Tensor small = at::ones({3});
  small.resize_({1000, 1000});
  EXPECT_EQ(small[0][2].item<float>(), 1);
}

}  // namespace
}  // namespace octconv::nn
