// SPDX-License-Identifier: Apache-2.0
// Every network of the zoo trains: gradients reach each parameter, and a step down lowers the loss.
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "octconv/base/random.h"
#include "octconv/graph/octavize.h"
#include "octconv/graph/zoo.h"
#include "octconv/nn/graph_module.h"
#include "support/zoo.h"

namespace octconv::nn {
namespace {

// As in a network that has trained a while: no batch norm is closed or at rest.
Weights moved_weights(const Graph& graph) {
  Weights weights = initial_weights(graph, 1);
  Random random(2);
  for (const Parameter& parameter : parameters(graph)) {
    if (parameter.kind == Parameter::Kind::kWeight) continue;
    const bool positive =
        parameter.kind == Parameter::Kind::kScale || parameter.kind == Parameter::Kind::kVariance;
    for (float& value : weights.at(parameter.name).values()) {
      value = static_cast<float>(positive ? 0.75 + random.uniform() / 2 : random.normal() / 10);
    }
  }
  return weights;
}

class ZooTraining : public testing::TestWithParam<ZooEntry> {};

TEST_P(ZooTraining, GradientsReachEveryParameterAndAStepLowersTheLoss) {
  const Graph ordinary = make_network(GetParam().name, {.classes = 4});
  GraphModule module(octavize(ordinary, {.alpha = 0.25}).graph);
  module.load(moved_weights(ordinary));
  torch::manual_seed(3);
  std::vector<std::int64_t> shape{4, 3};
  const bool video = ordinary.rank() == 3;
  if (video) shape.push_back(4);
  const std::int64_t size = video ? 41 : ordinary.default_extents()[0] == 32 ? 9 : 33;
  shape.insert(shape.end(), {size, size});
  const at::Tensor images = at::randn(shape);
  const at::Tensor labels = at::arange(4);
  const auto loss = [&] { return at::cross_entropy_loss(module.forward(images), labels); };
  const at::Tensor before = loss();
  before.backward();
  const at::NoGradGuard guard;
  double squares = 0;
  for (const auto& [name, tensor] : module.named_parameters()) {
    ASSERT_TRUE(tensor.grad().defined()) << name;
    EXPECT_GT(tensor.grad().abs().max().item<float>(), 0) << name;
    squares += tensor.grad().square().sum().item<double>();
  }
  // Down the gradient the loss falls, if the step is small enough; how small depends on how far
  // batch norms over few pixels are from linear. A step would lower a linear loss by such a part.
  bool lowered = false;
  double taken = 0;
  for (const double part : {1e-3, 1e-4, 1e-5}) {
    const double step = part * before.item<double>() / squares;
    for (const auto& [name, tensor] : module.named_parameters()) {
      tensor.sub_(tensor.grad(), step - taken);
    }
    taken = step;
    lowered = lowered || loss().item<double>() < before.item<double>();
  }
  EXPECT_TRUE(lowered);
}

// All but those that differ from one of the others in depth only, unless everything is tested.
std::vector<ZooEntry> families() {
  std::vector<ZooEntry> all;
  for (const ZooEntry& entry : zoo_entries()) {
    const bool deeper = entry.name.find("101v2") != std::string_view::npos ||
                        entry.name.find("01_v1b") != std::string_view::npos ||
                        entry.name.find("152_v1b") != std::string_view::npos ||
                        entry.name == "resnet152v2" || entry.name == "resnet200v2" ||
                        entry.name == "resnet152_v1e";
    if (!deeper || tests_everything()) all.push_back(entry);
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Networks, ZooTraining, testing::ValuesIn(families()), name_of);

}  // namespace
}  // namespace octconv::nn
