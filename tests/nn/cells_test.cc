// SPDX-License-Identifier: Apache-2.0
// The way back from cells to pixels against plain loops in double: maps that the kernel knows, and
// maps that LibTorch's operations take.
#include "nn/cells.h"

#include <cmath>
#include <limits>
#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "support/targets.h"

namespace octconv::nn {
namespace {

using CellsTest = octconv::testing::TargetTest;

constexpr std::int64_t kBatch = 2;

struct Geometry {
  Shape extents;
  Shape cell;
};

// Whole cells and cells that the map cuts, of all ranks and several sizes, and one larger than the
// map.
const std::vector<Geometry> kGeometries{{{6, 8}, {2, 2}}, {{5, 7}, {2, 2}},       {{9, 6}, {4, 4}},
                                        {{1, 9}, {1, 2}}, {{3, 4, 5}, {2, 2, 2}}, {{1, 1}, {2, 2}},
                                        {{9}, {2}}};

// How a map lies in memory.
enum class Order { kChannelsLast, kSomeChannels, kPlanes, kDouble };

at::Tensor random_map(std::int64_t channels, const Shape& extents, Order order) {
  constexpr std::int64_t kOthers = 3;  // channels beside those of the map
  std::vector<std::int64_t> sizes{kBatch};
  sizes.insert(sizes.end(), extents.begin(), extents.end());
  sizes.push_back(channels + (order == Order::kSomeChannels ? kOthers : 0));
  const at::Tensor all =
      at::randn(sizes, order == Order::kDouble ? at::kDouble : at::kFloat).movedim(-1, 1);
  if (order == Order::kPlanes || order == Order::kDouble) return all.contiguous();
  return all.narrow(1, order == Order::kSomeChannels ? 1 : 0, channels);
}

// Pixels of the cell that holds pixel `at` of an axis: those that exist.
std::int64_t cell_size(std::int64_t at, std::int64_t extent, std::int64_t cell) {
  std::int64_t size = 0;
  for (std::int64_t i = 0; i < extent; ++i) size += i / cell == at / cell ? 1 : 0;
  return size;
}

// Every value of `out`, which held `before`.
void check(const at::Tensor& out, const at::Tensor& before, const at::Tensor& src,
           const Shape& cell, bool shares, bool adds) {
  const auto flat = [](const at::Tensor& x) { return x.to(at::kDouble).contiguous(); };
  const at::Tensor computed = flat(out);
  const at::Tensor held = flat(before);
  const at::Tensor cells = flat(src);
  const double epsilon = out.scalar_type() == at::kDouble
                             ? std::numeric_limits<double>::epsilon()
                             : static_cast<double>(std::numeric_limits<float>::epsilon());
  for (std::int64_t i = 0; i < computed.numel(); ++i) {
    std::int64_t rest = i;
    std::int64_t from = 0;
    std::int64_t step = 1;
    double pixels = 1;
    for (std::size_t axis = cell.rank(); axis-- > 0;) {
      const auto dim = static_cast<std::int64_t>(axis) + 2;
      const std::int64_t at = rest % computed.size(dim);
      rest /= computed.size(dim);
      from += at / cell[axis] * step;
      step *= cells.size(dim);
      if (shares) pixels *= static_cast<double>(cell_size(at, computed.size(dim), cell[axis]));
    }
    const double value = cells.data_ptr<double>()[rest * step + from];
    const double was = adds ? held.data_ptr<double>()[i] : 0;
    // Roundings of the factors, of the products and of the sum: half an epsilon each.
    const double roundings = 2 + static_cast<double>(cell.rank());
    ASSERT_NEAR(computed.data_ptr<double>()[i], value / pixels + was,
                roundings * epsilon * (std::abs(value) / pixels + std::abs(was)))
        << "value " << i;
  }
}

TEST_P(CellsTest, GiveEveryPixelItsCellsValueOrShare) {
  at::manual_seed(1);
  for (const Geometry& g : kGeometries) {
    const Shape grid = [&] {
      Shape cells = g.extents;
      for (std::size_t axis = 0; axis < cells.rank(); ++axis)
        cells[axis] = (cells[axis] + g.cell[axis] - 1) / g.cell[axis];
      return cells;
    }();
    for (const std::int64_t channels : {1, 4, 12, 16, 35}) {
      for (const Order order :
           {Order::kChannelsLast, Order::kSomeChannels, Order::kPlanes, Order::kDouble}) {
        SCOPED_TRACE(g.extents.to_string() + ", " + std::to_string(channels) + " channels, order " +
                     std::to_string(static_cast<int>(order)));
        const at::Tensor src = random_map(channels, grid, order);
        at::Tensor dst = random_map(channels, g.extents, order);
        at::Tensor before = dst.clone();
        add_to_cells(dst, src, g.cell);
        check(dst, before, src, g.cell, /*shares=*/false, /*adds=*/true);
        for (const bool adds : {false, true}) {
          before = dst.clone();
          spread_shares(dst, src, g.cell, adds);
          check(dst, before, src, g.cell, /*shares=*/true, adds);
        }
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(CellsTest, LeaveOtherChannelsAlone) {
  at::manual_seed(1);
  const at::Tensor all = at::randn({kBatch, 5, 7, 35}).permute({0, 3, 1, 2});
  const at::Tensor before = all.clone();
  const at::Tensor src = at::randn({kBatch, 3, 4, 20}).permute({0, 3, 1, 2});
  spread_shares(all.narrow(1, 9, 20), src, {2, 2}, /*adds=*/false);
  EXPECT_TRUE(at::equal(all.narrow(1, 0, 9), before.narrow(1, 0, 9)));
  EXPECT_TRUE(at::equal(all.narrow(1, 29, 6), before.narrow(1, 29, 6)));
  EXPECT_FALSE(at::equal(all.narrow(1, 9, 20), before.narrow(1, 9, 20)));
}

INSTANTIATE_TEST_SUITE_P(Targets, CellsTest, octconv::testing::all_targets(),
                         octconv::testing::target_name);

}  // namespace
}  // namespace octconv::nn
