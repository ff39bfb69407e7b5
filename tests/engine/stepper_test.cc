// SPDX-License-Identifier: Apache-2.0
#include "octconv/engine/stepper.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "octconv/base/error.h"
#include "octconv/graph/octavize.h"
#include "octconv/graph/zoo.h"
#include "support/random_values.h"
#include "support/reference_network.h"

namespace octconv {
namespace {

Model octave_model() {
  Graph graph = octavize(make_network("resnet20"), {.alpha = 0.25}).graph;
  Weights weights = reference::random_weights(graph, 1);
  return {.graph = std::move(graph), .weights = std::move(weights), .preprocessing = {}};
}

Tensor images() {
  Tensor input(Shape{2, 3, 9, 8});
  Random random(2);
  testing::fill_random(input.values(), random);
  return input;
}

TEST(Stepper, ShowsTheValuesThatASessionKeeps) {
  const Model model = octave_model();
  const std::vector<std::string> names{"input", "layer1.0.conv1", "layer2.0.add", "avgpool"};
  Session session(compile(model, {.keep = names}));
  const Tensor expected = session.run(images());
  Stepper stepper(model, names);
  std::vector<std::string> shown;
  const Tensor output = stepper.run(images(), [&](NodeId id, const std::array<GridView, 2>& value) {
    const Node& node = model.graph.node(id);
    shown.push_back(node.name);
    for (std::size_t frequency = 0; frequency < 2; ++frequency) {
      const bool high = frequency == 0;
      const GridView& grid = value[frequency];
      ASSERT_EQ(grid.channels, high ? node.channels.high : node.channels.low);
      if (grid.channels == 0) continue;
      const Tensor kept = session.value(node.name, high ? Frequency::kHigh : Frequency::kLow);
      ASSERT_EQ(static_cast<std::int64_t>(grid.values.size()), kept.elements());
      const std::int64_t pixels = grid.extents.elements();
      for (std::int64_t i = 0; i < kept.elements(); ++i) {
        const std::int64_t image = i / (pixels * grid.channels);
        const std::int64_t channel = i / pixels % grid.channels;
        const std::int64_t at = (image * pixels + i % pixels) * grid.channels + channel;
        ASSERT_EQ(kept.data()[i], grid.values[static_cast<std::size_t>(at)]) << node.name;
      }
    }
  });
  EXPECT_EQ(shown, names);
  EXPECT_TRUE(std::ranges::equal(output.values(), expected.values()));
  EXPECT_LT(stepper.arena_elements(2, {9, 8}), session.arena_elements());
}

TEST(Stepper, PassesOnWhatIsWrittenToAValue) {
  const Model model = octave_model();
  Stepper stepper(model, {"avgpool"});
  const Tensor output = stepper.run(images(), [](NodeId, const std::array<GridView, 2>& value) {
    std::ranges::fill(value[0].values, 0.0F);
  });
  const auto bias = model.weights.at("fc.bias").values();
  for (std::size_t i = 0; i < output.values().size(); ++i)
    EXPECT_EQ(output.values()[i], bias[i % bias.size()]);
}

TEST(Stepper, RefusesWhatASessionRefuses) {
  const Model model = octave_model();
  EXPECT_THROW(Stepper(model, {"nothing"}), InvalidArgument);
  Stepper stepper(model, {});
  const auto ignore = [](NodeId, const std::array<GridView, 2>&) {};
  EXPECT_THROW(stepper.run(Tensor(Shape{1, 1, 9, 8}), ignore), InvalidArgument);
  EXPECT_THROW(stepper.run(Tensor(Shape{1, 3, 9}), ignore), InvalidArgument);
  Model two = octave_model();
  two.graph.add_output(two.graph.find("avgpool"));
  EXPECT_THROW(Stepper(two, {}), Unsupported);
}

}  // namespace
}  // namespace octconv
