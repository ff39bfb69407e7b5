// SPDX-License-Identifier: Apache-2.0
#include <climits>

#include <malloc.h>

#include "octconv/train/trainer.h"

namespace octconv::train {

void keep_freed_memory() noexcept {
#ifdef __GLIBC__
  // Large blocks come from the heap, not from mappings of their own, and the heap's top is never
  // returned.
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  // Growing in large steps spares system calls while the peak is being reached.
  mallopt(M_TOP_PAD, 64 << 20);
#endif
}

}  // namespace octconv::train
