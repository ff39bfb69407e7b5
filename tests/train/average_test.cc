// SPDX-License-Identifier: Apache-2.0
#include "train/average.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace octconv::train {
namespace {

TEST(WeightAverage, IsItsRecursionAndCopiesWholeNumbers) {
  const at::Tensor weight = at::full({3}, 1.0);
  const at::Tensor steps = at::zeros({1}, at::kLong);
  WeightAverage average({{"weight", weight}, {"steps", steps}}, 0.9);
  double expected = 1;
  for (int step = 1; step <= 20; ++step) {
    weight.fill_(step * step);
    steps.fill_(step);
    average.update();
    expected = 0.9 * expected + 0.1 * step * step;
  }
  const auto averaged = [&](std::size_t i) { return average.averages()[i].second[0]; };
  EXPECT_NEAR(averaged(0).item<double>(), expected, 1e-4);
  EXPECT_EQ(averaged(1).item<std::int64_t>(), 20);
  EXPECT_EQ(weight[2].item<double>(), 400);
  average.exchange();
  EXPECT_NEAR(weight[2].item<double>(), expected, 1e-4);
  EXPECT_EQ(averaged(0).item<double>(), 400);
  average.exchange();
  EXPECT_EQ(weight[2].item<double>(), 400);
}

}  // namespace
}  // namespace octconv::train
