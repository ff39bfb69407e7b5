// SPDX-License-Identifier: Apache-2.0
// The operations that a network is lowered to.
#include "onnx/lower.h"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "onnx/models.h"

namespace octconv::onnx {
namespace {

using onnx_test::small_graph;

std::int64_t count(const Program& program, const std::string& type) {
  return std::count_if(program.operations.begin(), program.operations.end(),
                       [&](const Operation& operation) { return operation.type == type; });
}

Program lowered(const Graph& graph, const OctavizeOptions& options) {
  return lower(octavize(graph, options).graph, graph.default_extents());
}

Graph one_conv(Shape default_extents, std::int64_t stride = 1) {
  Graph graph("one", Shape{2, 2});
  graph.set_default_extents(default_extents);
  graph.set_policy({.stride_mode = StrideMode::kPool, .octave_stages = {true}});
  const Conv conv{.out_channels = 8,
                  .kernel = {3, 3},
                  .stride = Shape::filled(2, 1),
                  .dilation = {1, 1},
                  .padding_begin = {1, 1},
                  .padding_end = {1, 1},
                  .bias = true};
  Conv strided = conv;
  strided.stride = Shape::filled(2, stride);
  Conv last = conv;
  last.out_channels = 2;
  NodeId x = graph.add("in", Input{3}, {});
  x = graph.add("first", conv, {x}, 0);
  x = graph.add("middle", strided, {x}, 0);
  x = graph.add("last", last, {x});
  graph.add_output(x);
  return graph;
}

// What ONNX says of Resize with scales, in the float32 arithmetic that runtimes use.
TEST(UpsampleScale, MakesTheCroppedNearestUpsamplingAtEverySize) {
  const auto holds = [](std::int64_t from, std::int64_t to) {
    const float scale = upsample_scale(from, to);
    if (static_cast<std::int64_t>(std::floor(static_cast<float>(from) * scale)) != to) return false;
    for (std::int64_t i = 0; i < to; ++i) {
      if (static_cast<std::int64_t>(std::floor(static_cast<float>(i) / scale)) != i / 2)
        return false;
    }
    return true;
  };
  for (std::int64_t from = 1; from <= 1500; ++from) {
    EXPECT_TRUE(holds(from, 2 * from)) << from;
    EXPECT_TRUE(holds(from, 2 * from - 1)) << from;
  }
  for (const std::int64_t from : {65535, 65536, 1000003, (1 << 21) - 1}) {
    EXPECT_TRUE(holds(from, 2 * from)) << from;
    EXPECT_TRUE(holds(from, 2 * from - 1)) << from;
  }
}

TEST(Lower, AnOrdinaryConvolutionIsOneConvWithItsOwnWeight) {
  const Program program = lowered(one_conv({8, 8}, 2), {});
  EXPECT_EQ(count(program, "Conv"), 3);
  EXPECT_EQ(program.operations.size(), 3U);
  EXPECT_EQ(program.initializers[2].name, "middle.weight");
  EXPECT_EQ(program.operations[1].outputs[0], "middle");
}

TEST(Lower, AnOctaveConvolutionIsOneConvPerPath) {
  const Program program = lowered(one_conv({8, 8}), {.alpha = 0.5});
  EXPECT_EQ(count(program, "Conv"), 2 + 4 + 2);
  EXPECT_EQ(count(program, "Resize"), 2);  // into middle.high and last
  EXPECT_EQ(count(program, "Add"), 3);     // middle.high, middle.low, last
  EXPECT_EQ(count(program, "AveragePool"), 2);
}

TEST(Lower, TheBiasIsAddedOncePerFrequency) {
  const Program program = lowered(one_conv({8, 8}), {.alpha = 0.5});
  const auto with_bias =
      std::count_if(program.operations.begin(), program.operations.end(),
                    [](const Operation& o) { return o.type == "Conv" && o.inputs.size() == 3; });
  EXPECT_EQ(with_bias, 2 + 2 + 1);  // first: two frequencies, middle: two, last: one
}

TEST(Lower, PoolsUseCeilModeOnlyWhereAnExtentIsOdd) {
  for (const auto& [extents, ceil_mode] :
       {std::pair{Shape{8, 8}, 0}, {Shape{8, 9}, 1}, {Shape{9, 8}, 1}, {Shape{9, 9}, 1}}) {
    const Program program = lowered(one_conv(extents), {.alpha = 0.5});
    for (const Operation& operation : program.operations) {
      if (operation.type != "AveragePool") continue;
      EXPECT_EQ(std::get<std::int64_t>(operation.attributes.at("ceil_mode")), ceil_mode)
          << extents.to_string();
      EXPECT_EQ(std::get<std::int64_t>(operation.attributes.at("count_include_pad")), 0);
    }
  }
}

TEST(Lower, ConvolutionsThatPoolOneTensorAlikeShareThePool) {
  Graph graph = one_conv({8, 8});
  const Graph single = graph;
  graph.add("twin", std::get<Conv>(graph.node(graph.find("middle")).op), {graph.find("first")}, 0);
  EXPECT_EQ(count(lowered(graph, {.alpha = 0.5}), "AveragePool"),
            count(lowered(single, {.alpha = 0.5}), "AveragePool"));
}

TEST(Lower, AGlobalPoolOfAnOctaveValueJoinsLowThenHigh) {
  const Program program = lowered(small_graph(), {.alpha = 0.5});
  const auto concat =
      std::find_if(program.operations.begin(), program.operations.end(),
                   [](const Operation& o) { return o.outputs[0] == "global.mean"; });
  ASSERT_NE(concat, program.operations.end());
  EXPECT_EQ(concat->inputs, (std::vector<std::string>{"global.mean.low", "global.mean.high"}));
}

// A 2-wide pool takes 14 pixels to 7, whose low grid has 4; but the low grid of 14 has 7, and
// 2-wide windows make 3 of them.
TEST(Lower, PoolsOfTheLowGridMakeTheExtentsThatBelongToTheHighGrid) {
  Graph graph("pools", Shape{2});
  graph.set_default_extents({14});
  graph.set_policy({.stride_mode = StrideMode::kPool, .octave_stages = {true}});
  const Conv conv{.out_channels = 4,
                  .kernel = {1},
                  .stride = {1},
                  .dilation = {1},
                  .padding_begin = {0},
                  .padding_end = {0}};
  NodeId x = graph.add("in", Input{1}, {});
  x = graph.add("conv", conv, {x}, 0);
  x = graph.add("pool",
                Pool{.kernel = {2}, .stride = {2}, .padding_begin = {0}, .padding_end = {0}}, {x});
  x = graph.add("last", conv, {x});
  graph.add_output(x);
  using Ints = std::vector<std::int64_t>;
  const auto pads = [&](std::int64_t size) {
    const Program program = lower(octavize(graph, {.alpha = 0.5}).graph, {size});
    std::vector<Ints> all;
    for (const Operation& o : program.operations) {
      if (o.type == "MaxPool") all.push_back(std::get<Ints>(o.attributes.at("pads")));
    }
    return all;
  };
  EXPECT_EQ(pads(14), (std::vector<Ints>{{0, 0}, {0, 1}}));
  EXPECT_EQ(pads(12), (std::vector<Ints>{{0, 0}, {0, 0}}));
  EXPECT_EQ(pads(13), (std::vector<Ints>{{0, 0}, {0, 0}}));
  EXPECT_EQ(pads(15), (std::vector<Ints>{{0, 0}, {0, 0}}));
}

}  // namespace
}  // namespace octconv::onnx
