// SPDX-License-Identifier: Apache-2.0
// Places buffers in one block of memory so that those alive at the same time do not overlap.
#pragma once

#include <cstdint>
#include <vector>

namespace octconv::engine {

/// A buffer that is alive during steps [first, last].
struct Lifetime {
  std::int64_t elements = 0;
  std::size_t first = 0;
  std::size_t last = 0;
};

struct MemoryPlan {
  std::vector<std::int64_t> offsets;  ///< of each buffer, whole cache lines
  std::int64_t elements = 0;          ///< of the block
};

/// Largest first, each at the lowest place that is free for its lifetime.
[[nodiscard]] MemoryPlan plan_memory(const std::vector<Lifetime>& buffers);

}  // namespace octconv::engine
