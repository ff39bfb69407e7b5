// SPDX-License-Identifier: Apache-2.0
// Receptive fields against what a network does: one input pixel is changed, and every value is
// asked whether it noticed.
#include "octconv/graph/receptive_field.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "octconv/engine/network.h"
#include "octconv/graph/octavize.h"
#include "support/random_values.h"
#include "support/reference_network.h"

namespace octconv {
namespace {

constexpr std::int64_t kLength = 192;

Conv conv(std::int64_t channels, std::int64_t kernel, std::int64_t stride,
          std::int64_t dilation = 1) {
  const std::int64_t padding = dilation * (kernel - 1) / 2;
  return {.out_channels = channels,
          .kernel = {kernel},
          .stride = {stride},
          .dilation = {dilation},
          .padding_begin = {padding},
          .padding_end = {padding}};
}

// No activations and no maxima, which hide what they depend on.
Graph line(StrideMode mode, Exchange exchange) {
  Graph graph("line", {2});
  graph.set_policy({.stride_mode = mode, .octave_stages = {true, false}});
  NodeId x = graph.add("input", Input{1}, {});
  x = graph.add("stem", conv(4, 3, 1), {x});
  x = graph.add("born", conv(4, 3, 1), {x}, 0);
  const NodeId before = x;
  x = graph.add("wide", conv(4, 5, 1), {x}, 0);
  x = graph.add("sum", Add{}, {x, before});
  x = graph.add("strided", conv(4, 3, 2), {x}, 0);
  x = graph.add("dilated", conv(4, 3, 1, 2), {x}, 0);
  const NodeId joined = graph.add("join", Concat{}, {x, graph.add("more", conv(4, 3, 1), {x}, 0)});
  const Pool pool{.kind = PoolKind::kAverage,
                  .kernel = {2},
                  .stride = {2},
                  .padding_begin = {0},
                  .padding_end = {0}};
  x = graph.add("pool", pool, {joined});
  x = graph.add("last", conv(4, 3, 1), {x}, 1);
  graph.add_output(x);
  return octavize(graph, {.alpha = 0.5, .exchange = exchange}).graph;
}

// Which input pixels a pixel notices: by value, frequency and pixel.
using Seen = std::map<std::pair<std::string, Frequency>, std::vector<std::vector<std::int64_t>>>;

Seen observe(const Graph& graph) {
  std::vector<std::string> names;
  for (const Node& node : graph.nodes()) names.push_back(node.name);
  const Model model{.graph = graph, .weights = reference::random_weights(graph, 1)};
  Session session(compile(model, {.keep = names}));
  // Everything is linear: the answer to a single pixel is what depends on it.
  Seen seen;
  for (std::int64_t pixel = 0; pixel < kLength; ++pixel) {
    Tensor input(Shape{1, 1, kLength});
    input.values()[static_cast<std::size_t>(pixel)] = 1;
    static_cast<void>(session.run(input));
    for (const Node& node : graph.nodes()) {
      for (const Frequency frequency : {Frequency::kHigh, Frequency::kLow}) {
        const std::int64_t channels =
            frequency == Frequency::kHigh ? node.channels.high : node.channels.low;
        if (channels == 0) continue;
        const Tensor value = session.value(node.name, frequency);
        auto& pixels = seen[{node.name, frequency}];
        const std::int64_t count = value.shape()[2];
        pixels.resize(static_cast<std::size_t>(count));
        for (std::int64_t i = 0; i < value.elements(); ++i) {
          if (value.data()[i] != 0) pixels[static_cast<std::size_t>(i % count)].push_back(pixel);
        }
      }
    }
  }
  return seen;
}

TEST(ReceptiveField, IsWhatANetworkNotices) {
  for (const StrideMode mode :
       {StrideMode::kPool, StrideMode::kPoolTwice, StrideMode::kPoolLow, StrideMode::kStrided}) {
    for (const Exchange exchange :
         {Exchange::kBoth, Exchange::kHighToLow, Exchange::kLowToHigh, Exchange::kNone}) {
      SCOPED_TRACE(std::string(to_string(mode)) + " " + std::string(to_string(exchange)));
      const Graph graph = line(mode, exchange);
      const std::vector<ValueReceptiveField> fields = receptive_fields(graph);
      for (const auto& [key, pixels] : observe(graph)) {
        const ValueReceptiveField& both = fields[static_cast<std::size_t>(graph.find(key.first))];
        const ReceptiveField& field = key.second == Frequency::kHigh ? both.high : both.low;
        EXPECT_FALSE(field.whole);
        EXPECT_EQ(field.jump[0], kLength / static_cast<std::int64_t>(pixels.size())) << key.first;
        std::int64_t most = 0;
        for (std::vector<std::int64_t> noticed : pixels) {
          std::sort(noticed.begin(), noticed.end());
          if (noticed.empty()) continue;
          most = std::max(most, noticed.back() - noticed.front() + 1);
        }
        EXPECT_EQ(field.extent[0], most) << key.first << " on " << field.jump[0];
      }
    }
  }
}

// Section 3.2 of the article.
TEST(ReceptiveField, GrowsTwiceAsFastOnTheLowGrid) {
  Graph graph("deep", {2, 2});
  graph.set_policy({.stride_mode = StrideMode::kPool, .octave_stages = {true}});
  const auto square = [](std::int64_t kernel) {
    return Conv{.out_channels = 4,
                .kernel = {kernel, kernel},
                .stride = {1, 1},
                .dilation = {1, 1},
                .padding_begin = {kernel / 2, kernel / 2},
                .padding_end = {kernel / 2, kernel / 2}};
  };
  NodeId x = graph.add("input", Input{3}, {});
  x = graph.add("born", square(1), {x}, 0);
  std::vector<NodeId> layers;
  for (int i = 0; i < 5; ++i) {
    x = graph.add("conv" + std::to_string(i), square(3), {x}, 0);
    layers.push_back(x);
  }
  graph.add_output(graph.add("last", square(1), {x}));
  const Graph octave =
      octavize(graph, {.alpha = 0.5, .exchange = Exchange::kNone}).graph;  // grids apart
  const std::vector<ValueReceptiveField> fields = receptive_fields(octave);
  std::int64_t layer = 0;
  for (const NodeId id : layers) {
    ++layer;
    const ValueReceptiveField& field = fields[static_cast<std::size_t>(id)];
    const std::int64_t high = 1 + 2 * layer;
    EXPECT_EQ(field.high.extent, (Shape{high, high}));
    EXPECT_EQ(field.low.extent, (Shape{2 * high, 2 * high}));
    EXPECT_EQ(field.low.jump, (Shape{2, 2}));
  }
}

TEST(ReceptiveField, OfAGateAndAfterAGlobalPoolIsTheWholeImage) {
  Graph graph("gated", {2});
  const NodeId x = graph.add("input", Input{2}, {});
  const NodeId scaled = graph.add("scaled", Scale{}, {x, graph.add("mean", GlobalPool{}, {x})});
  graph.add_output(graph.add("conv", conv(2, 3, 1), {scaled}));
  const std::vector<ValueReceptiveField> fields = receptive_fields(graph);
  EXPECT_FALSE(fields[0].high.whole);
  for (std::size_t id = 1; id < 4; ++id) EXPECT_TRUE(fields[id].high.whole) << id;
  EXPECT_FALSE(fields[3].low.whole);
}

}  // namespace
}  // namespace octconv
