// SPDX-License-Identifier: Apache-2.0
// Wide residual networks: pre-activation blocks of two 3x3 convolutions, few and wide.
//
// Source: Zagoruyko, Komodakis, "Wide Residual Networks", BMVC 2016, table 1 (depth 28, width 10:
// 36.5 million parameters). The first block of every stage projects its shortcut, from the
// activated input. Not in the octave article; octave as the CIFAR networks are, but the stem stays
// ordinary.
#include "graph/zoo/families.h"
#include "graph/zoo/layers.h"

namespace octconv::zoo {
namespace {

struct WideResNet {
  int blocks_per_stage;
  std::int64_t width;

  [[nodiscard]] Graph build(std::string_view name, const NetworkOptions& options) const {
    Graph graph(std::string(name), Shape{2, 2});
    graph.set_default_extents({32, 32});
    graph.set_policy({.stride_mode = StrideMode::kPool, .octave_stages = {true, true, false}});
    Builder layers(graph, BatchNorm{}, options);

    NodeId x = layers.conv("conv1", layers.input(), 16, 3);
    for (int stage = 0; stage < 3; ++stage) {
      const std::int64_t channels = (std::int64_t{16} << stage) * width;
      for (int block = 0; block < blocks_per_stage; ++block) {
        layers.begin_block(block_prefix(stage, block), stage);
        const std::int64_t stride = stage > 0 && block == 0 ? 2 : 1;
        const NodeId active = layers.relu("relu1", layers.batch_norm("bn1", x));
        NodeId y = layers.conv("conv1", active, channels, 3, stride);
        y = layers.conv("conv2", layers.relu("relu2", layers.batch_norm("bn2", y)), channels, 3);
        if (block == 0) x = layers.conv("downsample", active, channels, 1, stride);
        x = layers.add("add", y, x);
      }
    }
    layers.begin_block("", Node::kNoStage);
    x = layers.relu("relu_last", layers.batch_norm("bn_last", x));
    layers.classifier(x, 10);
    return graph;
  }
};

constexpr WideResNet kWideResNet28x10{4, 10};

}  // namespace

std::vector<ZooEntry> wide_resnets() {
  return {entry_of<kWideResNet28x10>("wide_resnet28_10",
                                     "CIFAR WRN-28-10 (Zagoruyko, Komodakis 2016)")};
}

}  // namespace octconv::zoo
