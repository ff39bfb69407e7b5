// SPDX-License-Identifier: Apache-2.0
#include "nn/memory.h"

#include <atomic>
#include <climits>

#include <malloc.h>

namespace octconv::nn {
namespace {

std::atomic<bool> decided = false;

}  // namespace

void keep_freed_memory(bool keep) noexcept {
  decided = true;
  if (!keep) return;
#ifdef __GLIBC__
  // Large blocks come from the heap, not from mappings of their own, and the heap's top is never
  // returned.
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  // Growing in large steps spares system calls while the peak is being reached.
  mallopt(M_TOP_PAD, 64 << 20);
#endif
}

void keep_freed_memory_unless_told() noexcept {
  if (!decided.exchange(true)) keep_freed_memory();
}

}  // namespace octconv::nn
