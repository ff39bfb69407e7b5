// SPDX-License-Identifier: Apache-2.0
#include "nn/block_cache.h"

#include <algorithm>
#include <iterator>
#include <new>

#include <sys/mman.h>

namespace octconv::nn {
namespace {

constexpr std::size_t kPage = 4096;

// What is held may exceed the most that was in use by one part in so many: blocks of other sizes
// than those of the step before leave holes, and fresh pages cost more time than an eighth of
// memory is worth.
constexpr std::size_t kSpareShare = 8;

// Addresses, not memory: pages come when they are touched.
constexpr std::size_t kSpace = std::size_t{64} << 30;

std::size_t whole_pages(std::size_t bytes) {
  return (bytes + kPage - 1) / kPage * kPage;
}

}  // namespace

BlockCache::~BlockCache() {
  for (const auto& [begin, bytes] : spaces_) munmap(begin, bytes);
}

void* BlockCache::take(std::size_t bytes) {
  bytes = whole_pages(bytes);
  const std::scoped_lock lock(mutex_);
  auto found = smallest_of(bytes);
  if (found == free_.end()) {
    reserve(bytes);
    found = smallest_of(bytes);
  }
  std::byte* const block = found->first;
  used_.emplace(block, bytes);
  const Range range = remove(found);
  if (range.bytes > bytes) {
    add(block + bytes, {range.bytes - bytes, range.held - std::min(range.held, bytes)});
  }
  used_bytes_ += bytes;
  most_used_ = std::max(most_used_, used_bytes_);
  trim();
  return block;
}

bool BlockCache::give_back(void* block) noexcept {
  const std::scoped_lock lock(mutex_);
  const auto used = used_.find(block);
  if (used == used_.end()) return false;
  auto* begin = static_cast<std::byte*>(block);
  Range range{used->second, used->second};
  used_bytes_ -= range.bytes;
  used_.erase(used);
  const auto after = free_.find(begin + range.bytes);
  if (after != free_.end()) {
    const Range next = remove(after);
    if (next.held > 0) range.held = range.bytes + next.held;
    range.bytes += next.bytes;
  }
  const auto at = free_.lower_bound(begin);
  if (at != free_.begin()) {
    const auto before = std::prev(at);
    if (before->first + before->second.bytes == begin) {
      begin = before->first;
      const Range previous = remove(before);
      range = {previous.bytes + range.bytes, previous.bytes + range.held};
    }
  }
  add(begin, range);
  trim();
  return true;
}

std::size_t BlockCache::in_use() const noexcept {
  const std::scoped_lock lock(mutex_);
  return used_bytes_;
}

std::size_t BlockCache::held() const noexcept {
  const std::scoped_lock lock(mutex_);
  return held_bytes_;
}

// As much address space as the system lets a process have, up to what is plenty.
void BlockCache::reserve(std::size_t bytes) {
  for (std::size_t size = std::max(bytes, kSpace);; size = std::max(bytes, size / 2)) {
    void* space = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, /*fd=*/-1, 0);
    if (space != MAP_FAILED) {
#ifdef MADV_HUGEPAGE
      // Fewer and larger pages, where the system has them: maps and weights are read from afar.
      madvise(space, size, MADV_HUGEPAGE);
#endif
      spaces_.emplace(static_cast<std::byte*>(space), size);
      add(static_cast<std::byte*>(space), {.bytes = size});
      return;
    }
    if (size == bytes) throw std::bad_alloc();
  }
}

BlockCache::Ranges::iterator BlockCache::smallest_of(std::size_t bytes) {
  const auto found = by_size_.lower_bound({bytes, nullptr});
  return found == by_size_.end() ? free_.end() : free_.find(found->second);
}

void BlockCache::add(std::byte* begin, Range range) {
  free_.emplace(begin, range);
  by_size_.emplace(range.bytes, begin);
  held_bytes_ += range.held;
}

BlockCache::Range BlockCache::remove(Ranges::iterator range) {
  const Range removed = range->second;
  by_size_.erase({removed.bytes, range->first});
  held_bytes_ -= removed.held;
  free_.erase(range);
  return removed;
}

// Gives pages back to the system, those of the range that holds most first.
void BlockCache::trim() noexcept {
  while (used_bytes_ + held_bytes_ > most_used_ + most_used_ / kSpareShare) {
    const auto most = std::max_element(
        free_.begin(), free_.end(),
        [](const auto& a, const auto& b) { return a.second.held < b.second.held; });
    madvise(most->first, whole_pages(most->second.held), MADV_DONTNEED);
    held_bytes_ -= most->second.held;
    most->second.held = 0;
  }
}

}  // namespace octconv::nn
