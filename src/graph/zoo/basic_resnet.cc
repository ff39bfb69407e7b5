// SPDX-License-Identifier: Apache-2.0
// ResNet-18 and ResNet-34: post-activation blocks of two 3x3 convolutions, for 224 x 224 images.
//
// Source: He et al., "Deep Residual Learning", CVPR 2016, table 1. Not in the octave article;
// octave by the rules of its post-activation networks. The first stage has no projection, so that
// its residual stream is the stem's value and stays ordinary: only what lies between its
// convolutions is octave.
#include <array>

#include "graph/zoo/families.h"
#include "graph/zoo/layers.h"

namespace octconv::zoo {
namespace {

constexpr int kOrdinary = 3;  // the stage that the policy keeps ordinary

struct BasicResNet {
  std::array<int, 4> blocks;

  [[nodiscard]] Graph build(std::string_view name, const NetworkOptions& options) const {
    Graph graph = imagenet_graph(name, StrideMode::kPool, CountingRule::kGluon);
    Builder layers(graph, kGluonNorm, options);
    NodeId x = layers.conv("conv1", layers.input(), 64, 7, 2);
    x = layers.relu("relu", layers.batch_norm("bn1", x));
    x = layers.add_node("maxpool", square_pool(PoolKind::kMax, 2, 3, 2, 1), {x});
    for (int stage = 0; stage < 4; ++stage) {
      const std::int64_t channels = std::int64_t{64} << stage;
      for (int block = 0; block < blocks[static_cast<std::size_t>(stage)]; ++block) {
        layers.begin_block(block_prefix(stage, block), stage);
        const bool first = stage > 0 && block == 0;
        const std::int64_t stride = first ? 2 : 1;
        NodeId y = layers.conv("conv1", x, channels, 3, stride);
        y = layers.relu("relu1", layers.batch_norm("bn1", y));
        if (stage == 0) layers.set_stage(kOrdinary);
        y = layers.last_batch_norm("bn2", layers.conv("conv2", y, channels, 3));
        if (first) {
          x = layers.conv("downsample.0", x, channels, 1, stride);
          x = layers.batch_norm("downsample.1", x);
        }
        x = layers.relu("relu2", layers.add("add", y, x));
      }
    }
    layers.classifier(x, 1000);
    return graph;
  }
};

constexpr BasicResNet kResNet18{{2, 2, 2, 2}};
constexpr BasicResNet kResNet34{{3, 4, 6, 3}};

}  // namespace

std::vector<ZooEntry> basic_resnets() {
  return {entry_of<kResNet18>("resnet18v1", "post-activation ResNet-18 (He et al. 2016)"),
          entry_of<kResNet34>("resnet34v1", "post-activation ResNet-34 (He et al. 2016)")};
}

}  // namespace octconv::zoo
