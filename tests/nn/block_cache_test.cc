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

TEST(BlockCache, HoldsAFreedBlockForRequestsOfAboutItsSize) {
  BlockCache cache;
  void* block = cache.take(kMegabyte);
  EXPECT_EQ(cache.in_use(), kMegabyte);
  EXPECT_TRUE(cache.give_back(block));
  EXPECT_EQ(cache.in_use(), 0U);
  EXPECT_EQ(cache.held(), kMegabyte);
  void* most = cache.take(kMegabyte - kMegabyte / 10);
  EXPECT_EQ(most, block);
  EXPECT_EQ(cache.in_use(), kMegabyte);
  EXPECT_TRUE(cache.give_back(most));
  // Half of it would lie idle. There is no room for both, so the held one goes.
  void* half = cache.take(kMegabyte / 2);
  EXPECT_EQ(cache.in_use(), kMegabyte / 2);
  EXPECT_EQ(cache.held(), 0U);
  EXPECT_TRUE(cache.give_back(half));
}

TEST(BlockCache, GivesTheSmallestBlockThatFits) {
  BlockCache cache;
  std::vector<void*> blocks;
  for (const std::size_t pages : {104U, 100U, 102U}) blocks.push_back(cache.take(pages * kPage));
  for (void* block : blocks) cache.give_back(block);
  EXPECT_EQ(cache.take(101 * kPage), blocks[2]);
  EXPECT_EQ(cache.take(101 * kPage), blocks[0]);
  for (void* block : {blocks[0], blocks[2]}) cache.give_back(block);
}

TEST(BlockCache, DoesNotKnowOthersBlocks) {
  BlockCache cache;
  int other = 0;
  EXPECT_FALSE(cache.give_back(&other));
  void* block = cache.take(1);
  EXPECT_TRUE(cache.give_back(block));
  EXPECT_FALSE(cache.give_back(block));
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
