// SPDX-License-Identifier: Apache-2.0
#include "nn/memory.h"

#include <atomic>
#include <climits>

#include <c10/core/CPUAllocator.h>
#include <malloc.h>

#include "nn/block_cache.h"

namespace octconv::nn {
namespace {

// Never destroyed: tensors may outlive main.
BlockCache& cache() {
  static auto* const cache = new BlockCache;
  return *cache;
}

// LibTorch's own allocator for small tensors, the cache for large ones.
class TensorMemory final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) const override {
    constexpr std::size_t kLarge = 256 << 10;
    if (bytes < kLarge) return c10::GetDefaultCPUAllocator()->allocate(bytes);
    void* block = cache().take(bytes);
    return {block, block, &give_back, c10::DeviceType::CPU};
  }

  c10::DeleterFnPtr raw_deleter() const override { return &give_back; }

 private:
  static void give_back(void* block) {
    if (!cache().give_back(block)) c10::GetDefaultCPUAllocator()->raw_deallocate(block);
  }
};

std::atomic<bool> decided = false;

}  // namespace

void keep_freed_memory(bool keep) noexcept {
  decided = true;
  if (!keep) return;
  static auto* const memory = new TensorMemory;
  c10::SetCPUAllocator(memory);
#ifdef __GLIBC__
  // What convolutions need to work in comes from the C library: from its heap, not from mappings
  // of its own, and the heap's top is never returned.
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
#endif
}

void keep_freed_memory_unless_told() noexcept {
  if (!decided.exchange(true)) keep_freed_memory();
}

}  // namespace octconv::nn
