// SPDX-License-Identifier: Apache-2.0
// The module, and the engine on the file that was exported from it, compute the same.
#include <algorithm>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "octconv/base/random.h"
#include "octconv/engine/network.h"
#include "octconv/graph/cost.h"
#include "octconv/graph/octavize.h"
#include "octconv/graph/zoo.h"
#include "octconv/nn/graph_module.h"
#include "octconv/onnx/onnx.h"
#include "support/decoder.h"
#include "support/zoo.h"

namespace octconv {
namespace {

// The same network, whose running statistics become those of one batch.
Graph with_momentum_one(const Graph& graph) {
  Graph copy(graph.name(), graph.octave());
  for (const Node& node : graph.nodes()) {
    Op op = node.op;
    if (auto* norm = std::get_if<BatchNorm>(&op)) norm->momentum = 1;
    copy.add(node.name, op, node.inputs, node.stage);
  }
  for (const NodeId output : graph.outputs()) copy.add_output(output);
  return copy;
}

at::Tensor random_images(std::int64_t count, const Shape& extents, std::int64_t channels = 3) {
  std::vector<std::int64_t> shape{count, channels};
  for (const std::int64_t extent : extents) shape.push_back(extent);
  torch::manual_seed(5);
  return at::randn(shape);
}

// Weights as a trained network has them: no parameter is at the value that hides a mistake, and the
// statistics are those of data, without which 152 layers with gates multiply rounding errors.
Weights trained_weights(const Graph& graph, const Shape& extents) {
  Weights weights = initial_weights(graph, 3);
  Random random(4);
  for (const Parameter& parameter : parameters(graph)) {
    if (parameter.kind == Parameter::Kind::kWeight) continue;
    const bool scale = parameter.kind == Parameter::Kind::kScale;
    for (float& value : weights.at(parameter.name).values()) {
      value = static_cast<float>(scale ? 0.5 + random.uniform() : random.normal() / 4);
    }
  }
  nn::GraphModule module(with_momentum_one(graph));
  module.load(weights);
  const at::NoGradGuard guard;
  static_cast<void>(module.forward(random_images(8, extents)));
  return module.weights();
}

// Few pixels, since some networks have 200 layers.
Shape extents_of(const Graph& graph, std::int64_t size) {
  return graph.rank() == 3 ? Shape{4, size, size} : Shape::filled(graph.rank(), size);
}

class ModuleAndEngine : public testing::TestWithParam<ZooEntry> {};

// `through_file`: the engine gets what the ONNX file holds.
void expect_agreement(const Model& model, const Shape& extents, bool through_file) {
  const at::Tensor images =
      random_images(2, extents, model.graph.node(model.graph.inputs()[0]).channels.total());
  Tensor input(Shape(std::span(images.sizes().data(), images.sizes().size())));
  std::memcpy(input.data(), images.data_ptr<float>(), input.values().size_bytes());

  nn::GraphModule module(model.graph);
  module.load(model.weights);
  module.eval();
  const at::NoGradGuard guard;
  const at::Tensor expected = module.forward(images).contiguous();

  Session session(through_file
                      ? compile(parse_onnx(export_onnx(model, {.extents = extents}), "exported"))
                      : compile(model));
  const Tensor got = session.run(input);

  ASSERT_EQ(got.elements(), expected.numel());
  const float* want = expected.data_ptr<float>();
  const auto [least, most] = std::minmax_element(want, want + expected.numel());
  const double range = static_cast<double>(*most) - static_cast<double>(*least);
  ASSERT_GT(range, 0);
  for (std::int64_t i = 0; i < got.elements(); ++i) {
    EXPECT_NEAR(got.data()[i], want[i], 1e-4 * range) << "output " << i;
  }
}

// With all that the networks of the zoo do not have, in every rank.
TEST(ModuleAndEngine, AgreeOnDecoders) {
  for (const Shape& extents : {Shape{9}, Shape{6, 5}, Shape{4, 3, 5}}) {
    SCOPED_TRACE(extents.to_string());
    const Graph graph = examples::octave_decoder_graph(extents.rank());
    const Model model{graph, initial_weights(graph, 7), {}};
    for (const bool through_file : {false, true}) expect_agreement(model, extents, through_file);
  }
}

TEST(ModuleAndEngine, AgreeWhereLowIsUpsampledBeforeItsConvolution) {
  for (const StrideMode mode : {StrideMode::kPool, StrideMode::kPoolLow, StrideMode::kStrided}) {
    SCOPED_TRACE(to_string(mode));
    const Graph graph =
        octavize(make_network("resnet20", {.classes = 10}),
                 {.alpha = 0.5, .stride_mode = mode, .low_to_high = LowToHigh::kUpsampleThenConv})
            .graph;
    const Model model{graph, trained_weights(graph, {13, 14}), {}};
    expect_agreement(model, {13, 14}, false);
  }
}

// Even grids without low channels, odd ones at every level with them. The octave twins take the
// weights of the ordinary network. The largest networks are compared at one alpha only, unless
// everything is tested.
TEST_P(ModuleAndEngine, AgreeToATenThousandthOfTheRange) {
  const Graph graph = make_network(GetParam().name, {.classes = 10});
  const std::int64_t even = graph.default_extents()[0] == 32 ? 16 : 32;
  const std::int64_t odd = graph.default_extents()[0] == 32 ? 13 : 37;
  Model model{graph, trained_weights(graph, extents_of(graph, odd)), {}};
  const bool large = cost(graph, extents_of(graph, even)).params > 30'000'000;
  for (const auto& [alpha, size] : {std::pair{0.0, even}, {0.25, odd}, {0.5, odd}}) {
    if (large && alpha != 0.5 && !tests_everything()) continue;
    SCOPED_TRACE(alpha);
    model.graph = octavize(graph, {.alpha = alpha}).graph;
    expect_agreement(model, extents_of(graph, size), alpha == 0.5);
  }
}

INSTANTIATE_TEST_SUITE_P(Zoo, ModuleAndEngine, testing::ValuesIn(zoo_entries()), name_of);

}  // namespace
}  // namespace octconv
