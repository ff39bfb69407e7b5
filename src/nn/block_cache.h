// SPDX-License-Identifier: Apache-2.0
// Large blocks of memory, kept when they are freed and given out again.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>

namespace octconv::nn {

/// Blocks from address space of its own: each from the smallest free range that holds it, and free
/// ranges side by side are one. Pages stay when their block is freed; what is in use and what is
/// held together never exceed the most that was ever in use at once by more than an eighth.
///
/// So a training step, which asks for the same sizes in the same order as the one before, gets no
/// fresh pages, and the process is hardly larger than its tensors once were: a heap would be, by
/// the small blocks that lie between large ones. May be called from any thread.
class BlockCache {
 public:
  BlockCache() = default;
  /// Blocks that were not given back go too.
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
  /// Bytes that are free and may have pages.
  [[nodiscard]] std::size_t held() const noexcept;

 private:
  struct Range {
    std::size_t bytes = 0;
    std::size_t held = 0;  // from its beginning: beyond, no page was touched
  };
  using Ranges = std::map<std::byte*, Range>;

  void reserve(std::size_t bytes);
  Ranges::iterator smallest_of(std::size_t bytes);
  void add(std::byte* begin, Range range);
  Range remove(Ranges::iterator range);
  void trim() noexcept;

  mutable std::mutex mutex_;
  std::unordered_map<void*, std::size_t> used_;
  Ranges free_;  // no two side by side
  std::set<std::pair<std::size_t, std::byte*>> by_size_;
  std::map<std::byte*, std::size_t> spaces_;  // what was reserved
  std::size_t used_bytes_ = 0;
  std::size_t held_bytes_ = 0;
  std::size_t most_used_ = 0;
};

}  // namespace octconv::nn
