// SPDX-License-Identifier: Apache-2.0
#include "engine/memory.h"

#include <algorithm>
#include <numeric>

namespace octconv::engine {
namespace {

constexpr std::int64_t kLine = 16;  // floats of one cache line

}  // namespace

MemoryPlan plan_memory(const std::vector<Lifetime>& buffers) {
  std::vector<std::size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return buffers[a].elements > buffers[b].elements;
  });
  const auto size = [&](std::size_t i) {
    return (buffers[i].elements + kLine - 1) / kLine * kLine;
  };

  MemoryPlan plan{.offsets = std::vector<std::int64_t>(buffers.size(), 0)};
  std::vector<std::size_t> placed;  // by offset
  for (const std::size_t buffer : order) {
    std::int64_t offset = 0;
    for (const std::size_t other : placed) {
      const bool together = buffers[other].first <= buffers[buffer].last &&
                            buffers[buffer].first <= buffers[other].last;
      if (!together) continue;
      if (offset + size(buffer) <= plan.offsets[other]) break;
      offset = std::max(offset, plan.offsets[other] + size(other));
    }
    plan.offsets[buffer] = offset;
    plan.elements = std::max(plan.elements, offset + size(buffer));
    placed.insert(std::upper_bound(placed.begin(), placed.end(), buffer,
                                   [&](std::size_t a, std::size_t b) {
                                     return plan.offsets[a] < plan.offsets[b];
                                   }),
                  buffer);
  }
  return plan;
}

}  // namespace octconv::engine
