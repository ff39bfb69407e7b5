// SPDX-License-Identifier: Apache-2.0
// Building graphs, inferring shapes, making octave twins.
#include "octconv/graph/graph.h"

#include <algorithm>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octconv/base/error.h"
#include "octconv/graph/budget.h"
#include "octconv/graph/cost.h"
#include "octconv/graph/model.h"
#include "octconv/graph/octavize.h"
#include "octconv/graph/zoo.h"

namespace octconv {
namespace {

using testing::HasSubstr;

Conv conv(std::int64_t out, std::int64_t kernel, std::int64_t stride, std::int64_t padding,
          std::int64_t groups = 1) {
  return {.out_channels = out,
          .kernel = {kernel, kernel},
          .stride = {stride, stride},
          .dilation = {1, 1},
          .padding_begin = {padding, padding},
          .padding_end = {padding, padding},
          .groups = groups};
}

// A network of one octave stage around `middle`, which takes and gives 8 channels.
struct Small {
  Graph graph{"small", {2, 2}};
  NodeId first;
  NodeId middle;
  NodeId last;

  explicit Small(Op op) {
    graph.set_policy({.stride_mode = StrideMode::kPool, .octave_stages = {true, false}});
    const NodeId input = graph.add("input", Input{3}, {});
    first = graph.add("first", conv(8, 3, 1, 1), {input}, 0);
    middle = graph.add("middle", std::move(op), {first}, 0);
    last = graph.add("last", conv(4, 1, 1, 0), {middle}, 1);
    graph.add_output(last);
  }
};

template <class Function>
std::string error_of(Function&& function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Graph, RefusesNodesThatDoNotFitAndNamesThem) {
  Graph graph("g", {2, 2});
  const NodeId input = graph.add("input", Input{3}, {});
  EXPECT_THAT(error_of([&] { graph.add("input", Input{3}, {}); }),
              HasSubstr("'input': the name is taken"));
  EXPECT_THAT(error_of([&] { graph.add("a", Add{}, {input}); }),
              HasSubstr("takes 2 inputs, got 1"));
  EXPECT_THAT(error_of([&] { graph.add("a", Activation{}, {7}); }),
              HasSubstr("input 7 does not exist"));
  EXPECT_THAT(error_of([&] { graph.add("c", conv(4, 3, 1, 1, 2), {input}); }),
              HasSubstr("2 groups do not divide"));
  EXPECT_THAT(error_of([&] { graph.add("l", Linear{10}, {input}); }), HasSubstr("without extents"));
  EXPECT_THAT(error_of([&] { graph.add("i", Input{0}, {}); }),
              HasSubstr("channels must be at least 1"));
  EXPECT_THAT(error_of([&] { graph.add("j", Concat{}, {}); }), HasSubstr("at least 1 inputs"));
  EXPECT_THAT(error_of([&] {
                graph.add("s", Scale{}, {input, input});
              }),
              HasSubstr("'s': scale needs a value without extents"));
  EXPECT_THAT(error_of([&] {
                graph.add("t", Attention{}, {input, input});
              }),
              HasSubstr("takes 3 inputs"));
  EXPECT_EQ(graph.nodes().size(), 1U) << "a refused node must leave the graph as it was";
  EXPECT_THROW(Graph("g", {2, 3}), InvalidArgument);
  EXPECT_THROW(Graph("g", {2, 2, 2, 2}), InvalidArgument);
}

TEST(InferShapes, FollowsPyTorchsFormulas) {
  const Graph graph = make_network("resnet50v2");
  const std::vector<ValueShape> shapes = infer_shapes(graph, 2, {225, 200});
  const auto extents = [&](const char* name) {
    return shapes[static_cast<std::size_t>(graph.find(name))].high;
  };
  EXPECT_EQ(extents("conv1"), (Shape{113, 100}));
  EXPECT_EQ(extents("maxpool"), (Shape{57, 50}));
  EXPECT_EQ(extents("layer2.0.conv2"), (Shape{29, 25}));
  EXPECT_EQ(extents("layer4.2.add"), (Shape{8, 7}));
  EXPECT_EQ(shapes.back().tensor_shape(Frequency::kHigh), (Shape{2, 1000}));
}

TEST(InferShapes, ADoubleHalvingKeepsTheLowGridAtHalfTheHighOne) {
  const Graph graph = octavize(make_network("resnet50v2"), {.alpha = 0.5}).graph;
  for (std::int64_t size = 1; size <= 70; ++size) {
    for (const ValueShape& shape : infer_shapes(graph, 1, {size, size + 3})) {
      for (std::size_t axis = 0; axis < shape.high.rank(); ++axis) {
        EXPECT_EQ(shape.low[axis], (shape.high[axis] + 1) / 2);
      }
    }
  }
}

TEST(InferShapes, NamesTheNodeAtWhichAnInputDoesNotFit) {
  Graph graph("g", {2, 2});
  const NodeId input = graph.add("input", Input{3}, {});
  graph.add_output(graph.add("valid", conv(4, 5, 1, 0), {input}));
  EXPECT_THAT(error_of([&] {
                static_cast<void>(infer_shapes(graph, 1, {4, 9}));
              }),
              HasSubstr("node 'valid'"));
  EXPECT_THROW(static_cast<void>(infer_shapes(graph, 1, {4})), InvalidArgument);
  EXPECT_THROW(static_cast<void>(infer_shapes(graph, 1, {0, 5})), InvalidArgument);
}

TEST(Octavize, SetsOnlySplitsAndStrideModes) {
  const Graph ordinary = make_network("resnet50_v1b");
  const Graph octave = octavize(ordinary, {.alpha = 0.25}).graph;
  const std::vector<Parameter> before = parameters(ordinary);
  const std::vector<Parameter> after = parameters(octave);
  ASSERT_EQ(before.size(), after.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(before[i].name, after[i].name);
    EXPECT_EQ(before[i].shape, after[i].shape);
  }
  for (std::size_t i = 0; i < ordinary.nodes().size(); ++i) {
    EXPECT_EQ(ordinary.nodes()[i].channels.total(), octave.nodes()[i].channels.total());
  }
}

TEST(Octavize, FollowsTheAuthorsStages) {
  const Graph graph = octavize(make_network("resnet50v2"), {.alpha = 0.25}).graph;
  const auto split = [&](const char* name) { return graph.node(graph.find(name)).channels; };
  EXPECT_EQ(split("maxpool"), (ChannelSplit{64, 0}));
  EXPECT_EQ(split("layer1.0.relu1"), (ChannelSplit{64, 0}));  // entry: single frequency
  EXPECT_EQ(split("layer1.0.conv1"), (ChannelSplit{48, 16}));
  EXPECT_EQ(split("layer1.0.add"), (ChannelSplit{192, 64}));
  EXPECT_EQ(split("layer3.5.add"), (ChannelSplit{768, 256}));
  EXPECT_EQ(split("layer4.0.relu1"), (ChannelSplit{768, 256}));  // still stage 3's value
  EXPECT_EQ(split("layer4.0.conv1"), (ChannelSplit{512, 0}));    // exit
  EXPECT_EQ(split("layer4.0.downsample.conv"), (ChannelSplit{2048, 0}));
}

TEST(Octavize, AlphaZeroLeavesTheNetworkUntouched) {
  const Graph ordinary = make_network("resnet20");
  EXPECT_EQ(dump(octavize(ordinary, {.alpha = 0}).graph), dump(ordinary));
}

TEST(Octavize, AStrideModeAtAlphaZeroChangesStridesOnly) {
  const Graph graph =
      octavize(make_network("resnet50v2"), {.alpha = 0, .stride_mode = StrideMode::kPool}).graph;
  EXPECT_EQ(std::get<Conv>(graph.node(graph.find("layer4.0.conv2")).op).stride_mode,
            StrideMode::kPool);
  EXPECT_EQ(std::get<Conv>(graph.node(graph.find("conv1")).op).stride_mode, StrideMode::kStrided)
      << "the stem";
  EXPECT_TRUE(std::none_of(graph.nodes().begin(), graph.nodes().end(),
                           [](const Node& node) { return node.channels.octave(); }));
}

TEST(Octavize, PinsWhatTheGeometryExcludesAndSaysWhy) {
  const Small network(conv(8, 3, 1, 0));
  const Octavized result = octavize(network.graph, {.alpha = 0.5});
  EXPECT_FALSE(result.graph.node(network.first).channels.octave());
  EXPECT_FALSE(result.graph.node(network.middle).channels.octave());
  ASSERT_EQ(result.kept_ordinary.size(), 2U);
  EXPECT_THAT(result.kept_ordinary[0].reason, HasSubstr("moves the low grid against the high one"));
}

TEST(Octavize, PinsGroupsThatDoNotDivideTheLowChannels) {
  const Small network(conv(8, 3, 1, 1, 4));
  EXPECT_TRUE(octavize(network.graph, {.alpha = 0.5}).graph.node(network.middle).channels.octave());
  const Octavized result = octavize(network.graph, {.alpha = 0.25});
  EXPECT_FALSE(result.graph.node(network.middle).channels.octave());
  ASSERT_FALSE(result.kept_ordinary.empty());
  EXPECT_THAT(result.kept_ordinary[0].reason, HasSubstr("4 groups"));
}

TEST(Octavize, DepthwiseKeepsTheSplitOfItsInput) {
  const Small network(conv(8, 3, 2, 1, 8));
  const Graph graph = octavize(network.graph, {.alpha = 0.25}).graph;
  EXPECT_EQ(graph.node(network.middle).channels, (ChannelSplit{6, 2}));
  EXPECT_EQ(graph.node(network.first).channels, (ChannelSplit{6, 2}));
}

// Two octave branches and an ordinary value side by side.
struct Joined {
  Graph graph{"joined", {2, 2}};
  NodeId join;
  NodeId norm;

  explicit Joined(Op after) {
    graph.set_policy({.stride_mode = StrideMode::kPool, .octave_stages = {true, false}});
    const NodeId input = graph.add("input", Input{3}, {});
    const NodeId a = graph.add("a", conv(10, 3, 1, 1), {input}, 0);
    const NodeId b = graph.add("b", conv(7, 3, 1, 1), {a}, 0);
    join = graph.add("join", Concat{}, {a, input, b});
    norm = graph.add("norm", BatchNorm{}, {join});
    const NodeId last = graph.add("after", std::move(after), {norm}, 1);
    graph.add_output(graph.add("last", conv(4, 1, 1, 0), {last}, 1));
  }
};

TEST(Octavize, ConcatAddsTheCountsOfWhatItJoins) {
  const Joined network(conv(20, 3, 2, 1, 20));  // depthwise: it keeps them
  const Octavized result = octavize(network.graph, {.alpha = 0.5});
  for (const char* name : {"join", "norm", "after"}) {
    EXPECT_EQ(result.graph.node(result.graph.find(name)).channels, (ChannelSplit{12, 8})) << name;
  }
  EXPECT_TRUE(result.kept_ordinary.empty());
}

TEST(Octavize, AConcatThatMustBeOrdinaryKeepsItsPartsOrdinary) {
  const Joined network(conv(4, 3, 1, 0));  // unpadded
  const Octavized result = octavize(network.graph, {.alpha = 0.5});
  for (const Node& node : result.graph.nodes()) EXPECT_FALSE(node.channels.octave()) << node.name;
  ASSERT_FALSE(result.kept_ordinary.empty());
  EXPECT_THAT(result.kept_ordinary[0].reason,
              HasSubstr("part of 'join': it feeds 'after': kernel [3, 3]"));
}

// 8 low channels cannot be added to the 10 of an ordinary rule.
TEST(Octavize, AConcatWhoseCountsOthersDoNotShareIsOrdinary) {
  Joined network(conv(4, 1, 1, 0));
  const NodeId other = network.graph.add("other", conv(20, 1, 1, 0), {network.join}, 0);
  network.graph.add("sum", Add{}, {network.norm, other});
  const Octavized result = octavize(network.graph, {.alpha = 0.5});
  for (const Node& node : result.graph.nodes()) EXPECT_FALSE(node.channels.octave()) << node.name;
  EXPECT_THAT(result.kept_ordinary[0].reason, HasSubstr("joins 8 low channels"));
}

TEST(Octavize, AttentionIsOrdinaryAndAGateIsDividedLikeItsValue) {
  Graph graph("nonlocal", {1, 2, 2});
  graph.set_policy({.stride_mode = StrideMode::kPool, .octave_stages = {true}});
  const Conv pointwise{.out_channels = 8,
                       .kernel = {1, 1, 1},
                       .stride = {1, 1, 1},
                       .dilation = {1, 1, 1},
                       .padding_begin = {0, 0, 0},
                       .padding_end = {0, 0, 0}};
  const NodeId input = graph.add("input", Input{3}, {});
  const NodeId x = graph.add("x", pointwise, {input}, 0);
  const NodeId theta = graph.add("theta", pointwise, {x}, 0);
  const NodeId attention = graph.add("attention", Attention{}, {theta, theta, theta});
  const NodeId sum = graph.add("sum", Add{}, {x, graph.add("out", pointwise, {attention}, 0)});
  const NodeId scaled = graph.add("scaled", Scale{}, {sum, graph.add("mean", GlobalPool{}, {sum})});
  graph.add_output(graph.add("fc", Linear{2}, {graph.add("pool", GlobalPool{}, {scaled})}));
  const Octavized result = octavize(graph, {.alpha = 0.25});
  for (const NodeId id : {x, sum, scaled}) {
    EXPECT_EQ(result.graph.node(id).channels, (ChannelSplit{6, 2}));
  }
  EXPECT_FALSE(result.graph.node(theta).channels.octave());
  ASSERT_EQ(result.kept_ordinary.size(), 1U);
  EXPECT_THAT(result.kept_ordinary[0].reason, HasSubstr("attention 'attention'"));
  // 4 x 3 x 2 positions of 8 channels: two products with each.
  EXPECT_EQ(cost(result.graph, {4, 3, 2}).nodes[static_cast<std::size_t>(attention)].macs,
            24 * 24 * (8 + 8));

  Graph wrong = result.graph;
  wrong.set_channels(theta, {.high = 6, .low = 2});
  EXPECT_THAT(error_of([&] { wrong.check(); }), HasSubstr("'attention': attention takes no low"));
}

TEST(Octavize, RefusesAlphaOutOfRangeAndOctaveNetworks) {
  const Graph ordinary = make_network("resnet20");
  EXPECT_THROW(
      static_cast<void>(octavize(ordinary, {.alpha = std::numeric_limits<double>::quiet_NaN()})),
      InvalidArgument);
  EXPECT_THROW(static_cast<void>(octavize(ordinary, {.alpha = -0.01})), InvalidArgument);
  const Graph octave = octavize(ordinary, {.alpha = 0.5}).graph;
  EXPECT_THROW(static_cast<void>(octavize(octave, {.alpha = 0.5})), InvalidArgument);
}

TEST(Octavize, EveryAlphaGivesAConsistentGraph) {
  for (const ZooEntry& entry : zoo_entries()) {
    for (int percent = 0; percent <= 100; percent += 4) {
      const Octavized result = octavize(make_network(entry.name), {.alpha = percent / 100.0});
      EXPECT_NO_THROW(result.graph.check()) << entry.name << " " << percent;
      // The groups of a ResNeXt divide few low counts.
      if (entry.name.find("resnext") != std::string_view::npos) continue;
      EXPECT_TRUE(result.kept_ordinary.empty()) << entry.name << " " << percent;
    }
  }
}

TEST(Octavize, ALayersOwnAlphaHoldsForWhatIsTiedToIt) {
  const Graph ordinary = make_network("resnet20");
  const auto low = [](const Graph& graph, const char* name) {
    return graph.node(graph.find(name)).channels.low;
  };
  // The first convolution of a block makes a value of its own, the second one is tied to the sums
  // of its whole stage.
  const Octavized result = octavize(
      ordinary, {.alpha = 0.5, .layer_alphas = {{"layer1.0.conv1", 0.25}, {"layer2.1.conv2", 0}}});
  EXPECT_TRUE(result.kept_ordinary.empty());
  EXPECT_EQ(low(result.graph, "layer1.0.conv1"), 4);
  EXPECT_EQ(low(result.graph, "layer1.0.bn1"), 4);
  EXPECT_EQ(low(result.graph, "layer1.0.conv2"), 8);
  EXPECT_EQ(low(result.graph, "layer2.0.conv2"), 0);
  EXPECT_EQ(low(result.graph, "layer2.2.add"), 0);
  EXPECT_EQ(low(result.graph, "layer2.1.conv1"), 16);
  // Two that disagree about one value leave it ordinary.
  const Octavized torn =
      octavize(ordinary, {.layer_alphas = {{"layer1.0.conv2", 0.5}, {"layer1.1.conv2", 0.25}}});
  EXPECT_EQ(low(torn.graph, "layer1.0.conv2"), 0);
  EXPECT_FALSE(torn.kept_ordinary.empty());
  EXPECT_THAT(error_of([&] {
                static_cast<void>(octavize(ordinary, {.layer_alphas = {{"layer1.0.bn1", 0.5}}}));
              }),
              HasSubstr("no convolution 'layer1.0.bn1'"));
  EXPECT_THAT(error_of([&] {
                static_cast<void>(octavize(ordinary, {.layer_alphas = {{"layer1.0.conv1", 2}}}));
              }),
              HasSubstr("layer 'layer1.0.conv1': alpha must be in [0, 1], got 2"));
}

TEST(Budget, IsMetByTheSmallestAlpha) {
  const Graph graph = make_network("resnet20");
  const Shape extents{32, 32};
  const auto share = [&](double alpha) {
    return static_cast<double>(cost(octavize(graph, {.alpha = alpha}).graph, extents).macs) /
           static_cast<double>(cost(graph, extents).macs);
  };
  for (const double budget : {1.0, 0.9, 0.75, 0.6}) {
    const double alpha = alpha_for_budget(graph, extents, budget);
    EXPECT_LE(share(alpha), budget);
    if (alpha > 0) {
      EXPECT_GT(share(alpha - 1.0 / 64), budget);
    }
  }
  EXPECT_EQ(alpha_for_budget(graph, extents, 1), 0);
  for (const double budget : {0.0, -1.0, 1.5, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_THROW(static_cast<void>(alpha_for_budget(graph, extents, budget)), InvalidArgument);
  }
  EXPECT_THAT(error_of([&] { static_cast<void>(alpha_for_budget(graph, extents, 0.1)); }),
              HasSubstr("the least is 0."));
}

TEST(Zoo, ZeroGammaClosesEveryResidualBranchOrIsRefused) {
  for (const ZooEntry& entry : zoo_entries()) {
    Graph graph("none", {2});
    try {
      graph = make_network(entry.name, {.zero_gamma = true});
    } catch (const InvalidArgument& error) {
      EXPECT_THAT(error.what(), HasSubstr("no residual branch ends with a batch norm"));
      // Pre-activation, or no residual branch at all.
      EXPECT_TRUE(entry.name.find("v2") != std::string_view::npos || entry.name.find("wide") == 0 ||
                  entry.name.find("densenet") == 0 || entry.name.find("mobilenet_v1") == 0)
          << entry.name;
      continue;
    }
    for (const Node& node : graph.nodes()) {
      if (!std::holds_alternative<Add>(node.op)) continue;
      const Node* last = &graph.node(node.inputs[0]);
      if (std::holds_alternative<Scale>(last->op)) last = &graph.node(last->inputs[0]);
      ASSERT_TRUE(std::holds_alternative<BatchNorm>(last->op)) << entry.name << " " << node.name;
      EXPECT_EQ(std::get<BatchNorm>(last->op).initial_scale, 0) << entry.name << " " << last->name;
    }
  }
}

TEST(Check, FindsAnInconsistentSplit) {
  Graph graph = octavize(make_network("resnet20"), {.alpha = 0.5}).graph;
  graph.set_channels(graph.find("layer1.0.bn1"), {.high = 16, .low = 0});
  EXPECT_THAT(error_of([&] { graph.check(); }), HasSubstr("'layer1.0.bn1'"));
  EXPECT_THAT(error_of([&] { graph.check(); }), HasSubstr("16 high + 0 low"));
}

TEST(Model, ABatchNormSaysWhatItsScaleStartsWith) {
  Graph graph("norms", {2});
  const NodeId x = graph.add("input", Input{2}, {});
  graph.add("plain", BatchNorm{.affine = false}, {x});
  graph.add("closed", BatchNorm{.initial_scale = 0}, {x});
  const Weights weights = initial_weights(graph, 1);
  EXPECT_FALSE(weights.contains("plain.weight"));
  EXPECT_FALSE(weights.contains("plain.bias"));
  EXPECT_EQ(weights.at("plain.running_var").values()[1], 1.0F);
  EXPECT_EQ(weights.at("closed.weight").values()[1], 0.0F);
}

TEST(Model, InitialWeightsFitAndHaveHesDeviation) {
  const Graph graph = make_network("resnet20");
  const Weights weights = initial_weights(graph, 7);
  EXPECT_NO_THROW(check_weights(graph, weights));
  const Tensor& weight = weights.at("layer3.2.conv2.weight");
  double sum_of_squares = 0;
  for (const float value : weight.values()) sum_of_squares += double{value} * value;
  const double variance = sum_of_squares / static_cast<double>(weight.elements());
  const double expected = 2.0 / (64 * 9);
  // The sample variance of n normals deviates by expected * sqrt(2 / n); five of those is a safe
  // bound.
  EXPECT_NEAR(variance, expected,
              5 * expected * std::sqrt(2.0 / static_cast<double>(weight.elements())));
}

TEST(Model, CheckWeightsListsEveryProblem) {
  const Graph graph = make_network("resnet20");
  Weights weights = initial_weights(graph, 7);
  weights.erase("fc.bias");
  weights.at("conv1.weight") = Tensor({1});
  weights.emplace("extra", Tensor({1}));
  const std::string message = error_of([&] { check_weights(graph, weights); });
  EXPECT_THAT(message, HasSubstr("'fc.bias' is missing"));
  EXPECT_THAT(message, HasSubstr("'conv1.weight' has shape [1] instead of [16, 3, 3, 3]"));
  EXPECT_THAT(message, HasSubstr("'extra' is not a parameter"));
}

TEST(Zoo, SuggestsTheNearestName) {
  EXPECT_THAT(error_of([] { static_cast<void>(make_network("resnet50v")); }),
              HasSubstr("did you mean 'resnet50v2'"));
  EXPECT_THAT(error_of([] { static_cast<void>(make_network("qqqqqqqqqq")); }),
              HasSubstr("known are"));
  EXPECT_THROW(static_cast<void>(make_network("resnet20", {.classes = 0})), InvalidArgument);
}

TEST(Zoo, TakesChannelsAndClasses) {
  const Graph graph = make_network("resnet32", {.in_channels = 1, .classes = 7});
  EXPECT_EQ(graph.node(graph.inputs()[0]).channels.total(), 1);
  EXPECT_EQ(graph.node(graph.outputs()[0]).channels.total(), 7);
}

TEST(Dump, ShowsSplitsAndExtents) {
  const Graph graph = octavize(make_network("resnet20"), {.alpha = 0.25}).graph;
  EXPECT_THAT(dump(graph, {28, 28}),
              HasSubstr("layer2.0.conv1 = octave conv [3, 3] stride [2, 2] by pool"
                        "(layer1.2.relu2) channels 24+8 extents [14, 14] and [7, 7] stage 1"));
  EXPECT_THAT(to_dot(graph), HasSubstr("digraph \"resnet20\" {"));
  EXPECT_THAT(to_dot(graph), HasSubstr("color=\"black:black\""));
}

}  // namespace
}  // namespace octconv
