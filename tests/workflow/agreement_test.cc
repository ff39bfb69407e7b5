// SPDX-License-Identifier: Apache-2.0
// The module, and the engine on the file that was exported from it, compute the same.
#include <algorithm>
#include <cstring>

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

struct Case {
  const char* network;
  double alpha;
  std::int64_t size;
};

class ModuleAndEngine : public testing::TestWithParam<Case> {};

TEST_P(ModuleAndEngine, AgreeToATenThousandthOfTheRange) {
  const Case& c = GetParam();
  const Graph graph = octavize(make_network(c.network, {.classes = 10}), {.alpha = c.alpha}).graph;
  Model model{graph, random_weights(graph, 3), {}};

  Tensor input({2, 3, c.size, c.size});
  Random random(5);
  for (float& value : input.values()) value = static_cast<float>(random.normal());

  nn::GraphModule module(graph);
  module.load(model.weights);
  module.eval();
  const at::NoGradGuard guard;
  at::Tensor images = at::empty({2, 3, c.size, c.size});
  std::memcpy(images.data_ptr<float>(), input.data(), input.values().size_bytes());
  const at::Tensor expected = module.forward(images).contiguous();

  const std::string file = export_onnx(model, {.extents = {c.size, c.size}});
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

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const ZooEntry& entry : zoo_entries()) {
    // Even grids without low channels, odd ones at every level with them.
    all.push_back({entry.name.data(), 0.0, 32});
    for (const double alpha : {0.25, 0.5}) all.push_back({entry.name.data(), alpha, 37});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Zoo, ModuleAndEngine, testing::ValuesIn(cases()));

}  // namespace
}  // namespace octconv
