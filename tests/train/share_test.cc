// SPDX-License-Identifier: Apache-2.0
#include "train/share.h"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

namespace octconv::train {
namespace {

TEST(Share, EveryPositionIsOfOneRankAndSharesAreEven) {
  for (const bool mirrored : {false, true}) {
    for (std::int64_t size = 1; size <= 5; ++size) {
      for (std::int64_t count = 0; count <= 23; ++count) {
        std::vector<std::int64_t> all;
        std::set<std::size_t> counts;
        for (std::int64_t rank = 0; rank < size; ++rank) {
          const std::vector<std::int64_t> share = share_of(count, rank, size, mirrored);
          EXPECT_TRUE(std::is_sorted(share.begin(), share.end()));
          all.insert(all.end(), share.begin(), share.end());
          counts.insert(share.size());
        }
        std::sort(all.begin(), all.end());
        ASSERT_EQ(all.size(), static_cast<std::size_t>(count));
        for (std::int64_t i = 0; i < count; ++i) EXPECT_EQ(all[static_cast<std::size_t>(i)], i);
        EXPECT_LE(*counts.rbegin() - *counts.begin(), mirrored ? 2U : 1U);
      }
    }
  }
}

TEST(Share, ReversingMirroredSharesReversesTheWhole) {
  for (std::int64_t size = 1; size <= 5; ++size) {
    for (std::int64_t count = 1; count <= 23; ++count) {
      for (std::int64_t rank = 0; rank < size; ++rank) {
        const std::vector<std::int64_t> share = share_of(count, rank, size, true);
        for (std::size_t i = 0; i < share.size(); ++i) {
          EXPECT_EQ(share[share.size() - 1 - i], count - 1 - share[i]);
        }
      }
    }
  }
}

TEST(Share, OfBatchesIsThatOfEachBatch) {
  const std::vector<std::int64_t> order{10, 11, 12, 13, 14, 15};
  EXPECT_EQ(share_of_batches(order, 3, {0, 2}), (std::vector<std::int64_t>{10, 12, 13, 15}));
}

}  // namespace
}  // namespace octconv::train
