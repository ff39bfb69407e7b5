// SPDX-License-Identifier: Apache-2.0
// Random zeros in front of the classifier.
#include <cmath>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octconv/base/error.h"
#include "octconv/nn/graph_module.h"

namespace octconv::nn {
namespace {

constexpr std::int64_t kChannels = 400;

// The mean of each channel, once through a linear layer.
Graph linear_network() {
  Graph graph("linear", Shape{2, 2});
  const NodeId pooled = graph.add("pool", GlobalPool{}, {graph.add("input", Input{kChannels}, {})});
  graph.add_output(
      graph.add("classes", Linear{.out_channels = kChannels, .bias = false}, {pooled}));
  return graph;
}

// With the identity as weight: what the linear layer reads.
at::Tensor read_by_linear(const Dropout& dropout, bool training) {
  GraphModule module(linear_network());
  {
    const at::NoGradGuard guard;
    module.named_parameters()[0].second.copy_(at::eye(kChannels));
  }
  module.train(training);
  const at::NoGradGuard guard;
  return module.forward(at::ones({2, kChannels, 1, 1}), dropout).contiguous();
}

TEST(Dropout, ZeroesItsShareAndEnlargesTheRest) {
  constexpr double kRate = 0.3;
  const at::Tensor x = read_by_linear({.rate = kRate, .seed = 5}, true);
  std::int64_t zeros = 0;
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    const float value = x.data_ptr<float>()[i];
    if (value == 0) {
      ++zeros;
    } else {
      EXPECT_FLOAT_EQ(value, static_cast<float>(1 / (1 - kRate)));
    }
  }
  // Five deviations of a binomial share.
  const auto count = static_cast<double>(x.numel());
  EXPECT_NEAR(static_cast<double>(zeros) / count, kRate, 5 * std::sqrt(0.21 / count));
}

TEST(Dropout, DependsOnItsSeedAlone) {
  const at::Tensor x = read_by_linear({.rate = 0.5, .seed = 5}, true);
  EXPECT_TRUE(x.equal(read_by_linear({.rate = 0.5, .seed = 5}, true)));
  EXPECT_FALSE(x.equal(read_by_linear({.rate = 0.5, .seed = 6}, true)));
}

TEST(Dropout, RowsOfABatchGetTheZerosThatTheyHaveInIt) {
  const at::Tensor whole =
      read_by_linear({.rate = 0.5, .seed = 5, .rows = {0, 1}, .batch = 2}, true);
  EXPECT_TRUE(whole.equal(read_by_linear({.rate = 0.5, .seed = 5}, true)));
  const at::Tensor other =
      read_by_linear({.rate = 0.5, .seed = 5, .rows = {1, 0}, .batch = 2}, true);
  EXPECT_TRUE(other[0].equal(whole[1]));
  EXPECT_TRUE(other[1].equal(whole[0]));
  EXPECT_THROW(static_cast<void>(read_by_linear({.rate = 0.5, .rows = {0}, .batch = 2}, true)),
               InvalidArgument);
  EXPECT_THROW(static_cast<void>(read_by_linear({.rate = 0.5, .rows = {0, 2}, .batch = 2}, true)),
               InvalidArgument);
}

TEST(Dropout, IsOfTrainingOnly) {
  EXPECT_TRUE(read_by_linear({.rate = 0.5}, false).equal(at::ones({2, kChannels})));
  EXPECT_TRUE(read_by_linear({}, true).equal(at::ones({2, kChannels})));
}

TEST(Dropout, IsRefusedOutOfRangeAndWithoutALinearLayer) {
  EXPECT_THROW(static_cast<void>(read_by_linear({.rate = 1}, true)), InvalidArgument);
  EXPECT_THROW(static_cast<void>(read_by_linear({.rate = -0.1}, true)), InvalidArgument);
  Graph graph("pool", Shape{2, 2});
  graph.add_output(graph.add("pool", GlobalPool{}, {graph.add("input", Input{3}, {})}));
  GraphModule module(graph);
  try {
    static_cast<void>(module.forward(at::ones({1, 3, 2, 2}), {.rate = 0.5}));
    FAIL();
  } catch (const InvalidArgument& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("'pool' has no linear layer"));
  }
}

}  // namespace
}  // namespace octconv::nn
