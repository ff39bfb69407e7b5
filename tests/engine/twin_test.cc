// SPDX-License-Identifier: Apache-2.0
// Renumbered networks and octave twins against the network that they were made of.
//
// Pooling and upsampling lose nothing of constant maps. Of kernels that have a centre tap only, so
// that no border is seen, a network makes constant maps of a constant image: its twin must then
// give what it gives itself, whatever alpha is. Any weight in a wrong place shows.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octconv/base/error.h"
#include "octconv/engine/network.h"
#include "octconv/graph/octavize.h"
#include "octconv/graph/permute.h"
#include "octconv/graph/zoo.h"
#include "support/random_values.h"
#include "support/reference_network.h"

namespace octconv {
namespace {

// The networks of the zoo that differ from these in depth or width only are left out.
const std::vector<std::string>& families() {
  static const std::vector<std::string> names{
      "resnet20",     "resnet18v1",  "resnet26v2",   "se_resnet50v2", "resnext50v2_32x4d",
      "resnet50_v1b", "densenet121", "mobilenet_v1", "mobilenet_v2",  "i3d_resnet50_nl"};
  return names;
}

Shape small_input(const Graph& graph, bool odd) {
  Shape shape{1, 3};
  for (std::size_t axis = 0; axis < graph.rank(); ++axis)
    shape.push_back(graph.octave()[axis] == 1 ? 4 : odd ? 33 : 32);
  return shape;
}

Tensor constant_image(const Shape& shape) {
  Tensor image(shape);
  const auto pixels = static_cast<std::size_t>(image.elements() / shape[1]);
  for (std::size_t i = 0; i < image.values().size(); ++i)
    image.values()[i] = 0.3F + 0.4F * static_cast<float>(i / pixels);
  return image;
}

Tensor random_image(const Shape& shape) {
  Tensor image(shape);
  Random random(7);
  testing::fill_random(image.values(), random);
  return image;
}

Model trained(Graph graph) {
  Weights weights = reference::random_weights(graph, 3);
  return {.graph = std::move(graph), .weights = std::move(weights), .preprocessing = {}};
}

// Leaves of every kernel its centre, as large as all of it was.
void keep_centres(Model& model) {
  for (const Node& node : model.graph.nodes()) {
    const auto* conv = std::get_if<Conv>(&node.op);
    if (conv == nullptr) continue;
    const std::int64_t taps = conv->kernel.elements();
    const float larger = std::sqrt(static_cast<float>(taps));
    std::int64_t tap = 0;
    for (float& value : model.weights.at(node.name + ".weight").values()) {
      value = tap == taps / 2 ? value * larger : 0;
      tap = (tap + 1) % taps;
    }
  }
}

// Largest difference, of the largest output.
double distance(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.shape(), b.shape());
  double most = 0;
  double difference = 0;
  for (std::size_t i = 0; i < a.values().size(); ++i) {
    most = std::max(most, std::abs(static_cast<double>(a.values()[i])));
    difference = std::max(difference, std::abs(static_cast<double>(a.values()[i]) -
                                               static_cast<double>(b.values()[i])));
  }
  return difference / most;
}

// What rounding comes to in some hundred layers; random gates multiply it (se_resnet50v2).
constexpr double kRounding = 1e-3;

Tensor run(const Model& model, const Tensor& image) {
  return Session(compile(model)).run(image);
}

// Shuffled within each block; of ordinary values.
std::vector<std::int64_t> shuffled(const TiedValues& values) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(values.channels));
  std::iota(order.begin(), order.end(), 0);
  Random random(static_cast<std::uint64_t>(values.nodes.front()));
  const std::int64_t size = values.channels / values.blocks;
  for (std::int64_t first = 0; first < values.channels; first += size) {
    for (std::int64_t i = size - 1; i > 0; --i) {
      const auto j = static_cast<std::int64_t>(random.uniform() * static_cast<double>(i + 1));
      std::swap(order[static_cast<std::size_t>(first + i)],
                order[static_cast<std::size_t>(first + j)]);
    }
  }
  return order;
}

Conv conv(std::int64_t out, std::int64_t kernel, std::int64_t groups = 1) {
  return {.out_channels = out,
          .kernel = {kernel, kernel},
          .stride = {1, 1},
          .dilation = {1, 1},
          .padding_begin = {kernel / 2, kernel / 2},
          .padding_end = {kernel / 2, kernel / 2},
          .groups = groups,
          .bias = true};
}

// What the zoo does not have: a gate on a concatenation, a sum with one, a depthwise convolution of
// one, two numbers of groups at one value, several readers of each.
Graph foreign() {
  Graph graph("foreign", {2, 2});
  graph.set_policy({.stride_mode = StrideMode::kStrided, .octave_stages = {true, false}});
  const NodeId input = graph.add("input", Input{3}, {});
  const NodeId a = graph.add("a", conv(16, 3), {input}, 0);
  const NodeId b = graph.add("b", conv(32, 3), {a}, 0);
  const NodeId norm = graph.add("norm", BatchNorm{}, {b});
  const NodeId join = graph.add("join", Concat{}, {a, norm, a});
  const NodeId same = graph.add("same", conv(64, 1), {norm}, 0);
  const NodeId sum = graph.add("sum", Add{}, {same, join});
  const NodeId relu = graph.add("relu", Activation{}, {sum});
  NodeId gate = graph.add("squeeze", GlobalPool{}, {relu});
  gate = graph.add("fc1", Linear{.out_channels = 12}, {gate});
  gate = graph.add("fc2", Linear{.out_channels = 64}, {graph.add("relu1", Activation{}, {gate})});
  gate = graph.add("sigmoid", Activation{ActivationKind::kSigmoid}, {gate});
  const NodeId scaled = graph.add("scaled", Scale{}, {relu, gate});
  const NodeId depthwise = graph.add("depthwise", conv(64, 3, 64), {scaled}, 0);
  const NodeId reduced = graph.add("reduced", conv(32, 1), {depthwise}, 0);
  const NodeId by_two = graph.add("by_two", conv(16, 3, 2), {reduced}, 0);
  const NodeId by_four = graph.add("by_four", conv(16, 3, 4), {reduced}, 0);
  const NodeId last = graph.add("last", Concat{}, {by_four, by_two, reduced});
  const NodeId pooled = graph.add("pooled", GlobalPool{}, {last});
  graph.add_output(graph.add("fc", Linear{.out_channels = 5}, {pooled}));
  return graph;
}

TEST(Permute, ARenumberedNetworkComputesTheSameAndTheInverseGivesTheSameBits) {
  std::vector<Graph> graphs{foreign()};
  for (const std::string& name : families()) graphs.push_back(make_network(name));
  for (const Graph& graph : graphs) {
    SCOPED_TRACE(graph.name());
    const Model model = trained(graph);
    const Numbered numbered = number_channels(graph, shuffled);
    ASSERT_TRUE(numbered.obstacles.empty());
    const Model moved{.graph = graph,
                      .weights = renumber(graph, model.weights, graph, numbered.numbering),
                      .preprocessing = {}};
    const Tensor image = random_image(small_input(graph, true));
    EXPECT_LT(distance(run(model, image), run(moved, image)), kRounding);

    const Weights back = renumber(graph, moved.weights, graph, inverse(numbered.numbering));
    std::size_t changed = 0;
    for (const auto& [name, tensor] : model.weights) {
      EXPECT_TRUE(std::ranges::equal(tensor.values(), back.at(name).values())) << name;
      if (!std::ranges::equal(tensor.values(), moved.weights.at(name).values())) ++changed;
    }
    // All but the shift of the output.
    EXPECT_GE(changed + 2, model.weights.size());
  }
}

TEST(Twin, OfConstantMapsComputesWhatTheNetworkComputes) {
  std::vector<Graph> graphs{foreign()};
  for (const std::string& name : families()) graphs.push_back(make_network(name));
  for (const Graph& graph : graphs) {
    Model model = trained(graph);
    keep_centres(model);
    for (const double alpha : {0.25, 0.5}) {
      SCOPED_TRACE(graph.name() + " at alpha " + std::to_string(alpha));
      const Tensor image = constant_image(small_input(graph, alpha == 0.5));
      const Twin twin = make_twin(model, {.alpha = alpha});
      EXPECT_TRUE(std::ranges::any_of(twin.model.graph.nodes(),
                                      [](const Node& node) { return node.channels.octave(); }));
      EXPECT_LT(distance(run(model, image), run(twin.model, image)), kRounding);
    }
  }
}

TEST(Twin, OfUnmovedWeightsComputesSomethingElseWhereChannelsMove) {
  for (const Graph& graph :
       {foreign(), make_network("resnext50v2_32x4d"), make_network("densenet121")}) {
    SCOPED_TRACE(graph.name());
    Model model = trained(graph);
    keep_centres(model);
    const Tensor image = constant_image(small_input(graph, false));
    const Tensor expected = run(model, image);
    model.graph = octavize(graph, {.alpha = 0.25}).graph;
    EXPECT_GT(distance(expected, run(model, image)), 100 * kRounding);
  }
}

TEST(Twin, OfChosenChannelsComputesWhatTheNetworkComputesToo) {
  for (const Graph& graph : {foreign(), make_network("resnext50v2_32x4d"),
                             make_network("densenet121"), make_network("mobilenet_v2")}) {
    SCOPED_TRACE(graph.name());
    Model model = trained(graph);
    keep_centres(model);
    ChannelScores scores;
    Random random(5);
    for (const Node& node : graph.nodes()) {
      for (double& score : scores.emplace_back(static_cast<std::size_t>(node.channels.total())))
        score = random.uniform();
    }
    const Tensor image = constant_image(small_input(graph, false));
    const Tensor expected = run(model, image);
    for (const StrideMode mode :
         {StrideMode::kPool, StrideMode::kPoolTwice, StrideMode::kPoolLow, StrideMode::kStrided}) {
      const Twin twin = make_twin(model, {.alpha = 0.25, .stride_mode = mode}, scores);
      EXPECT_NE(twin.numbering, make_twin(model, {.alpha = 0.25}).numbering);
      EXPECT_LT(distance(expected, run(twin.model, image)), kRounding);
    }
  }
}

TEST(Twin, WeightsGoBackToTheNetworkBitForBit) {
  for (const Graph& graph : {foreign(), make_network("resnext50v2_32x4d")}) {
    const Model model = trained(graph);
    const Twin twin = make_twin(model, {.alpha = 0.25});
    const Weights back =
        renumber(twin.model.graph, twin.model.weights, graph, inverse(twin.numbering));
    for (const auto& [name, tensor] : model.weights)
      EXPECT_TRUE(std::ranges::equal(tensor.values(), back.at(name).values())) << name;
  }
}

TEST(Twin, SendsTheChannelsOfTheSmallestScoresToTheLowGrid) {
  Graph graph("g", {2, 2});
  graph.set_policy({.stride_mode = StrideMode::kStrided, .octave_stages = {true, false}});
  const NodeId input = graph.add("input", Input{3}, {});
  const NodeId a = graph.add("a", conv(8, 3), {input}, 0);
  const NodeId b = graph.add("b", conv(8, 3, 2), {a}, 0);
  const NodeId sum = graph.add("sum", Add{}, {a, b});
  graph.add_output(graph.add("last", conv(4, 1), {sum}, 1));
  const Model model = trained(graph);
  // Summed over a and sum: 9 1 8 7 | 6 5 2 4. Two of eight are low: one of each group.
  const ChannelScores scores{{}, {4, 1, 8, 0, 6, 5, 2, 4}, {}, {5, 0, 0, 7, 0, 0, 0, 0}, {}};
  const Twin twin = make_twin(model, {.alpha = 0.25}, scores);
  EXPECT_THAT(twin.numbering[static_cast<std::size_t>(b)],
              ::testing::ElementsAre(1, 6, 0, 2, 3, 4, 5, 7));
  EXPECT_THAT(twin.numbering[4], ::testing::ElementsAre(0, 1, 2, 3)) << "an output keeps its order";
  EXPECT_THAT(make_twin(model, {.alpha = 0.25}).numbering[static_cast<std::size_t>(sum)],
              ::testing::ElementsAre(0, 4, 1, 2, 3, 5, 6, 7));
  ChannelScores wrong = scores;
  wrong[1].pop_back();
  EXPECT_THROW(static_cast<void>(make_twin(model, {.alpha = 0.25}, wrong)), InvalidArgument);
}

TEST(Twin, KeepsOrdinaryWhatCannotKeepItsMeaning) {
  Graph graph("g", {2, 2});
  graph.set_policy({.stride_mode = StrideMode::kStrided, .octave_stages = {true, false}});
  const NodeId input = graph.add("input", Input{3}, {});
  const NodeId a = graph.add("a", conv(8, 3), {input}, 0);
  const NodeId b = graph.add("b", conv(24, 3), {input}, 0);
  const NodeId ab = graph.add("ab", Concat{}, {a, b});
  const NodeId ba = graph.add("ba", Concat{}, {b, a});
  const NodeId sum = graph.add("sum", Add{}, {ab, ba});
  const NodeId grouped = graph.add("grouped", conv(16, 3, 2), {sum}, 0);
  graph.add_output(graph.add("last", conv(4, 3), {grouped}, 1));
  Model model = trained(graph);
  keep_centres(model);
  ASSERT_TRUE(octavize(graph, {.alpha = 0.25}).kept_ordinary.empty());
  const Twin twin = make_twin(model, {.alpha = 0.25});
  const auto low = [&](NodeId id) { return twin.model.graph.node(id).channels.low; };
  EXPECT_EQ(low(sum), 0);
  EXPECT_EQ(low(a), 0);
  EXPECT_EQ(low(grouped), 4);
  ASSERT_FALSE(twin.kept_ordinary.empty());
  EXPECT_THAT(twin.kept_ordinary[0].reason, ::testing::HasSubstr("in different orders"));
  const Tensor image = constant_image({1, 3, 8, 8});
  EXPECT_LT(distance(run(model, image), run(twin.model, image)), kRounding);
}

TEST(Permute, RefusesWhatItCannotDo) {
  const Graph graph = foreign();
  const Weights weights = reference::random_weights(graph, 1);
  Numbering numbering = identity_numbering(graph);
  EXPECT_THROW(static_cast<void>(renumber(graph, weights, make_network("resnet20"), numbering)),
               InvalidArgument);
  const auto reduced = static_cast<std::size_t>(graph.find("reduced"));
  std::swap(numbering[reduced][0], numbering[reduced][31]);  // of different groups
  EXPECT_THROW(static_cast<void>(renumber(graph, weights, graph, numbering)), InvalidArgument);
  numbering[reduced][0] = 5;  // twice
  EXPECT_THROW(static_cast<void>(renumber(graph, weights, graph, numbering)), InvalidArgument);
  EXPECT_THROW(static_cast<void>(number_channels(graph,
                                                 [](const TiedValues& values) {
                                                   return std::vector<std::int64_t>(
                                                       static_cast<std::size_t>(values.channels));
                                                 })),
               InvalidArgument);
}

}  // namespace
}  // namespace octconv
