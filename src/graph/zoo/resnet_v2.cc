// SPDX-License-Identifier: Apache-2.0
// Pre-activation bottleneck networks for 224 x 224 images: ResNet, SE-ResNet and ResNeXt of the
// octave article's figure 4.
//
// Source: facebookresearch/OctConv, utils/symbol.
//
//   y = conv1x1(relu(bn(conv3x3(relu(bn(conv1x1(relu(bn(x))))))));  [y = squeeze-excite(y)]
//   the first block of every stage projects its shortcut, with a batch norm and relu of its own
//
// There is no batch norm at the end of a branch.
#include <array>

#include "graph/zoo/families.h"
#include "graph/zoo/layers.h"

namespace octconv::zoo {
namespace {

struct PreActivation {
  std::array<int, 4> blocks;
  std::int64_t width = 64;  // channels of the 3x3 convolutions of the first stage
  std::int64_t groups = 1;  // of the 3x3 convolutions
  bool squeeze_excite = false;

  [[nodiscard]] Graph build(std::string_view name, const NetworkOptions& options) const {
    Graph graph = imagenet_graph(name, StrideMode::kPoolTwice, CountingRule::kSymbol);
    Builder layers(graph, kSymbolNorm, options);
    NodeId x = layers.conv("conv1", layers.input(), 64, 7, 2);
    x = layers.relu("relu", layers.batch_norm("bn1", x));
    x = layers.add_node("maxpool", square_pool(PoolKind::kMax, 2, 3, 2, 1), {x});
    for (int stage = 0; stage < 4; ++stage) {
      const std::int64_t mid = width << stage;
      const std::int64_t out = std::int64_t{256} << stage;
      for (int block = 0; block < blocks[static_cast<std::size_t>(stage)]; ++block) {
        layers.begin_block(block_prefix(stage, block), stage);
        const std::int64_t stride = stage > 0 && block == 0 ? 2 : 1;
        NodeId y = layers.conv("conv1", layers.relu("relu1", layers.batch_norm("bn1", x)), mid, 1);
        y = layers.conv("conv2", layers.relu("relu2", layers.batch_norm("bn2", y)), mid, 3, stride,
                        groups);
        y = layers.conv("conv3", layers.relu("relu3", layers.batch_norm("bn3", y)), out, 1);
        if (squeeze_excite) y = layers.squeeze_excite(y);
        if (block == 0) {
          x = layers.relu("downsample.relu", layers.batch_norm("downsample.bn", x));
          x = layers.conv("downsample.conv", x, out, 1, stride);
        }
        x = layers.add("add", y, x);
      }
    }
    layers.begin_block("", Node::kNoStage);
    x = layers.relu("relu_last", layers.batch_norm("bn_last", x));
    layers.classifier(x, 1000);
    return graph;
  }
};

constexpr PreActivation kResNet26{.blocks = {2, 2, 2, 2}};
constexpr PreActivation kResNet50{.blocks = {3, 4, 6, 3}};
constexpr PreActivation kResNet101{.blocks = {3, 4, 23, 3}};
constexpr PreActivation kResNet152{.blocks = {3, 8, 36, 3}};
constexpr PreActivation kResNet200{.blocks = {3, 24, 36, 3}};
constexpr PreActivation kSeResNet50{.blocks = {3, 4, 6, 3}, .squeeze_excite = true};
constexpr PreActivation kResNeXt50{.blocks = {3, 4, 6, 3}, .width = 128, .groups = 32};
constexpr PreActivation kResNeXt101{.blocks = {3, 4, 23, 3}, .width = 128, .groups = 32};

}  // namespace

std::vector<ZooEntry> pre_activation_resnets() {
  return {
      entry_of<kResNet26>("resnet26v2", "pre-activation ResNet-26 of the article's figure 4"),
      entry_of<kResNet50>("resnet50v2", "pre-activation ResNet-50 of the article's figure 4"),
      entry_of<kResNet101>("resnet101v2", "pre-activation ResNet-101 of the article's figure 4"),
      entry_of<kResNet152>("resnet152v2", "pre-activation ResNet-152 of the authors' code"),
      entry_of<kResNet200>("resnet200v2", "pre-activation ResNet-200 of the article's figure 4"),
      entry_of<kSeResNet50>("se_resnet50v2",
                            "pre-activation SE-ResNet-50 of the article's figure 4"),
      entry_of<kResNeXt50>("resnext50v2_32x4d",
                           "pre-activation ResNeXt-50 32x4d of the article's figure 4"),
      entry_of<kResNeXt101>("resnext101v2_32x4d",
                            "pre-activation ResNeXt-101 32x4d of the article's figure 4"),
  };
}

}  // namespace octconv::zoo
