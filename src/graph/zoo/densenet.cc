// SPDX-License-Identifier: Apache-2.0
// DenseNet-121 of the octave article's figure 4.
//
// Source: facebookresearch/OctConv, utils/symbol (growth 32, bottlenecks of 128 channels).
//
// The stem is ordinary: the first block starts without low channels, and every dense layer adds its
// own. A transition belongs to the stage that it leads to, so that the last one ends the low
// channels at its convolution, before its pool.
#include <array>

#include "graph/zoo/families.h"
#include "graph/zoo/layers.h"

namespace octconv::zoo {
namespace {

struct DenseNet {
  std::array<int, 4> blocks;

  [[nodiscard]] Graph build(std::string_view name, const NetworkOptions& options) const {
    constexpr std::int64_t kGrowth = 32;
    Graph graph = imagenet_graph(name, StrideMode::kPoolTwice, CountingRule::kSymbol);
    Builder layers(graph, kSymbolNorm, options);
    NodeId x = layers.conv("conv1", layers.input(), 64, 7, 2);
    x = layers.relu("relu", layers.batch_norm("bn1", x));
    x = layers.add_node("maxpool", square_pool(PoolKind::kMax, 2, 3, 2, 1), {x});
    for (int stage = 0; stage < 4; ++stage) {
      if (stage > 0) {
        layers.begin_block("transition" + std::to_string(stage) + ".", stage);
        const std::int64_t half = graph.node(x).channels.total() / 2;
        x = layers.conv("conv", layers.relu("relu", layers.batch_norm("bn", x)), half, 1);
        x = layers.add_node("pool", square_pool(PoolKind::kAverage, 2, 2, 2, 0), {x});
      }
      for (int layer = 0; layer < blocks[static_cast<std::size_t>(stage)]; ++layer) {
        layers.begin_block(block_prefix(stage, layer), stage);
        NodeId y = layers.relu("relu1", layers.batch_norm("bn1", x));
        y = layers.conv("conv1", y, 4 * kGrowth, 1);
        y = layers.relu("relu2", layers.batch_norm("bn2", y));
        y = layers.conv("conv2", y, kGrowth, 3);
        x = layers.add_node("concat", Concat{}, {x, y});
      }
    }
    layers.begin_block("", Node::kNoStage);
    x = layers.relu("relu_last", layers.batch_norm("bn_last", x));
    layers.classifier(x, 1000);
    return graph;
  }
};

constexpr DenseNet kDenseNet121{{6, 12, 24, 16}};

}  // namespace

std::vector<ZooEntry> densenets() {
  return {entry_of<kDenseNet121>("densenet121", "DenseNet-121 of the article's figure 4")};
}

}  // namespace octconv::zoo
