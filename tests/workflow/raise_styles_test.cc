// SPDX-License-Identifier: Apache-2.0
// Octave convolutions as others spell them out, and what only looks like them. Both graphs are
// evaluated node by node, in double.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "octconv/base/random.h"
#include "octconv/graph/raise.h"
#include "support/reference_network.h"

namespace octconv {
namespace {

// A map on the full grid and one on the low grid.
struct Grids {
  NodeId high = -1;
  NodeId low = -1;
};

// Builds the plain graphs; every convolution keeps the extents.
class Plain {
 public:
  explicit Plain(Shape extents, Shape octave = {2, 2})
      : octave_(std::move(octave)), graph_("plain", Shape::filled(extents.rank(), 2)) {
    graph_.set_default_extents(extents);
    x_ = graph_.add("x", Input{4}, {});
  }

  [[nodiscard]] NodeId x() const { return x_; }

  NodeId conv(NodeId in, std::int64_t out, std::int64_t kernel = 3, std::int64_t groups = 1) {
    const std::size_t rank = graph_.rank();
    return add("conv",
               Conv{.out_channels = out,
                    .kernel = Shape::filled(rank, kernel),
                    .stride = Shape::filled(rank, 1),
                    .dilation = Shape::filled(rank, 1),
                    .padding_begin = Shape::filled(rank, kernel / 2),
                    .padding_end = Shape::filled(rank, kernel / 2),
                    .groups = groups,
                    .bias = true},
               {in});
  }
  NodeId mean(NodeId in, Shape window, std::int64_t missing = 0) {
    const std::size_t rank = graph_.rank();
    return add("mean",
               Pool{.kind = PoolKind::kAverage,
                    .kernel = window,
                    .stride = window,
                    .padding_begin = Shape::filled(rank, 0),
                    .padding_end = Shape::filled(rank, missing)},
               {in});
  }
  NodeId half(NodeId in) { return mean(in, octave_); }
  NodeId enlarged(NodeId in, Shape factor) {
    const Shape crop = Shape::filled(factor.rank(), 0);
    return add("up", Resize{.mode = ResizeMode::kNearest, .factor = factor, .crop = crop}, {in});
  }
  NodeId twice(NodeId in) { return enlarged(in, octave_); }
  NodeId sum(NodeId a, NodeId b) { return add("sum", Add{}, {a, b}); }
  NodeId norm(NodeId in) { return add("norm", BatchNorm{}, {in}); }
  NodeId relu(NodeId in) { return add("relu", Activation{}, {in}); }
  NodeId joined(std::vector<NodeId> in) { return add("joined", Concat{}, std::move(in)); }
  NodeId mean_of_all(NodeId in) { return add("global", GlobalPool{}, {in}); }
  NodeId gate(NodeId in, std::int64_t channels) {
    const NodeId excited = add("linear", Linear{.out_channels = channels}, {mean_of_all(in)});
    return add("sigmoid", Activation{ActivationKind::kSigmoid}, {excited});
  }
  NodeId scaled(NodeId in, NodeId gate) { return add("scaled", Scale{}, {in, gate}); }

  // A first layer, a layer and a last one.
  Grids first(NodeId in, std::int64_t high, std::int64_t low) {
    return {conv(in, high), conv(half(in), low)};
  }
  Grids layer(const Grids& in, std::int64_t high, std::int64_t low) {
    return {sum(conv(in.high, high), twice(conv(in.low, high))),
            sum(conv(in.low, low), conv(half(in.high), low))};
  }
  NodeId last(const Grids& in, std::int64_t channels) {
    return sum(conv(in.high, channels), twice(conv(in.low, channels)));
  }

  Model model(NodeId output) {
    graph_.add_output(output);
    return {.graph = graph_, .weights = reference::random_weights(graph_, 5), .preprocessing = {}};
  }

 private:
  NodeId add(const std::string& what, Op op, std::vector<NodeId> inputs) {
    return graph_.add(what + std::to_string(graph_.nodes().size()), std::move(op),
                      std::move(inputs));
  }

  Shape octave_;
  Graph graph_;
  NodeId x_ = -1;
};

reference::Map result_of(const Model& model) {
  std::map<NodeId, reference::Value> values;
  const reference::Interpreter interpreter(model,
                                           [&](NodeId id) -> std::optional<reference::Value> {
                                             const auto found = values.find(id);
                                             if (found == values.end()) return std::nullopt;
                                             return found->second;
                                           });
  const NodeId input = model.graph.inputs()[0];
  reference::Map image(model.graph.node(input).channels.high, model.graph.default_extents());
  Random random(3);
  for (double& value : image.values) value = static_cast<double>(random.normal());
  values[input] = {std::move(image), reference::Map()};
  for (NodeId id = 0; id < static_cast<NodeId>(model.graph.nodes().size()); ++id) {
    if (id != input) values[id] = interpreter.compute(id);
  }
  return values.at(model.graph.outputs()[0]).first;
}

// What is folded and added up is so in float32 at last: a handful of roundings of weights.
void expect_same(const Model& raised, const Model& plain) {
  const reference::Map got = result_of(raised);
  const reference::Map wanted = result_of(plain);
  ASSERT_EQ(got.channels, wanted.channels);
  ASSERT_EQ(got.extents, wanted.extents);
  double most = 0;
  for (const double value : wanted.values) most = std::max(most, std::abs(value));
  ASSERT_GT(most, 0);
  for (std::size_t i = 0; i < got.values.size(); ++i)
    ASSERT_NEAR(got.values[i], wanted.values[i], 2e-6 * most) << i;
}

Model copy_of(const Model& model) {
  Weights weights;
  for (const auto& [name, tensor] : model.weights) weights.emplace(name, tensor.clone());
  return {.graph = model.graph, .weights = std::move(weights), .preprocessing = {}};
}

// How many nodes of an operation there are.
template <class Kind>
std::int64_t count(const Model& model) {
  std::int64_t number = 0;
  for (const Node& node : model.graph.nodes()) {
    if (std::holds_alternative<Kind>(node.op)) ++number;
  }
  return number;
}

// So many octave convolutions and no convolution else, no enlargement and no pool left.
Model expect_recognised(const Model& plain, std::int64_t convs) {
  Raised raised = raise(copy_of(plain));
  EXPECT_EQ(raised.octave_convs, convs);
  EXPECT_EQ(count<Conv>(raised.model), convs);
  EXPECT_EQ(count<Resize>(raised.model) + count<Pool>(raised.model), 0);
  expect_same(raised.model, plain);
  return std::move(raised.model);
}

void expect_unchanged(const Model& plain) {
  const Raised raised = raise(copy_of(plain));
  EXPECT_EQ(raised.octave_convs, 0);
  EXPECT_EQ(dump(raised.model.graph), dump(plain.graph));
}

TEST(RaiseStyles, BatchNormsOfEveryPathBecomePartOfIt) {
  for (const bool norm_last : {false, true}) {
    Plain net({8, 6});
    const Grids a = net.first(net.x(), 5, 3);
    const NodeId small = net.conv(a.low, 4);
    const NodeId from_low = norm_last ? net.norm(net.twice(small)) : net.twice(net.norm(small));
    const Grids b{net.sum(net.norm(net.conv(a.high, 4)), from_low),
                  net.sum(net.norm(net.conv(net.half(a.high), 2)), net.norm(net.conv(a.low, 2)))};
    const Model plain = net.model(net.last({net.relu(b.high), net.relu(b.low)}, 3));
    EXPECT_EQ(count<BatchNorm>(expect_recognised(plain, 3)), 0);
  }
}

TEST(RaiseStyles, BatchNormsOfEveryGridStay) {
  Plain net({8, 6});
  Grids a = net.first(net.x(), 5, 3);
  a = {net.norm(a.high), net.norm(a.low)};
  a = net.layer(a, 4, 2);
  a = {net.norm(a.high), net.norm(a.low)};
  EXPECT_EQ(count<BatchNorm>(expect_recognised(net.model(net.last(a, 3)), 3)), 2);
}

TEST(RaiseStyles, EnlargingBeforeTheConvolutionIsAnOptionOfIt) {
  for (const std::int64_t kernel : {1, 3}) {
    Plain net({8, 6});
    const Grids a = net.first(net.x(), 5, 3);
    const NodeId sum =
        net.sum(net.conv(a.high, 3, kernel), net.norm(net.conv(net.twice(a.low), 3, kernel)));
    const Model raised = expect_recognised(net.model(sum), 2);
    const Node& last = raised.graph.node(raised.graph.outputs()[0]);
    // Of one pixel both orders are the same, and the usual one computes less.
    EXPECT_EQ(std::get<Conv>(last.op).low_to_high,
              kernel > 1 ? LowToHigh::kUpsampleThenConv : LowToHigh::kConvThenUpsample);
  }
}

TEST(RaiseStyles, MeansOfBothGridsInEitherOrder) {
  for (const bool low_first : {true, false}) {
    Plain net({8, 6});
    const Grids a = net.layer(net.first(net.x(), 5, 3), 4, 2);
    const NodeId high = net.mean_of_all(a.high);
    const NodeId low = net.mean_of_all(a.low);
    const Model plain = net.model(low_first ? net.joined({low, high}) : net.joined({high, low}));
    const Model raised = expect_recognised(plain, 2);
    EXPECT_EQ(count<GlobalPool>(raised), 1);
    EXPECT_EQ(count<Select>(raised), low_first ? 0 : 1);
  }
}

TEST(RaiseStyles, AGateForEveryGrid) {
  Plain net({8, 6});
  Grids a = net.layer(net.first(net.x(), 5, 3), 4, 2);
  const NodeId high = net.gate(a.high, 4);
  const NodeId low = net.gate(a.low, 2);
  a = {net.scaled(a.high, high), net.scaled(a.low, low)};
  const Model raised = expect_recognised(net.model(net.last(a, 3)), 3);
  EXPECT_EQ(count<GlobalPool>(raised), 1);
  EXPECT_EQ(count<Scale>(raised), 1);
  EXPECT_EQ(count<Concat>(raised), 1);
}

// The mean of the low grid alone gates something else.
TEST(RaiseStyles, AMeanOfOneGrid) {
  Plain net({8, 6});
  const Grids a = net.layer(net.first(net.x(), 5, 3), 4, 2);
  const NodeId gate = net.gate(a.low, 3);
  const Model raised = expect_recognised(net.model(net.scaled(net.last(a, 3), gate)), 3);
  EXPECT_EQ(count<Select>(raised), 1);
}

// The gate of the low grid is made of the gated high grid: it cannot be made of the value of both.
TEST(RaiseStyles, GridsThatDependOnEachOtherStayApart) {
  Plain net({8, 6});
  const Grids a = net.layer(net.first(net.x(), 5, 3), 4, 2);
  const NodeId high = net.scaled(a.high, net.gate(net.x(), 4));
  const NodeId low = net.scaled(a.low, net.gate(high, 2));
  const NodeId last = net.mean_of_all(net.last({high, low}, 3));
  const Model plain = net.model(net.joined({net.mean_of_all(low), last}));
  const Raised raised = raise(copy_of(plain));
  EXPECT_EQ(count<Scale>(raised.model), 2);
  // The first one, and one for each grid that is scaled alone.
  EXPECT_EQ(raised.octave_convs, 3);
  expect_same(raised.model, plain);
}

TEST(RaiseStyles, EveryRankAndAxis) {
  const std::vector<std::pair<Shape, Shape>> cases{
      {{8}, {2}}, {{4, 8}, {1, 2}}, {{3, 4, 6}, {1, 2, 2}}, {{4, 4, 2}, {2, 2, 2}}};
  for (const auto& [extents, octave] : cases) {
    SCOPED_TRACE(extents.to_string() + " by " + octave.to_string());
    Plain net(extents, octave);
    const Grids a = net.layer(net.first(net.x(), 3, 2), 2, 2);
    const Model raised = expect_recognised(net.model(net.last(a, 2)), 3);
    EXPECT_EQ(raised.graph.octave(), octave);
  }
}

// Space is halved for the low grid, space and time by the stride.
TEST(RaiseStyles, AStrideOfOtherAxesThanTheLowGrid) {
  Plain net({4, 4, 4}, {1, 2, 2});
  const Grids a = net.first(net.x(), 3, 2);
  const NodeId high = net.mean(a.high, {2, 2, 2});
  const NodeId low = net.mean(a.low, {2, 2, 2});
  const NodeId from_low = net.conv(net.mean(a.low, {2, 1, 1}), 3);
  const Grids b{net.sum(net.conv(high, 3), from_low),
                net.sum(net.conv(low, 2), net.conv(net.half(high), 2))};
  const Model raised = expect_recognised(net.model(net.last(b, 2)), 3);
  EXPECT_EQ(raised.graph.octave(), Shape({1, 2, 2}));
}

// What averages or enlargements there are beside does not matter.
TEST(RaiseStyles, TheLowGridIsTheOneThatMostConvolutionsAgreeOn) {
  Plain net({8, 8}, {2, 2});
  const NodeId shrunk = net.enlarged(net.mean(net.x(), {1, 2}), {1, 2});
  const Grids a = net.layer(net.first(net.conv(shrunk, 4), 5, 3), 4, 2);
  const Model plain = net.model(net.last(a, 3));
  const Raised raised = raise(copy_of(plain));
  EXPECT_EQ(raised.octave_convs, 3);
  EXPECT_EQ(raised.model.graph.octave(), Shape({2, 2}));
  expect_same(raised.model, plain);
}

TEST(RaiseStyles, GroupsAndFiltersOfEveryChannel) {
  Plain net({8, 6});
  Grids a = net.first(net.x(), 6, 4);
  a = {net.conv(a.high, 6, 3, 6), net.conv(a.low, 4, 3, 4)};
  a = {net.sum(net.twice(net.conv(a.low, 4, 3, 2)), net.conv(a.high, 4, 3, 2)),
       net.sum(net.conv(net.half(a.high), 2, 3, 2), net.conv(a.low, 2, 3, 2))};
  expect_recognised(net.model(net.last(a, 3)), 4);
}

TEST(RaiseStyles, DenseBlocksJoinEveryGrid) {
  Plain net({8, 6});
  Grids a = net.first(net.x(), 5, 3);
  for (int i = 0; i < 3; ++i) {
    const Grids more = net.layer({net.relu(a.high), net.relu(a.low)}, 3, 2);
    a = {net.joined({a.high, more.high}), net.joined({a.low, more.low})};
  }
  const Model raised = expect_recognised(net.model(net.last(a, 3)), 5);
  EXPECT_EQ(count<Concat>(raised), 3);
}

TEST(RaiseStyles, DeepNetworksNeedNoDeepStack) {
  constexpr int kDepth = 3500;
  Plain net({2, 2});
  Grids a = net.first(net.x(), 1, 1);
  for (int i = 0; i < kDepth; ++i) a = {net.relu(a.high), net.relu(a.low)};
  const Raised raised = raise(net.model(net.last(a, 1)));
  EXPECT_EQ(raised.octave_convs, 2);
  EXPECT_EQ(count<Activation>(raised.model), kDepth);
}

TEST(RaiseStyles, InputsAndOutputsKeepTheirNames) {
  Graph graph("names", Shape{2, 2});
  graph.set_default_extents({4, 4});
  const auto conv = [&](const std::string& name, NodeId in) {
    return graph.add(name,
                     Conv{.out_channels = 2,
                          .kernel = {1, 1},
                          .stride = {1, 1},
                          .dilation = {1, 1},
                          .padding_begin = {0, 0},
                          .padding_end = {0, 0}},
                     {in});
  };
  const NodeId x = graph.add("x", Input{3}, {});
  const Pool half{.kind = PoolKind::kAverage,
                  .kernel = {2, 2},
                  .stride = {2, 2},
                  .padding_begin = {0, 0},
                  .padding_end = {0, 0}};
  const NodeId high = conv("mean.high", x);
  const NodeId low = conv("mean.low", graph.add("half", half, {x}));
  const Resize twice{.mode = ResizeMode::kNearest, .factor = {2, 2}, .crop = {0, 0}};
  const NodeId up = graph.add("up", twice, {conv("last.low", low)});
  const NodeId last = graph.add("sum", Add{}, {conv("last.high", high), up});
  // Means are called so in files of ours, and their nodes without it.
  graph.add_output(graph.add("mean", GlobalPool{}, {last}));
  graph.add_output(last);
  const Model plain{
      .graph = graph, .weights = reference::random_weights(graph, 5), .preprocessing = {}};
  const Raised raised = raise(copy_of(plain));
  EXPECT_EQ(raised.octave_convs, 2);
  const Graph& got = raised.model.graph;
  EXPECT_EQ(got.node(got.inputs()[0]).name, "x");
  EXPECT_EQ(got.node(got.outputs()[0]).name, "mean");
  EXPECT_EQ(got.node(got.outputs()[1]).name, "sum");
  expect_same(raised.model, plain);
}

// ---- What only looks like it

TEST(RaiseStyles, AQuarterIsNoLowGrid) {
  Plain net({8, 8}, {4, 4});
  const Grids a = net.layer(net.first(net.x(), 5, 3), 4, 2);
  expect_unchanged(net.model(net.last(a, 3)));
}

TEST(RaiseStyles, EnlargingBeforeAndBehindIsNoConvolution) {
  Plain net({16, 12});
  const Grids a = net.first(net.x(), 5, 3);
  const NodeId twice = net.twice(net.conv(net.twice(a.low), 3));
  expect_unchanged(net.model(net.sum(net.twice(net.conv(a.high, 3)), twice)));
}

TEST(RaiseStyles, PathsOfDifferentKernelsAreNotOneConvolution) {
  Plain net({8, 6});
  const Grids a = net.first(net.x(), 5, 3);
  const NodeId sum = net.sum(net.conv(a.high, 3), net.twice(net.conv(a.low, 3, 1)));
  expect_unchanged(net.model(sum));
}

// Of 7 pixels the last has no cell: the low grid of an octave value would have one.
TEST(RaiseStyles, AFlooredGridIsNoLowGrid) {
  for (const std::int64_t missing : {0, 1}) {
    Plain net({7, 7});
    const NodeId high = net.mean_of_all(net.conv(net.x(), 5));
    const NodeId low = net.mean_of_all(net.conv(net.mean(net.x(), {2, 2}, missing), 3));
    const Model plain = net.model(net.joined({low, high}));
    missing == 0 ? expect_unchanged(plain) : void(expect_recognised(plain, 1));
  }
}

}  // namespace
}  // namespace octconv
