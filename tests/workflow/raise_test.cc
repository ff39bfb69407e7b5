// SPDX-License-Identifier: Apache-2.0
// Octave structure that only the operations of a file tell.
#include "octconv/graph/raise.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <onnx/onnx_pb.h>

#include "octconv/base/random.h"
#include "octconv/engine/network.h"
#include "octconv/graph/cost.h"
#include "octconv/graph/zoo.h"
#include "octconv/onnx/onnx.h"
#include "onnx/models.h"
#include "support/zoo.h"

namespace octconv {
namespace {

using onnx_test::model_of;
using onnx_test::octave_model;

// As if somebody else had written the file.
std::string without_metadata(const std::string& bytes) {
  ::onnx::ModelProto proto;
  EXPECT_TRUE(proto.ParseFromString(bytes));
  proto.clear_metadata_props();
  proto.set_producer_name("somebody");
  return proto.SerializeAsString();
}

// The values with their operations and operands, in order; the policy is not in the operations.
std::vector<std::string> description(const Graph& graph) {
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    std::string line = node.name + " = " + std::string(op_name(node.op)) + "(";
    for (const NodeId input : node.inputs) line += graph.node(input).name + " ";
    line += ") " + std::to_string(node.channels.high) + "+" + std::to_string(node.channels.low);
    lines.push_back(std::move(line));
  }
  return lines;
}

bool same_paths(const ConvOptions& a, const ConvOptions& b) {
  const std::vector<ConvPath> some = conv_paths(a);
  const std::vector<ConvPath> others = conv_paths(b);
  return std::equal(some.begin(), some.end(), others.begin(), others.end(),
                    [](const ConvPath& x, const ConvPath& y) {
                      return x.name() == y.name() && x.pools == y.pools && x.stride == y.stride &&
                             x.upsample == y.upsample && x.groups == y.groups && x.row == y.row &&
                             x.rows == y.rows && x.column == y.column && x.columns == y.columns;
                    });
}

// What the operations of a file do not tell may differ: momentum and initial values of batch norms,
// whether scales of 1 and shifts of 0 are parameters, and the stride modes and exchanges of
// convolutions that have the same paths under both.
bool same_op(const Graph& a, const Graph& b, NodeId id) {
  if (const auto* norm = std::get_if<BatchNorm>(&a.node(id).op)) {
    const auto& other = std::get<BatchNorm>(b.node(id).op);
    return static_cast<float>(norm->epsilon) == static_cast<float>(other.epsilon);
  }
  if (const auto* conv = std::get_if<Conv>(&a.node(id).op)) {
    const auto& other = std::get<Conv>(b.node(id).op);
    Conv same = *conv;
    same.stride_mode = other.stride_mode;
    same.exchange = other.exchange;
    return same == other && same_paths(a.conv_options(id), b.conv_options(id));
  }
  if (const auto* attention = std::get_if<Attention>(&a.node(id).op)) {
    const auto& other = std::get<Attention>(b.node(id).op);
    return static_cast<float>(attention->factor) == static_cast<float>(other.factor);
  }
  return a.node(id).op == b.node(id).op;
}

void expect_raised(const Model& model, const Shape& extents) {
  const std::string bytes = export_onnx(model, {.extents = extents});
  const Model wanted = parse_onnx(bytes, "ours");
  const Raised raised = raise(parse_onnx(without_metadata(bytes), "theirs"));
  EXPECT_EQ(raised.octave_convs, cost(wanted.graph, extents).octave_convs);
  const std::vector<std::string> lines = description(raised.model.graph);
  const std::vector<std::string> wanted_lines = description(wanted.graph);
  for (std::size_t i = 0; i < std::min(lines.size(), wanted_lines.size()); ++i)
    ASSERT_EQ(lines[i], wanted_lines[i]);
  ASSERT_EQ(lines.size(), wanted_lines.size());
  for (std::size_t i = 0; i < wanted.graph.nodes().size(); ++i) {
    const auto id = static_cast<NodeId>(i);
    EXPECT_TRUE(same_op(raised.model.graph, wanted.graph, id)) << wanted.graph.node(id).name;
  }
  for (const auto& [name, tensor] : wanted.weights)
    ASSERT_TRUE(raised.model.weights.contains(name)) << name;
  for (const auto& [name, tensor] : raised.model.weights) {
    const auto found = wanted.weights.find(name);
    if (found == wanted.weights.end()) {  // of a batch norm that is not affine
      const float constant = name.ends_with(".weight") ? 1 : 0;
      EXPECT_THAT(tensor.values(), testing::Each(constant)) << name;
      const NodeId norm = wanted.graph.find(name.substr(0, name.rfind('.')));
      ASSERT_GE(norm, 0) << name;
      EXPECT_FALSE(std::get<BatchNorm>(wanted.graph.node(norm).op).affine) << name;
      continue;
    }
    ASSERT_EQ(found->second.shape(), tensor.shape()) << name;
    EXPECT_TRUE(
        std::equal(tensor.values().begin(), tensor.values().end(), found->second.values().begin()))
        << name;
  }
}

// All but those that differ from others in depth only.
TEST(Raise, NetworksOfTheZooFromTheirOperations) {
  for (const ZooEntry& entry : zoo_entries()) {
    const std::string name(entry.name);
    const bool deep =
        name.find("101") != std::string::npos || name.find("152") != std::string::npos ||
        name.find("200") != std::string::npos || name == "resnet32" || name == "resnet44" ||
        name == "resnet56" || name == "resnet110" || name.find("wide_resnet") == 0;
    if (deep && !tests_everything()) continue;
    for (const double alpha : {0.125, 0.25, 0.5, 0.75}) {
      // The rarer alphas of large networks are for those who have time.
      if (name != "resnet20" && alpha != 0.25 && !(name == "resnet50v2" && alpha == 0.5) &&
          !tests_everything())
        continue;
      SCOPED_TRACE(name + " " + std::to_string(alpha));
      const Model model = octave_model(name, {.alpha = alpha}, {.classes = 5});
      if (model.graph.rank() == 3) {
        // Attention pools once more: on smaller maps a pixel would be enlarged to itself.
        const std::int64_t size = name.ends_with("_nl") ? 96 : 32;
        expect_raised(model, Shape{4, size, size + 1});
      } else {
        expect_raised(model, alpha == 0.25 ? Shape{65, 63} : Shape{64, 64});
      }
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

// Of 53 convolutions all but the first and the eight of the last stage that neither read nor make a
// low grid.
TEST(Raise, ResNet50HasAsManyOctaveConvolutionsAsItShould) {
  for (const char* name : {"resnet50v2", "resnet50_v1b"}) {
    const Model model = octave_model(name, {.alpha = 0.5}, {.classes = 5});
    const std::string bytes = export_onnx(model, {.extents = Shape{64, 64}});
    EXPECT_EQ(raise(parse_onnx(without_metadata(bytes), "theirs")).octave_convs, 53 - 1 - 8);
  }
}

TEST(Raise, EveryStrideModeAndExchange) {
  for (const StrideMode mode :
       {StrideMode::kPool, StrideMode::kPoolTwice, StrideMode::kPoolLow, StrideMode::kStrided}) {
    for (const Exchange exchange :
         {Exchange::kBoth, Exchange::kHighToLow, Exchange::kLowToHigh, Exchange::kNone}) {
      SCOPED_TRACE(std::string(to_string(mode)) + " " + std::string(to_string(exchange)));
      OctavizeOptions options{.alpha = 0.25, .exchange = exchange};
      options.stride_mode = mode;
      expect_raised(octave_model("resnet20", options), Shape{16, 16});
    }
  }
}

TEST(Raise, ConvolutionsOfEnlargedMaps) {
  for (const StrideMode mode :
       {StrideMode::kPool, StrideMode::kPoolTwice, StrideMode::kPoolLow, StrideMode::kStrided}) {
    SCOPED_TRACE(to_string(mode));
    OctavizeOptions options{.alpha = 0.25, .low_to_high = LowToHigh::kUpsampleThenConv};
    options.stride_mode = mode;
    expect_raised(octave_model("resnet20", options), Shape{16, 18});
  }
}

// ---- Networks of others, and what only looks like them

// Two octave convolutions and a last one, with a kernel and a bias for each path.
struct Spelled {
  std::int64_t pool = 2;
  PoolKind kind = PoolKind::kAverage;
  ResizeMode mode = ResizeMode::kNearest;
  std::int64_t factor = 2;
  std::int64_t padding = 1;
  bool stranger = false;  // somebody reads the low grid alone
  Shape extents = {12, 12};
};

Model spelled_out(const Spelled& s) {
  Graph graph("spelled", Shape{2, 2});
  graph.set_default_extents(s.extents);
  const auto conv = [&](const std::string& name, NodeId in, std::int64_t out) {
    return graph.add(name,
                     Conv{.out_channels = out,
                          .kernel = {3, 3},
                          .stride = {1, 1},
                          .dilation = {1, 1},
                          .padding_begin = {s.padding, s.padding},
                          .padding_end = {s.padding, s.padding},
                          .bias = true},
                     {in});
  };
  const auto half = [&](const std::string& name, NodeId in) {
    return graph.add(name,
                     Pool{.kind = s.kind,
                          .kernel = {s.pool, s.pool},
                          .stride = {2, 2},
                          .padding_begin = {0, 0},
                          .padding_end = {s.pool - 2, s.pool - 2}},
                     {in});
  };
  const auto twice = [&](const std::string& name, NodeId in) {
    return graph.add(name, Resize{.mode = s.mode, .factor = {s.factor, s.factor}, .crop = {0, 0}},
                     {in});
  };
  const auto relu = [&](const std::string& name, NodeId in) {
    return graph.add(name, Activation{}, {in});
  };
  const NodeId x = graph.add("x", Input{3}, {});
  NodeId high = relu("a.high.relu", conv("a.h2h", x, 5));
  NodeId low = relu("a.low.relu", conv("a.h2l", half("x.half", x), 4));
  const NodeId from_low = twice("b.up", conv("b.l2h", low, 6));
  const NodeId b_high = graph.add("b.high", Add{}, {from_low, conv("b.h2h", high, 6)});
  const NodeId b_low =
      graph.add("b.low", Add{}, {conv("b.h2l", half("a.half", high), 3), conv("b.l2l", low, 3)});
  high = relu("b.high.relu", b_high);
  low = relu("b.low.relu", b_low);
  const NodeId last =
      graph.add("c", Add{}, {conv("c.h2h", high, 4), twice("c.up", conv("c.l2h", low, 4))});
  graph.add_output(graph.add("mean", GlobalPool{}, {last}));
  if (s.stranger) graph.add_output(graph.add("low.mean", GlobalPool{}, {low}));
  return model_of(graph);
}

Tensor outputs(const Model& model) {
  Tensor input(Shape{2, 3, model.graph.default_extents()[0], model.graph.default_extents()[1]});
  Random random(3);
  for (float& value : input.values()) value = static_cast<float>(random.normal());
  Session session(compile(model));
  std::vector<Tensor> results = session.run(std::span(&input, 1));
  return std::move(results.front());
}

// Both add up at most a few hundred products, in different orders.
void expect_near(const Tensor& got, const Tensor& wanted) {
  float most = 0;
  for (const float value : wanted.values()) most = std::max(most, std::abs(value));
  ASSERT_EQ(got.shape(), wanted.shape());
  for (std::size_t i = 0; i < wanted.values().size(); ++i)
    EXPECT_NEAR(got.values()[i], wanted.values()[i], 1e-5F * most);
}

TEST(Raise, AKernelAndABiasForEveryPath) {
  const Model plain = spelled_out({});
  const Tensor wanted = outputs(plain);
  const Raised raised = raise(spelled_out({}));
  EXPECT_EQ(raised.octave_convs, 3);
  EXPECT_THAT(description(raised.model.graph),
              testing::ElementsAre("x = input() 3+0", "a = conv(x ) 5+4",
                                   "a.high.relu = activation(a ) 5+4", "b = conv(a.high.relu ) 6+3",
                                   "b.high.relu = activation(b ) 6+3", "c = conv(b.high.relu ) 4+0",
                                   "mean = global_pool(c ) 4+0"));
  const Tensor got = outputs(raised.model);
  expect_near(got, wanted);
}

TEST(Raise, WhatIsNotExactlyOctaveStaysAsItIs) {
  const std::vector<std::pair<const char*, Spelled>> near_misses{
      {"a pool of overlapping windows", {.pool = 3}},
      {"a maximum", {.kind = PoolKind::kMax}},
      {"interpolation", {.mode = ResizeMode::kLinear}}};
  for (const auto& [what, spelled] : near_misses) {
    SCOPED_TRACE(what);
    const Raised raised = raise(spelled_out(spelled));
    EXPECT_EQ(raised.octave_convs, 0);
    EXPECT_EQ(dump(raised.model.graph), dump(spelled_out(spelled).graph));
  }
}

// The strided convolution of implementations that pool high_to_low once, by 4: that of the mode
// `pool`, also where cells at the edge are cut off.
TEST(Raise, OnePoolOfFourIsThatOfTheStrideAndOfTheGrid) {
  for (const std::int64_t extent : {16, 14}) {
    const auto strided = [&] {
      Graph graph("strided", Shape{2, 2});
      graph.set_default_extents({extent, extent});
      const auto conv = [&](const std::string& name, NodeId in, std::int64_t out) {
        return graph.add(name,
                         Conv{.out_channels = out,
                              .kernel = {1, 1},
                              .stride = {1, 1},
                              .dilation = {1, 1},
                              .padding_begin = {0, 0},
                              .padding_end = {0, 0}},
                         {in});
      };
      const auto mean = [&](const std::string& name, NodeId in, std::int64_t kernel) {
        const std::int64_t end = (kernel - extent % kernel) % kernel;
        return graph.add(name,
                         Pool{.kind = PoolKind::kAverage,
                              .kernel = {kernel, kernel},
                              .stride = {kernel, kernel},
                              .padding_begin = {0, 0},
                              .padding_end = {end, end}},
                         {in});
      };
      const NodeId x = graph.add("x", Input{3}, {});
      const NodeId half = mean("half", x, 2);
      const NodeId low = conv("h2l", mean("quarter", x, 4), 4);
      const NodeId up = graph.add("up",
                                  Resize{.mode = ResizeMode::kNearest,
                                         .factor = {2, 2},
                                         .crop = {extent / 2 % 2, extent / 2 % 2}},
                                  {conv("l2h", low, 6)});
      graph.add_output(graph.add("last", Add{}, {conv("h2h", conv("first", half, 5), 6), up}));
      return model_of(graph);
    };
    SCOPED_TRACE(extent);
    const Raised raised = raise(strided());
    ASSERT_EQ(raised.octave_convs, 2);
    const Graph& graph = raised.model.graph;
    EXPECT_EQ(std::get<Conv>(graph.node(graph.find("first")).op).stride_mode, StrideMode::kPool);
    expect_near(outputs(raised.model), outputs(strided()));
  }
}

// Somebody reads the low grid of "b" alone: that is two convolutions then.
TEST(Raise, AGridThatIsReadAloneIsAValueOfItsOwn) {
  const Raised raised = raise(spelled_out({.stranger = true}));
  const Graph& graph = raised.model.graph;
  EXPECT_TRUE(graph.node(graph.find("a.high.relu")).channels.octave());
  for (const char* name : {"b", "b_2", "b.high.relu", "b.low.relu"})
    EXPECT_EQ(graph.node(graph.find(name)).channels.low, 0) << name;
  const Tensor wanted = outputs(spelled_out({.stranger = true}));
  const Tensor got = outputs(raised.model);
  expect_near(got, wanted);
}

}  // namespace
}  // namespace octconv
