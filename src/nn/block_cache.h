// SPDX-License-Identifier: Apache-2.0
// Large blocks of memory, kept when they are freed and given out again.
#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <mutex>
#include <unordered_map>

namespace octconv::nn {

/// Blocks from the system's pages. A freed block is held for the next request of about its size;
/// what is in use and what is held together never exceed the most that was ever in use at once by
/// more than an eighth.
///
/// So a training step, which asks for the same sizes as the one before, gets no fresh pages, and
/// the process is no larger than its tensors once were: a heap would be, by the holes between
/// tensors of many sizes. May be called from any thread.
class BlockCache {
 public:
  BlockCache() = default;
  ~BlockCache();
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;

  /// At least `bytes` (>= 1) on a page boundary.
  /// @throws std::bad_alloc if the system has no more
  void* take(std::size_t bytes);
  /// Returns a block; false if it is not one of this cache's.
  bool give_back(void* block) noexcept;

  /// Bytes of blocks in use.
  [[nodiscard]] std::size_t in_use() const noexcept;
  /// Bytes of blocks that are held for later.
  [[nodiscard]] std::size_t held() const noexcept;

 private:
  struct Held {
    void* block;
    std::size_t bytes;
  };

  void* find_held(std::size_t bytes);
  void release_oldest() noexcept;

  mutable std::mutex mutex_;
  std::unordered_map<void*, std::size_t> used_;
  std::list<Held> held_;  // the oldest first
  std::multimap<std::size_t, std::list<Held>::iterator> by_size_;
  std::size_t used_bytes_ = 0;
  std::size_t held_bytes_ = 0;
  std::size_t most_used_ = 0;
};

}  // namespace octconv::nn
