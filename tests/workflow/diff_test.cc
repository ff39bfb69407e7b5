// SPDX-License-Identifier: Apache-2.0
// Two models on one input. Models that differ in one place show that the place is found.
#include "workflow/diff.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "octconv/base/error.h"
#include "octconv/engine/network.h"
#include "octconv/graph/fold.h"
#include "octconv/graph/octavize.h"
#include "octconv/graph/zoo.h"
#include "support/reference_network.h"
#include "workflow/sample.h"

namespace octconv::workflow {
namespace {

using testing::HasSubstr;

Model octave_resnet(double alpha) {
  Graph graph = octavize(make_network("resnet20"), {.alpha = alpha}).graph;
  graph.set_default_extents({9, 9});
  Weights weights = reference::random_weights(graph, 3);
  return {.graph = std::move(graph), .weights = std::move(weights)};
}

Diff diff_on_random(const Model& a, const Model& b, double tolerance = kDiffTolerance) {
  return diff_models(a, b, random_inputs(a, 5), tolerance);
}

Model copy(const Model& model) {
  Model twin{.graph = model.graph, .weights = {}, .preprocessing = model.preprocessing};
  for (const auto& [name, tensor] : model.weights) twin.weights.emplace(name, tensor.clone());
  return twin;
}

TEST(Diff, AModelAgreesWithItself) {
  const Model model = octave_resnet(0.5);
  const Diff diff = diff_on_random(model, model, 0);
  EXPECT_TRUE(diff.agree);
  ASSERT_EQ(diff.outputs.size(), 1U);
  EXPECT_EQ(diff.outputs[0].name, "fc");
  EXPECT_EQ(diff.outputs[0].absolute, 0);
  EXPECT_EQ(diff.outputs[0].relative, 0);
  EXPECT_FALSE(diff.first_parting);
  EXPECT_TRUE(diff.incomparable.empty());
  const auto nodes = static_cast<std::int64_t>(model.graph.nodes().size());
  EXPECT_EQ(diff.first_nodes, nodes);
  EXPECT_EQ(diff.shared_nodes, nodes);
}

TEST(Diff, MeasuresTheOutputAgainstItsRange) {
  const Model model = mean_model(2, 3, 4);
  Model other = copy(model);
  other.weights.at("linear.bias").data()[1] += 0.25F;
  const std::vector<Tensor> inputs = random_inputs(model, 1);
  const Tensor output = Session(compile(model)).run(inputs[0]);
  const auto [least, most] = std::minmax_element(output.values().begin(), output.values().end());
  const Diff diff = diff_models(model, other, inputs, kDiffTolerance);
  EXPECT_FALSE(diff.agree);
  EXPECT_NEAR(diff.outputs[0].absolute, 0.25, 1e-6);
  EXPECT_NEAR(diff.outputs[0].relative, 0.25 / static_cast<double>(*most - *least), 1e-5);
  EXPECT_TRUE(diff_models(model, other, inputs, 1.01 * diff.outputs[0].relative).agree);
  EXPECT_FALSE(diff_models(model, other, inputs, 0.99 * diff.outputs[0].relative).agree);
}

TEST(Diff, FindsTheFirstNodeThatParts) {
  const Model model = octave_resnet(0.5);
  for (const std::string changed : {"conv1", "layer2.0.conv1", "layer3.1.bn2", "fc"}) {
    Model other = copy(model);
    other.weights.at(changed + ".weight").data()[0] += 1;
    const Diff diff = diff_on_random(model, other);
    EXPECT_FALSE(diff.agree) << changed;
    ASSERT_TRUE(diff.first_parting) << changed;
    EXPECT_EQ(diff.first_parting->name, changed);
    EXPECT_GT(diff.first_parting->relative, kDiffTolerance);
  }
}

TEST(Diff, SeesTheLowGridAlone) {
  const Model model = octave_resnet(0.5);
  const std::string conv = "layer1.1.conv1";
  const NodeId id = model.graph.find(conv);
  const ChannelSplit& split = model.graph.node(id).channels;
  ASSERT_TRUE(split.octave());
  Model other = copy(model);
  // Row 0 is a low channel of the result, and the last column a high one of the input.
  Tensor& weight = other.weights.at(conv + ".weight");
  weight.data()[weight.elements() / weight.shape()[0] - 1] += 1;
  const Diff diff = diff_on_random(model, other);
  ASSERT_TRUE(diff.first_parting);
  EXPECT_EQ(diff.first_parting->name, conv);
}

TEST(Diff, ValuesOfOtherSplitsAreNotCompared) {
  const Diff diff = diff_on_random(octave_resnet(0), octave_resnet(0.5));
  EXPECT_FALSE(diff.agree);
  ASSERT_FALSE(diff.incomparable.empty());
  for (const ValueDiff& value : diff.incomparable)
    EXPECT_THAT(value.reason, HasSubstr(" high + 0 low channels and ")) << value.name;
  EXPECT_TRUE(std::none_of(diff.incomparable.begin(), diff.incomparable.end(),
                           [](const ValueDiff& value) { return value.name == "input"; }));
  ASSERT_TRUE(diff.first_parting);
}

TEST(Diff, AFoldedModelAgrees) {
  const Model model = octave_resnet(0.25);
  const Model folded = fold_batch_norms(model);
  const Diff diff = diff_on_random(model, folded);
  EXPECT_TRUE(diff.agree);
  EXPECT_LT(diff.outputs[0].relative, 1e-5);
  EXPECT_EQ(diff.shared_nodes, diff.second_nodes);
  EXPECT_LT(diff.second_nodes, diff.first_nodes);
}

TEST(Diff, ANumberAndNoNumberDiffer) {
  const Model model = mean_model(1, 2, 2);
  Model other = copy(model);
  other.weights.at("linear.bias").data()[0] = std::numeric_limits<float>::quiet_NaN();
  const Diff diff = diff_on_random(model, other, 1e30);
  EXPECT_FALSE(diff.agree);
  EXPECT_TRUE(std::isinf(diff.outputs[0].absolute));
  EXPECT_TRUE(diff_on_random(other, other).agree);
}

TEST(Diff, TakesInputsByNameWhereNamesAreTheSame) {
  const auto of = [](std::vector<std::string> names) {
    Graph graph("pair", {2, 2});
    graph.set_default_extents({2, 2});
    const NodeId a = graph.add(names[0], Input{1}, {});
    const NodeId b = graph.add(names[1], Input{1}, {});
    // The first by name, through a sum with itself: twice its value.
    const NodeId x = graph.find("x") >= 0 ? graph.find("x") : a;
    const NodeId sum = graph.add("sum", Add{}, {x, x});
    graph.add_output(graph.add("joined", Concat{}, {sum, x == a ? b : a}));
    return Model{.graph = graph, .weights = {}};
  };
  EXPECT_TRUE(diff_on_random(of({"x", "y"}), of({"y", "x"})).agree);
  EXPECT_TRUE(diff_on_random(of({"x", "y"}), of({"p", "q"})).agree);
  EXPECT_FALSE(diff_on_random(of({"x", "y"}), of({"q", "x"})).agree);  // in order: x is second
}

TEST(Diff, RefusesWhatCannotBeCompared) {
  const Model model = mean_model(1, 2, 2);
  EXPECT_THROW(static_cast<void>(diff_on_random(model, model, -1)), InvalidArgument);
  EXPECT_THROW(static_cast<void>(diff_on_random(model, model, std::nan(""))), InvalidArgument);
  Model two = copy(model);
  two.graph.add_output(two.graph.find("pool"));
  EXPECT_THROW(static_cast<void>(diff_on_random(model, two)), InvalidArgument);
  const Diff other_shape = diff_on_random(model, mean_model(1, 3, 2));
  EXPECT_FALSE(other_shape.agree);
  EXPECT_THAT(other_shape.outputs[0].reason, HasSubstr("shapes [1, 2] and [1, 3]"));
}

}  // namespace
}  // namespace octconv::workflow
