// SPDX-License-Identifier: Apache-2.0
// Which batch norms go, and that what is left computes the same (an interpreter in double, which
// folds nothing, says so).
#include "octconv/graph/fold.h"

#include <optional>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "octconv/base/error.h"
#include "octconv/graph/octavize.h"
#include "octconv/graph/zoo.h"
#include "support/random_values.h"
#include "support/reference_network.h"

namespace octconv {
namespace {

Conv conv(std::int64_t channels, bool bias = false) {
  return {.out_channels = channels,
          .kernel = {3, 3},
          .stride = {1, 1},
          .dilation = {1, 1},
          .padding_begin = {1, 1},
          .padding_end = {1, 1},
          .bias = bias};
}

Model random_model(Graph graph) {
  Weights weights = reference::random_weights(graph, 1);
  return {.graph = std::move(graph), .weights = std::move(weights)};
}

int norms(const Graph& graph) {
  int count = 0;
  for (const Node& node : graph.nodes()) count += std::holds_alternative<BatchNorm>(node.op);
  return count;
}

void expect_same_function(const Model& a, const Model& b, const Shape& extents) {
  Random random(2);
  const std::int64_t channels = a.graph.node(0).channels.total();
  Tensor image(Shape{channels * extents.elements()});
  testing::fill_random(image.values(), random);
  const auto output = [&](const Model& model) {
    const reference::Interpreter interpreter(model, [&](NodeId id) {
      return id == 0 ? std::optional(reference::Value{
                           reference::from_values(channels, extents, image.values()), {}})
                     : std::nullopt;
    });
    return interpreter.compute(model.graph.outputs()[0]).first;
  };
  const reference::Map first = output(a);
  const reference::Map second = output(b);
  ASSERT_EQ(first.values.size(), second.values.size());
  double largest = 0;
  for (const double value : first.values) largest = std::max(largest, std::abs(value));
  ASSERT_GT(largest, 0);
  for (std::size_t i = 0; i < first.values.size(); ++i)
    EXPECT_NEAR(first.values[i], second.values[i], 1e-5 * largest);  // weights are float32
}

TEST(Fold, LeavesNoBatchNormBehindAConvolution) {
  for (const double alpha : {0.0, 0.5}) {
    const Model model = random_model(octavize(make_network("resnet20"), {.alpha = alpha}).graph);
    const Model folded = fold_batch_norms(model);
    EXPECT_GT(norms(model.graph), 0);
    EXPECT_EQ(norms(folded.graph), 0);
    EXPECT_NO_THROW(check_weights(folded.graph, folded.weights));
    for (const Node& node : folded.graph.nodes()) {
      const Node& before = model.graph.node(model.graph.find(node.name));
      EXPECT_EQ(node.channels, before.channels) << node.name;
      EXPECT_EQ(node.stage, before.stage) << node.name;
    }
    EXPECT_EQ(folded.graph.policy(), model.graph.policy());
    EXPECT_EQ(folded.graph.default_extents(), model.graph.default_extents());
    expect_same_function(model, folded, {9, 8});
  }
}

TEST(Fold, KeepsBatchNormsThatComeBeforeAConvolution) {
  const Model model = random_model(make_network("densenet121", {.classes = 3}));
  const Model folded = fold_batch_norms(model);
  // Behind conv1, and behind the first convolution of each of 58 layers; not before these, in the 3
  // transitions or at the end.
  EXPECT_EQ(norms(model.graph), 1 + 2 * 58 + 3 + 1);
  EXPECT_EQ(norms(folded.graph), 58 + 3 + 1);
}

TEST(Fold, TakesBiasesAndNormsInARow) {
  Graph graph("row", {2, 2});
  NodeId x = graph.add("in", Input{2}, {});
  x = graph.add("conv", conv(3, true), {x});
  x = graph.add("first", BatchNorm{.epsilon = 0.5}, {x});
  x = graph.add("second", BatchNorm{.affine = false}, {x});
  graph.add_output(x);
  const Model model = random_model(graph);
  const Model folded = fold_batch_norms(model);
  EXPECT_EQ(folded.graph.nodes().size(), 2U);
  EXPECT_EQ(folded.graph.outputs()[0], folded.graph.find("conv"));
  expect_same_function(model, folded, {5, 4});
}

TEST(Fold, KeepsANormWhoseConvolutionOthersRead) {
  for (const bool as_output : {false, true}) {
    Graph graph("shared", {2, 2});
    const NodeId in = graph.add("in", Input{2}, {});
    const NodeId layer = graph.add("conv", conv(2), {in});
    const NodeId norm = graph.add("norm", BatchNorm{}, {layer});
    graph.add_output(as_output ? norm : graph.add("sum", Add{}, {norm, layer}));
    if (as_output) graph.add_output(layer);
    EXPECT_EQ(norms(fold_batch_norms(random_model(graph)).graph), 1);
  }
}

TEST(Fold, NeedsWeightsThatFit) {
  Model model = random_model(make_network("resnet20"));
  model.weights.erase("bn1.running_var");
  EXPECT_THROW(static_cast<void>(fold_batch_norms(model)), InvalidArgument);
}

}  // namespace
}  // namespace octconv
