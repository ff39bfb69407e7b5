// SPDX-License-Identifier: Apache-2.0
// Which name is which parameter. That networks then compute what PyTorch computes, is tested with
// PyTorch (tests/onnx/pytorch_test.py).
#include "octconv/graph/state_dict.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "octconv/base/error.h"
#include "octconv/graph/octavize.h"
#include "octconv/graph/zoo.h"
#include "support/pth_file.h"
#include "support/reference_network.h"
#include "support/scratch.h"

namespace octconv {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

StateDict random_state(const Graph& graph) {
  return reference::random_weights(graph, 1);
}

StateDict copy(const StateDict& state) {
  StateDict twin;
  for (const auto& [name, tensor] : state) twin.emplace(name, tensor.clone());
  return twin;
}

std::vector<float> values(const Tensor& tensor) {
  return {tensor.values().begin(), tensor.values().end()};
}

void expect_same(const Weights& weights, const StateDict& expected) {
  ASSERT_EQ(weights.size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    ASSERT_TRUE(weights.contains(name)) << name;
    EXPECT_EQ(values(weights.at(name)), values(tensor)) << name;
  }
}

std::string complaint(const Graph& graph, StateDict state) {
  try {
    static_cast<void>(with_state_dict(graph, std::move(state)));
  } catch (const InvalidArgument& error) {
    return error.what();
  }
  return "";
}

TEST(StateDict, TakesTheNetworksOwnNamesBehindAnyPrefix) {
  const Graph graph = octavize(make_network("resnet20"), {.alpha = 0.5}).graph;
  const StateDict state = random_state(graph);
  for (const std::string prefix : {"", "module.", "state_dict.", "model.module."}) {
    StateDict prefixed;
    for (const auto& [name, tensor] : state) prefixed.emplace(prefix + name, tensor.clone());
    prefixed.emplace(prefix + "bn1.num_batches_tracked", Tensor(Shape()));
    const Model model = with_state_dict(graph, std::move(prefixed));
    expect_same(model.weights, state);
    EXPECT_EQ(model.graph.nodes().back().op, graph.nodes().back().op);
  }
}

TEST(StateDict, KeepsAPrefixThatTheNetworkHas) {
  Graph graph("own", {2, 2});
  const NodeId pooled = graph.add("pool", GlobalPool{}, {graph.add("in", Input{2}, {})});
  graph.add_output(graph.add("model.fc", Linear{.out_channels = 3}, {pooled}));
  const StateDict state = random_state(graph);
  ASSERT_TRUE(state.contains("model.fc.weight"));
  expect_same(with_state_dict(graph, copy(state)).weights, state);
}

TEST(StateDict, NamesEveryProblemAtOnce) {
  const Graph graph = make_network("resnet20");
  StateDict state = random_state(graph);
  state.erase("fc.bias");
  state.erase("layer1.0.bn1.running_var");
  state.insert_or_assign("conv1.weight", Tensor(Shape{1, 2}));
  state.emplace("head.weight", Tensor(Shape{3}));
  EXPECT_THAT(complaint(graph, std::move(state)),
              AllOf(HasSubstr("'resnet20'"), HasSubstr("'fc.bias' [10] is missing"),
                    HasSubstr("'layer1.0.bn1.running_var' [16] is missing"),
                    HasSubstr("'conv1.weight' has shape [1, 2] instead of [16, 3, 3, 3]"),
                    HasSubstr("'head.weight' [3] belongs nowhere"), Not(HasSubstr("layer2"))));
  EXPECT_THAT(complaint(graph, {}), HasSubstr("'layer3.2.bn2.weight'"));
}

// The names of d-li14/octconv.pytorch: a convolution `name` is `name.conv` with a kernel per path,
// and the batch norm behind it is `name.bn_h` and `name.bn_l`.
StateDict split_by_path(const Graph& graph, const StateDict& whole) {
  StateDict state;
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    const auto id = static_cast<NodeId>(i);
    if (const auto* conv = std::get_if<Conv>(&node.op)) {
      const Tensor& weight = whole.at(node.name + ".weight");
      const ChannelSplit& in = graph.node(node.inputs[0]).channels;
      const std::int64_t taps = conv->kernel.elements();
      // Low channels are the first rows and columns.
      for (const bool dst_low : {false, true}) {
        for (const bool src_low : {false, true}) {
          const std::int64_t rows = dst_low ? node.channels.low : node.channels.high;
          const std::int64_t columns = src_low ? in.low : in.high;
          if (rows == 0 || columns == 0) continue;
          Tensor kernel({rows, columns, conv->kernel[0], conv->kernel[1]});
          for (std::int64_t r = 0; r < rows; ++r) {
            for (std::int64_t c = 0; c < columns; ++c) {
              for (std::int64_t t = 0; t < taps; ++t) {
                const std::int64_t row = r + (dst_low ? 0 : node.channels.low);
                const std::int64_t column = c + (src_low ? 0 : in.low);
                kernel.data()[(r * columns + c) * taps + t] =
                    weight.data()[(row * in.total() + column) * taps + t];
              }
            }
          }
          const std::string path = std::string(src_low ? "l" : "h") + "2" + (dst_low ? "l" : "h");
          state.emplace(node.name + ".conv.conv_" + path + ".weight", std::move(kernel));
        }
      }
    } else if (std::holds_alternative<BatchNorm>(node.op)) {
      for (const Parameter& parameter : parameters(graph, id)) {
        const Tensor& tensor = whole.at(parameter.name);
        const std::string what = parameter.name.substr(node.name.size());
        const std::string owner = graph.node(node.inputs[0]).name;
        for (const bool low : {false, true}) {
          const std::int64_t count = low ? node.channels.low : node.channels.high;
          if (count == 0) continue;
          Tensor part(Shape{count});
          std::copy_n(tensor.data() + (low ? 0 : node.channels.low), count, part.data());
          state.emplace(owner + (low ? ".bn_l" : ".bn_h") + what, std::move(part));
        }
      }
    } else {
      for (const Parameter& parameter : parameters(graph, id))
        state.emplace(parameter.name, whole.at(parameter.name).clone());
    }
  }
  return state;
}

TEST(StateDict, JoinsOneKernelPerPathIntoOneWeight) {
  for (const double alpha : {0.0, 0.25, 0.5}) {
    const Graph graph =
        octavize(make_network("resnet50_v1b", {.classes = 4}), {.alpha = alpha}).graph;
    const StateDict whole = random_state(graph);
    StateDict state = split_by_path(graph, whole);
    EXPECT_EQ(state.contains("layer1.0.conv2.conv.conv_l2h.weight"), alpha > 0);
    EXPECT_TRUE(state.contains("layer2.0.downsample.0.bn_h.running_mean"));
    expect_same(with_state_dict(graph, std::move(state)).weights, whole);
  }
}

// "layer1.0.conv2.conv.conv_h2h.weight" and "layer1.0.conv2.bn_h.weight" as the authors' Gluon code
// calls them: "L1_B0.conv2.conv_h2h.weight" and "L1_B0.bn2.bn_h.gamma".
std::string gluon_name(std::string name) {
  const auto replace = [&](const std::string& from, const std::string& to) {
    const std::size_t at = name.find(from);
    if (at != std::string::npos) name.replace(at, from.size(), to);
  };
  if (name.starts_with("fc.")) return "classifer" + name.substr(2);
  const bool norm = name.find(".bn_") != std::string::npos;
  if (norm && name.ends_with(".weight")) replace(".weight", ".gamma");
  if (norm && name.ends_with(".bias")) replace(".bias", ".beta");
  if (name.starts_with("conv1.")) {  // ordinary modules of a sequence
    replace(norm ? "conv1.bn_h" : "conv1.conv.conv_h2h", norm ? "conv1.1" : "conv1.0");
    return name;
  }
  replace("downsample.0", "conv4");
  replace(".conv.conv_", ".conv_");
  if (norm) replace(".conv", ".bn");
  replace("layer", "L");
  name.replace(name.find('.'), 1, "_B");
  return name;
}

TEST(StateDict, KnowsTheNamesOfTheAuthorsGluonCode) {
  for (const double alpha : {0.0, 0.5}) {
    const Graph graph =
        octavize(make_network("resnet50_v1b", {.classes = 4}), {.alpha = alpha}).graph;
    const StateDict whole = random_state(graph);
    StateDict state;
    for (auto& [name, tensor] : split_by_path(graph, whole)) {
      const Shape& shape = tensor.shape();
      Tensor theirs = name == "fc.weight" ? tensor.clone().reshaped({shape[0], shape[1], 1, 1})
                                          : tensor.clone();
      state.emplace(gluon_name(name), std::move(theirs));
    }
    EXPECT_TRUE(state.contains("L2_B0.bn4.bn_h.gamma"));
    EXPECT_TRUE(state.contains("L1_B0.conv1.conv_h2h.weight"));
    EXPECT_TRUE(state.contains("conv1.1.running_mean"));
    expect_same(with_state_dict(graph, std::move(state)).weights, whole);
  }
}

TEST(StateDict, OtherSplitsThanTheNetworksAreProblems) {
  const Graph half = octavize(make_network("resnet20"), {.alpha = 0.5}).graph;
  const Graph quarter = octavize(make_network("resnet20"), {.alpha = 0.25}).graph;
  StateDict state = split_by_path(half, random_state(half));
  EXPECT_THAT(complaint(quarter, copy(state)),
              HasSubstr("'layer1.0.conv1.conv.conv_h2l.weight' has shape"));
  EXPECT_THAT(complaint(make_network("resnet20"), copy(state)),
              HasSubstr("'layer1.0.conv1.conv.conv_l2l.weight' [8, 8, 3, 3] belongs nowhere"));
  state.erase("layer1.0.conv1.conv.conv_l2h.weight");
  state.erase("layer1.0.conv1.bn_l.bias");
  EXPECT_THAT(complaint(half, std::move(state)),
              AllOf(HasSubstr("'layer1.0.conv1.conv.conv_l2h.weight' [8, 8, 3, 3] is missing"),
                    HasSubstr("'layer1.0.conv1.bn_l.bias' [8] is missing")));
}

class StateDictFile : public ScratchFolder {};

TEST_F(StateDictFile, IsReadByItsFirstBytes) {
  const std::string header = R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  std::string safetensors(1, static_cast<char>(header.size()));
  safetensors += std::string(7, '\0') + header + std::string(4, '\0');
  EXPECT_EQ(read_state_dict(write("any", safetensors)).size(), 1U);
  const std::string pth = examples::pth(
      examples::pickled_dict({{"w", examples::pickled_tensor("FloatStorage", "0", 0, {1}, {1})}}),
      {{"0", std::string(4, '\0')}});
  EXPECT_EQ(read_state_dict(write("other", pth)).size(), 1U);
  EXPECT_THROW(static_cast<void>(read_state_dict(write("bad", "nothing"))), FormatError);
}

}  // namespace
}  // namespace octconv
