// SPDX-License-Identifier: Apache-2.0
// The maps inside an octave network.
#include "workflow/frequency_maps.h"

#include <gmock/gmock.h>

#include "octconv/graph/octavize.h"
#include "octconv/graph/zoo.h"
#include "workflow/sample.h"

namespace octconv::workflow {
namespace {

Tensor one_map(std::int64_t height, std::int64_t width, const std::vector<float>& values) {
  Tensor maps({1, 1, height, width});
  std::copy(values.begin(), values.end(), maps.data());
  return maps;
}

TEST(FineShare, IsAllOfACheckerboardAndNothingOfCells) {
  EXPECT_DOUBLE_EQ(fine_share(one_map(2, 4, {1, 0, 1, 0, 0, 1, 0, 1})), 1);
  EXPECT_DOUBLE_EQ(fine_share(one_map(2, 4, {1, 1, 0, 0, 1, 1, 0, 0})), 0);
  EXPECT_DOUBLE_EQ(fine_share(one_map(2, 2, {3, 3, 3, 3})), 0);
}

TEST(FineShare, CountsOnlyRealPixelsAtAnOddEdge) {
  // Cells {0, 2} and {4} around their own means, against {0, 2, 4} around 2.
  EXPECT_DOUBLE_EQ(fine_share(one_map(1, 3, {0, 2, 4})), 2.0 / 8.0);
}

TEST(ClearestMaps, ComeInTheOrderOfTheirContrastStretchedToBlackAndWhite) {
  Tensor maps({1, 3, 1, 2});
  const std::vector<float> values{5, 5, -1, 3, 0, 1};
  std::copy(values.begin(), values.end(), maps.data());
  const std::vector<Image> images = clearest_maps(maps, 2);
  ASSERT_EQ(images.size(), 2U);
  EXPECT_THAT(images[0].pixels, testing::ElementsAre(0, 255));
  EXPECT_THAT(images[1].pixels, testing::ElementsAre(0, 255));
  EXPECT_THAT(clearest_maps(maps, 9)[2].pixels, testing::ElementsAre(0, 0));  // no contrast
}

TEST(OctaveNodes, AreTheFirstActivationsWithBothFrequencies) {
  const Graph graph = octavize(make_network("resnet20"), {.alpha = 0.25}).graph;
  const std::vector<NodeId> nodes = octave_nodes(graph, 3);
  ASSERT_EQ(nodes.size(), 3U);
  for (const NodeId id : nodes) {
    EXPECT_TRUE(std::holds_alternative<Activation>(graph.node(id).op));
    EXPECT_GT(graph.node(id).channels.low, 0);
    EXPECT_GT(graph.node(id).channels.high, 0);
  }
  EXPECT_LT(nodes[0], nodes[1]);
  EXPECT_TRUE(octave_nodes(make_network("resnet20"), 3).empty());
}

TEST(FrequencyMaps, HaveTheSizesOfTheirGrids) {
  const Graph graph = octavize(make_network("resnet20", {.in_channels = 1}), {.alpha = 0.25}).graph;
  Weights weights = initial_weights(graph, 1);
  const Model model{.graph = graph, .weights = std::move(weights)};
  Tensor input({1, 1, 9, 10});
  Random random(1);
  for (float& value : input.values()) value = static_cast<float>(random.normal());
  const std::vector<FrequencyMaps> all = frequency_maps(model, input, octave_nodes(graph, 2), 3);
  ASSERT_EQ(all.size(), 2U);
  for (const FrequencyMaps& maps : all) {
    ASSERT_EQ(maps.high.size(), 3U);
    ASSERT_EQ(maps.low.size(), 3U);
    EXPECT_EQ(maps.high[0].height, 9);
    EXPECT_EQ(maps.high[0].width, 10);
    EXPECT_EQ(maps.low[0].height, 5);
    EXPECT_EQ(maps.low[0].width, 5);
    EXPECT_GT(maps.fine_share, 0);
    EXPECT_LT(maps.fine_share, 1);
  }
}

}  // namespace
}  // namespace octconv::workflow
