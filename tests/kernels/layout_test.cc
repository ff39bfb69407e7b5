// SPDX-License-Identifier: Apache-2.0
// Transposition, element by element.
#include "kernels/layout.h"

#include <vector>

#include <gtest/gtest.h>

#include "support/random_values.h"
#include "support/targets.h"

namespace octconv::kernels {
namespace {

using LayoutTest = octconv::testing::TargetTest;

TEST_P(LayoutTest, MovesEveryElementOfTheColumnsAndNoOther) {
  constexpr float kUntouched = -7;
  Random random(1);
  for (const std::int64_t rows : {1, 2, 3, 4, 16, 17, 40}) {
    for (const std::int64_t columns : {1, 2, 15, 16, 17, 33, 67}) {
      const std::vector<float> src = octconv::testing::random_values(rows * columns, random);
      for (const std::int64_t begin : {std::int64_t{0}, columns / 3}) {
        for (const std::int64_t end : {begin, begin + (columns - begin) / 2, columns}) {
          std::vector<float> out(src.size(), kUntouched);
          transpose(src.data(), rows, columns, begin, end, out.data());
          for (std::int64_t column = 0; column < columns; ++column) {
            for (std::int64_t row = 0; row < rows; ++row) {
              const bool moved = column >= begin && column < end;
              ASSERT_EQ(out[static_cast<std::size_t>(column * rows + row)],
                        moved ? src[static_cast<std::size_t>(row * columns + column)] : kUntouched)
                  << rows << " rows, " << columns << " columns, at " << row << ", " << column;
            }
          }
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, LayoutTest, octconv::testing::all_targets(),
                         octconv::testing::target_name);

}  // namespace
}  // namespace octconv::kernels
