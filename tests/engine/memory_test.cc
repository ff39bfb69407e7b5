// SPDX-License-Identifier: Apache-2.0
#include "engine/memory.h"

#include <gtest/gtest.h>

#include "octconv/base/random.h"

namespace octconv::engine {
namespace {

TEST(MemoryPlan, SeparatesBuffersThatAreAliveTogether) {
  Random random(1);
  for (int round = 0; round < 50; ++round) {
    std::vector<Lifetime> buffers;
    std::int64_t sum = 0;
    for (int i = 0; i < 40; ++i) {
      const std::size_t first = random.below(20);
      buffers.push_back({.elements = static_cast<std::int64_t>(random.below(200)),
                         .first = first,
                         .last = first + random.below(6)});
      sum += (buffers.back().elements + 15) / 16 * 16;
    }
    const MemoryPlan plan = plan_memory(buffers);
    EXPECT_LE(plan.elements, sum);
    for (std::size_t a = 0; a < buffers.size(); ++a) {
      EXPECT_EQ(plan.offsets[a] % 16, 0);
      EXPECT_LE(plan.offsets[a] + buffers[a].elements, plan.elements);
      for (std::size_t b = 0; b < a; ++b) {
        const bool together =
            buffers[a].first <= buffers[b].last && buffers[b].first <= buffers[a].last;
        const bool apart = plan.offsets[a] + buffers[a].elements <= plan.offsets[b] ||
                           plan.offsets[b] + buffers[b].elements <= plan.offsets[a];
        EXPECT_TRUE(!together || apart) << a << " and " << b;
      }
    }
  }
}

TEST(MemoryPlan, ReusesTheMemoryOfBuffersThatAreDone) {
  const MemoryPlan plan = plan_memory({{.elements = 100, .first = 0, .last = 1},
                                       {.elements = 100, .first = 1, .last = 2},
                                       {.elements = 100, .first = 2, .last = 3},
                                       {.elements = 100, .first = 3, .last = 4}});
  EXPECT_EQ(plan.elements, 2 * 112);
}

}  // namespace
}  // namespace octconv::engine
