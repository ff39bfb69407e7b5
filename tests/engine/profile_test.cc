// SPDX-License-Identifier: Apache-2.0
// A profile counts what the network counts, and names what it measures.
#include "octconv/engine/profile.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

#include "octconv/base/error.h"
#include "octconv/graph/cost.h"
#include "octconv/graph/model.h"
#include "octconv/graph/octavize.h"
#include "octconv/graph/zoo.h"

namespace octconv {
namespace {

Model model_of(const char* name, double alpha) {
  Graph graph = octavize(make_network(name, {.classes = 7}), {.alpha = alpha}).graph;
  Weights weights = initial_weights(graph, 1);
  return {.graph = std::move(graph), .weights = std::move(weights), .preprocessing = {}};
}

TEST(Profile, CountsTheMultiplyAddsOfTheNetwork) {
  for (const char* name : {"resnet20", "mobilenet_v2", "se_resnet50v2", "resnet26v2"}) {
    for (const double alpha : {0.0, 0.5}) {
      const Model model = model_of(name, alpha);
      const Tensor input(Shape{2, 3, 33, 32});
      const NetworkProfile result = profile(compile(model), std::span(&input, 1), 1);
      EXPECT_EQ(result.macs(), 2 * cost(model.graph, {33, 32}).macs) << name << " " << alpha;
    }
  }
}

TEST(Profile, NamesEveryStepAndHowItIsComputed) {
  const Model model = model_of("resnet20", 0.5);
  const Tensor input(Shape{1, 3, 32, 32});
  const NetworkProfile result = profile(compile(model, {.exact = true}), std::span(&input, 1), 3);
  std::set<std::string> names;
  std::int64_t bytes = 0;
  for (const StepProfile& step : result.steps) {
    EXPECT_TRUE(names.insert(step.name).second) << step.name;
    EXPECT_GE(model.graph.find(step.name), 0) << step.name;
    EXPECT_GT(step.median_ns, 0) << step.name;
    EXPECT_EQ(step.method.empty(), step.macs == 0) << step.name;
    if (!step.method.empty()) {
      EXPECT_EQ(step.method, "direct");
    }
    bytes += step.bytes;
  }
  EXPECT_EQ(result.bytes(), bytes);
  EXPECT_GT(result.run_ns, 0);
  EXPECT_EQ(result.steps.back().kind, "linear");
  EXPECT_EQ(result.steps.back().shape, "64 to 7");
  // Input and output of the last layer, its weights and biases, in whole vectors.
  EXPECT_GE(result.steps.back().bytes, 4 * (64 + 7 + 64 * 7 + 7));
}

TEST(Profile, RefusesWhatCannotBeMeasured) {
  const Network network = compile(model_of("resnet20", 0));
  const Tensor input(Shape{1, 3, 32, 32});
  const Tensor wrong(Shape{1, 4, 32, 32});
  EXPECT_THROW(static_cast<void>(profile(network, std::span(&input, 1), 0)), InvalidArgument);
  EXPECT_THROW(static_cast<void>(profile(network, std::span(&wrong, 1), 1)), InvalidArgument);
  EXPECT_THROW(static_cast<void>(profile(network, {}, 1)), InvalidArgument);
}

}  // namespace
}  // namespace octconv
