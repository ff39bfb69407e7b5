// SPDX-License-Identifier: Apache-2.0
// MobileNet v1 of the octave article's table 5.
//
// Source: facebookresearch/OctConv, utils/gluon; Howard et al., 2017 (arXiv 1704.04861).
//
// The low channels are born in the pointwise convolution of the first block and end in that of the
// eleventh; depthwise convolutions exchange nothing. Strides are pools everywhere but in the stem.
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

constexpr std::array kBlocks{Block{64, 1},  Block{128, 2}, Block{128, 1}, Block{256, 2},
                             Block{256, 1}, Block{512, 2}, Block{512, 1}, Block{512, 1},
                             Block{512, 1}, Block{512, 1}, Block{512, 1}, Block{1024, 2},
                             Block{1024, 1}};
constexpr std::size_t kLastOctaveBlock = 9;

struct MobileNetV1 {
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
    x = layers.relu("relu", layers.batch_norm("bn1", x));
    for (std::size_t i = 0; i < kBlocks.size(); ++i) {
      const bool divided = i > 0 && i <= kLastOctaveBlock + 1;
      layers.begin_block("block" + std::to_string(i) + ".", divided ? kOctave : kOrdinary);
      const std::int64_t channels = graph.node(x).channels.total();
      x = layers.conv("depthwise", x, channels, 3, kBlocks[i].stride, channels);
      x = layers.relu("relu1", layers.batch_norm("bn1", x));
      layers.set_stage(i <= kLastOctaveBlock ? kOctave : kOrdinary);
      x = layers.conv("pointwise", x, scaled(kBlocks[i].out_channels), 1);
      x = layers.relu("relu2", layers.batch_norm("bn2", x));
    }
    // In a stage, because the authors' tool does not know this one's kind of global pool.
    layers.classifier(x, 1000, kOrdinary);
    return graph;
  }
};

constexpr MobileNetV1 kFull{1.0};
constexpr MobileNetV1 kThreeQuarters{0.75};

}  // namespace

std::vector<ZooEntry> mobilenets_v1() {
  return {entry_of<kFull>("mobilenet_v1", "MobileNet v1 of the article's table 5"),
          entry_of<kThreeQuarters>("mobilenet_v1_075",
                                   "MobileNet v1, width 0.75, of the article's table 5")};
}

}  // namespace octconv::zoo
