// SPDX-License-Identifier: Apache-2.0
// Averages and sums of cells, row by row, against plain loops in double.
#include "octconv/octave/cell_rows.h"

#include <cmath>
#include <limits>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octconv/octave/conv.h"
#include "support/random_values.h"
#include "support/targets.h"

namespace octconv {
namespace {

using testing::random_values;

constexpr std::int64_t kBatch = 2;

struct Geometry {
  Shape cell;
  Shape extents;
};

// Of all ranks: whole cells, cells that the map cuts along any axis, and one larger than the map.
const std::vector<Geometry> kGeometries{
    {{2, 2}, {6, 8}},       {{2, 2}, {5, 6}},       {{2, 2}, {6, 7}},       {{2, 2}, {7, 7}},
    {{2, 2}, {1, 1}},       {{4, 4}, {9, 6}},       {{1, 2}, {3, 5}},       {{2}, {9}},
    {{1, 2, 2}, {3, 4, 6}}, {{1, 2, 2}, {2, 5, 3}}, {{2, 2, 2}, {4, 4, 6}}, {{2, 2, 2}, {3, 5, 4}}};

// Extents of three axes, the missing ones 1.
std::vector<std::int64_t> three(const Shape& shape) {
  std::vector<std::int64_t> all(3 - shape.rank(), 1);
  all.insert(all.end(), shape.begin(), shape.end());
  return all;
}

struct Expected {
  std::vector<double> sums;
  std::vector<double> pixels;
  std::vector<std::vector<std::size_t>> of;  // each value's pixels in the map
};

Expected expected(const Geometry& g, std::int64_t channels, const std::vector<float>& map) {
  const std::vector<std::int64_t> cell = three(g.cell);
  const std::vector<std::int64_t> in = three(g.extents);
  const std::vector<std::int64_t> cells = three(low_extents(g.extents, g.cell));
  const auto values = static_cast<std::size_t>(kBatch * cells[0] * cells[1] * cells[2] * channels);
  Expected all{std::vector<double>(values), std::vector<double>(values), {}};
  all.of.resize(values);
  std::size_t from = 0;
  for (std::int64_t n = 0; n < kBatch; ++n) {
    for (std::int64_t z = 0; z < in[0]; ++z) {
      for (std::int64_t y = 0; y < in[1]; ++y) {
        for (std::int64_t x = 0; x < in[2]; ++x) {
          const std::int64_t to =
              ((n * cells[0] + z / cell[0]) * cells[1] + y / cell[1]) * cells[2] + x / cell[2];
          for (std::int64_t c = 0; c < channels; ++c, ++from) {
            const auto i = static_cast<std::size_t>(to * channels + c);
            all.sums[i] += static_cast<double>(map[from]);
            all.pixels[i] += 1;
            all.of[i].push_back(from);
          }
        }
      }
    }
  }
  return all;
}

using CellRowsTest = testing::TargetTest;

TEST_P(CellRowsTest, AreMadeOneByOneFromTheirOwnPixels) {
  constexpr float kUntouched = 1e30F;
  Random random(1);
  for (const Geometry& g : kGeometries) {
    for (const std::int64_t channels : {1, 7, 12, 16, 33}) {
      for (const CellValue value : {CellValue::kSum, CellValue::kAverage}) {
        SCOPED_TRACE("cells of " + g.cell.to_string() + " of " + g.extents.to_string() + ", " +
                     std::to_string(channels) + " channels");
        const std::vector<float> map =
            random_values(kBatch * g.extents.elements() * channels, random);
        const Expected wanted = expected(g, channels, map);
        const CellRows rows(g.cell, kBatch, g.extents, channels, value);
        std::vector<float> all(wanted.sums.size(), kUntouched);
        rows.make_all(map.data(), all.data());
        // Of at most 16 pixels of at most 1, and one product.
        for (std::size_t i = 0; i < all.size(); ++i) {
          const double sum = wanted.sums[i];
          EXPECT_NEAR(all[i], value == CellValue::kSum ? sum : sum / wanted.pixels[i],
                      16 * 16 * std::numeric_limits<float>::epsilon() / 2);
        }

        ASSERT_EQ(rows.begin(0), 0);
        ASSERT_EQ(rows.begin(rows.count()), static_cast<std::int64_t>(map.size()));
        std::vector<float> one_by_one(all.size(), kUntouched);
        for (std::int64_t row = 0; row < rows.count(); ++row) {
          const std::vector<float> before = one_by_one;
          rows.make(row, row + 1, map.data(), one_by_one.data());
          for (std::size_t i = 0; i < all.size(); ++i) {
            const auto first = static_cast<std::int64_t>(wanted.of[i].front());
            const auto last = static_cast<std::int64_t>(wanted.of[i].back());
            const bool own = first >= rows.begin(row) && last < rows.begin(row + 1);
            ASSERT_EQ(one_by_one[i], own ? all[i] : before[i]) << "value " << i << ", row " << row;
          }
        }
        EXPECT_EQ(one_by_one, all);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, CellRowsTest, testing::all_targets(), testing::target_name);

}  // namespace
}  // namespace octconv
