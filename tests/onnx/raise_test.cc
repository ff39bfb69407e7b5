// SPDX-License-Identifier: Apache-2.0
// Octave structure that only the operations of a file tell.
#include "octconv/graph/raise.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <onnx/onnx_pb.h>

#include "octconv/graph/cost.h"
#include "octconv/onnx/onnx.h"
#include "onnx/models.h"

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
// and the stride modes and exchanges of convolutions that have the same paths under both.
bool same_op(const Graph& a, const Graph& b, NodeId id) {
  if (const auto* norm = std::get_if<BatchNorm>(&a.node(id).op)) {
    const auto& other = std::get<BatchNorm>(b.node(id).op);
    return norm->affine == other.affine &&
           static_cast<float>(norm->epsilon) == static_cast<float>(other.epsilon);
  }
  if (const auto* conv = std::get_if<Conv>(&a.node(id).op)) {
    const auto& other = std::get<Conv>(b.node(id).op);
    Conv same = *conv;
    same.stride_mode = other.stride_mode;
    same.exchange = other.exchange;
    return same == other && same_paths(a.conv_options(id), b.conv_options(id));
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
    EXPECT_TRUE(same_op(raised.model.graph, wanted.graph, id))
        << wanted.graph.node(id).name;
  }
  ASSERT_EQ(raised.model.weights.size(), wanted.weights.size());
  for (const auto& [name, tensor] : wanted.weights) {
    const Tensor& other = raised.model.weights.at(name);
    ASSERT_EQ(other.shape(), tensor.shape()) << name;
    EXPECT_TRUE(std::equal(tensor.values().begin(), tensor.values().end(), other.values().begin()))
        << name;
  }
}

TEST(Raise, NetworksOfTheZoo) {
  for (const char* name : {"resnet20", "resnet50v2", "resnet50_v1b", "mobilenet_v1", "mobilenet_v2",
                           "densenet121", "resnext50v2_32x4d", "se_resnet50v2"}) {
    for (const double alpha : {0.125, 0.25, 0.5, 0.75}) {
      SCOPED_TRACE(std::string(name) + " " + std::to_string(alpha));
      const Model model = octave_model(name, {.alpha = alpha}, {.classes = 5});
      const bool small = model.graph.default_extents()[0] == 32;
      expect_raised(model, small ? Shape{16, 16} : Shape{64, 64});
      expect_raised(model, small ? Shape{15, 13} : Shape{65, 63});
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace octconv
