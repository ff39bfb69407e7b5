// SPDX-License-Identifier: Apache-2.0
// MobileNet v2 of the octave article's table 5.
//
// Source: facebookresearch/OctConv, utils/gluon; Sandler et al., CVPR 2018.
//
// Only the expanded channels inside a block are divided: blocks take and give ordinary values. The
// first block keeps its 1x1 expansion, though it expands by 1 only. Strides are pools everywhere
// but in the stem.
#include <array>

#include "graph/zoo/families.h"
#include "graph/zoo/layers.h"

namespace octconv::zoo {
namespace {

// Whether a convolution makes low channels, as stages of the policy.
constexpr int kOctave = 0;
constexpr int kOrdinary = 1;

struct Block {
  std::int64_t out_channels;
  std::int64_t stride;
};

constexpr std::array kBlocks{
    Block{16, 1}, Block{24, 2},  Block{24, 1},  Block{32, 2},  Block{32, 1}, Block{32, 1},
    Block{64, 2}, Block{64, 1},  Block{64, 1},  Block{64, 1},  Block{96, 1}, Block{96, 1},
    Block{96, 1}, Block{160, 2}, Block{160, 1}, Block{160, 1}, Block{320, 1}};
constexpr std::size_t kLastOctaveBlock = 12;

struct MobileNetV2 {
  double width;

  [[nodiscard]] std::int64_t scaled(std::int64_t channels) const {
    return static_cast<std::int64_t>(static_cast<double>(channels) * width);
  }

  [[nodiscard]] Graph build(std::string_view name, const NetworkOptions& options) const {
    Graph graph(std::string(name), Shape{2, 2});
    graph.set_default_extents({224, 224});
    graph.set_policy({.stride_mode = StrideMode::kPool,
                      .octave_stages = {true, false},
                      .counting = CountingRule::kGluon});
    Builder layers(graph, kGluonNorm, options);
    NodeId x = layers.conv("conv1", layers.input(), scaled(32), 3, 2);
    x = layers.relu6("relu", layers.batch_norm("bn1", x));
    for (std::size_t i = 0; i < kBlocks.size(); ++i) {
      layers.begin_block("block" + std::to_string(i) + ".",
                         i <= kLastOctaveBlock ? kOctave : kOrdinary);
      const std::int64_t channels = graph.node(x).channels.total();
      const std::int64_t expanded = channels * (i == 0 ? 1 : 6);
      const std::int64_t out = scaled(kBlocks[i].out_channels);
      NodeId y = layers.conv("expand", x, expanded, 1);
      y = layers.relu6("relu1", layers.batch_norm("bn1", y));
      y = layers.conv("depthwise", y, expanded, 3, kBlocks[i].stride, expanded);
      y = layers.relu6("relu2", layers.batch_norm("bn2", y));
      layers.set_stage(kOrdinary);
      y = layers.conv("project", y, out, 1);
      if (kBlocks[i].stride == 1 && channels == out) {
        x = layers.add("add", layers.last_batch_norm("bn3", y), x);
      } else {
        x = layers.batch_norm("bn3", y);
      }
    }
    layers.begin_block("", Node::kNoStage);
    x = layers.conv("conv_last", x, width > 1 ? scaled(1280) : 1280, 1);
    x = layers.relu6("relu_last", layers.batch_norm("bn_last", x));
    layers.classifier(x, 1000);
    return graph;
  }
};

constexpr MobileNetV2 kFull{1.0};
constexpr MobileNetV2 kWider{1.125};

}  // namespace

std::vector<ZooEntry> mobilenets_v2() {
  return {
      entry_of<kFull>("mobilenet_v2", "MobileNet v2 of the article's table 5"),
      entry_of<kWider>("mobilenet_v2_1125", "MobileNet v2, width 1.125, of the article's table 5")};
}

}  // namespace octconv::zoo
