// SPDX-License-Identifier: Apache-2.0
#include "nn/block_cache.h"

#include <algorithm>
#include <new>

#include <sys/mman.h>

namespace octconv::nn {
namespace {

constexpr std::size_t kPage = 4096;

// What is held may exceed the most that was in use by one part in so many: sizes differ from those
// of the step before, and fresh pages cost more time than an eighth of memory is worth.
constexpr std::size_t kSpareShare = 8;

std::size_t whole_pages(std::size_t bytes) {
  return (bytes + kPage - 1) / kPage * kPage;
}

}  // namespace

BlockCache::~BlockCache() {
  while (!held_.empty()) release_oldest();
}

void* BlockCache::take(std::size_t bytes) {
  bytes = whole_pages(bytes);
  const std::scoped_lock lock(mutex_);
  if (void* block = find_held(bytes)) return block;
  most_used_ = std::max(most_used_, used_bytes_ + bytes);
  const std::size_t most = most_used_ + most_used_ / kSpareShare;
  while (!held_.empty() && used_bytes_ + bytes + held_bytes_ > most) release_oldest();
  void* block =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, /*fd=*/-1, 0);
  if (block == MAP_FAILED) throw std::bad_alloc();
  used_.emplace(block, bytes);
  used_bytes_ += bytes;
  return block;
}

bool BlockCache::give_back(void* block) noexcept {
  const std::scoped_lock lock(mutex_);
  const auto used = used_.find(block);
  if (used == used_.end()) return false;
  const std::size_t bytes = used->second;
  used_.erase(used);
  used_bytes_ -= bytes;
  held_bytes_ += bytes;
  by_size_.emplace(bytes, held_.insert(held_.end(), {block, bytes}));
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

// The smallest held block that is large enough, unless an eighth of it would lie idle.
void* BlockCache::find_held(std::size_t bytes) {
  constexpr std::size_t kIdleShare = 8;
  const auto found = by_size_.lower_bound(bytes);
  if (found == by_size_.end() || found->first > bytes + bytes / kIdleShare) return nullptr;
  const Held held = *found->second;
  held_.erase(found->second);
  by_size_.erase(found);
  held_bytes_ -= held.bytes;
  used_.emplace(held.block, held.bytes);
  used_bytes_ += held.bytes;
  most_used_ = std::max(most_used_, used_bytes_);
  return held.block;
}

void BlockCache::release_oldest() noexcept {
  const Held oldest = held_.front();
  const auto [first, last] = by_size_.equal_range(oldest.bytes);
  by_size_.erase(
      std::find_if(first, last, [&](const auto& entry) { return entry.second == held_.begin(); }));
  held_.pop_front();
  held_bytes_ -= oldest.bytes;
  munmap(oldest.block, oldest.bytes);
}

}  // namespace octconv::nn
