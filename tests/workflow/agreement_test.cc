// SPDX-License-Identifier: Apache-2.0
// The module, and the engine on the file that was exported from it, compute the same.
#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "octconv/base/random.h"
#include "octconv/engine/network.h"
#include "octconv/graph/octavize.h"
#include "octconv/graph/zoo.h"
#include "octconv/nn/graph_module.h"
#include "octconv/onnx/onnx.h"

namespace octconv {
namespace {

// Weights as a trained network has them: no parameter is at the value that hides a mistake.
Weights random_weights(const Graph& graph, std::uint64_t seed) {
  Weights weights = initial_weights(graph, seed);
  Random random(seed + 1);
  for (const Parameter& parameter : parameters(graph)) {
    if (parameter.kind == Parameter::Kind::kWeight) continue;
    const bool positive =
        parameter.kind == Parameter::Kind::kScale || parameter.kind == Parameter::Kind::kVariance;
    for (float& value : weights.at(parameter.name).values()) {
      value = static_cast<float>(positive ? 0.5 + random.uniform() : random.normal() / 4);
    }
  }
  return weights;
}

// Few pixels, since some networks have 200 layers.
Shape extents_of(const Graph& graph, std::int64_t size) {
  return graph.rank() == 3 ? Shape{4, size, size} : Shape::filled(graph.rank(), size);
}

class ModuleAndEngine : public testing::TestWithParam<ZooEntry> {};

void expect_agreement(const Model& model, std::int64_t size) {
  const Shape extents = extents_of(model.graph, size);
  Shape shape{2, 3};
  for (const std::int64_t extent : extents) shape.push_back(extent);
  Tensor input(shape);
  Random random(5);
  for (float& value : input.values()) value = static_cast<float>(random.normal());

  nn::GraphModule module(model.graph);
  module.load(model.weights);
  module.eval();
  const at::NoGradGuard guard;
  at::Tensor images = at::empty(std::vector<std::int64_t>(shape.begin(), shape.end()));
  std::memcpy(images.data_ptr<float>(), input.data(), input.values().size_bytes());
  const at::Tensor expected = module.forward(images).contiguous();

  const std::string file = export_onnx(model, {.extents = extents});
  Session session(compile(parse_onnx(file, "exported")));
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

// Even grids without low channels, odd ones at every level with them. The octave twins take the
// weights of the ordinary network.
TEST_P(ModuleAndEngine, AgreeToATenThousandthOfTheRange) {
  const Graph graph = make_network(GetParam().name, {.classes = 10});
  Model model{graph, random_weights(graph, 3), {}};
  for (const auto& [alpha, size] : {std::pair{0.0, 32}, {0.25, 37}, {0.5, 37}}) {
    SCOPED_TRACE(alpha);
    model.graph = octavize(graph, {.alpha = alpha}).graph;
    expect_agreement(model, size);
  }
}

INSTANTIATE_TEST_SUITE_P(Zoo, ModuleAndEngine, testing::ValuesIn(zoo_entries()),
                         [](const testing::TestParamInfo<ZooEntry>& info) {
                           return std::string(info.param.name);
                         });

}  // namespace
}  // namespace octconv
