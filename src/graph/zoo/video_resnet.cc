// SPDX-License-Identifier: Apache-2.0
// ResNet-50 for video of the octave article's table 8: C2D and I3D on 8 frames, with and without
// non-local blocks.
//
// Source: facebookresearch/video-nonlocal-net, lib/models (the ordinary networks, whose counts are
// those of the article); Wang et al., "Non-local Neural Networks", CVPR 2018.
//
// The authors have not published their octave video networks. Here, as in their image networks:
// space is halved, never time; stages 1 to 3 are octave, the stem and stage 4 are ordinary; strides
// are pools. Inside of a non-local block everything is ordinary, since attention mixes all
// positions; its first convolutions end the low channels, and its last makes them anew.
#include <array>
#include <cmath>

#include "graph/zoo/families.h"
#include "graph/zoo/layers.h"

namespace octconv::zoo {
namespace {

constexpr std::array kBlocks{3, 4, 6, 3};

// A pool or kernel of `time` frames and `space` x `space` pixels.
Shape window(std::int64_t time, std::int64_t space) {
  return {time, space, space};
}

Pool max_pool(const Shape& kernel, const Shape& stride) {
  return {.kind = PoolKind::kMax,
          .kernel = kernel,
          .stride = stride,
          .padding_begin = window(0, 0),
          .padding_end = window(0, 0)};
}

// Which blocks' first convolutions span three frames in I3D.
bool spans_time(int stage, int block) {
  if (stage == 0) return true;
  return stage == 3 ? block % 2 == 1 : block % 2 == 0;
}

Conv pointwise(std::int64_t channels) {
  Conv conv = centred_conv(channels, window(1, 1), window(1, 1));
  conv.bias = true;
  return conv;
}

NodeId non_local(Builder& layers, NodeId x, std::int64_t channels, int stage) {
  const std::int64_t inner = channels / 2;
  layers.set_stage(Node::kNoStage);
  const NodeId queries = layers.add_node("nonlocal.theta", pointwise(inner), {x});
  const NodeId coarse = layers.add_node("nonlocal.pool", max_pool(window(1, 2), window(1, 2)), {x});
  const NodeId keys = layers.add_node("nonlocal.phi", pointwise(inner), {coarse});
  const NodeId values = layers.add_node("nonlocal.g", pointwise(inner), {coarse});
  const double factor = 1 / std::sqrt(static_cast<double>(inner));
  NodeId y = layers.add_node("nonlocal.attention", Attention{factor}, {queries, keys, values});
  layers.set_stage(stage);
  y = layers.add_node("nonlocal.out", pointwise(channels), {y});
  BatchNorm norm = kGluonNorm;
  norm.initial_scale = 0;  // a new block changes nothing
  return layers.add("nonlocal.add", layers.add_node("nonlocal.bn", norm, {y}), x);
}

struct VideoResNet {
  bool inflated;          // I3D: some kernels span frames
  bool non_local_blocks;  // after every second block of stages 2 and 3

  [[nodiscard]] Graph build(std::string_view name, const NetworkOptions& options) const {
    Graph graph(std::string(name), Shape{1, 2, 2});
    graph.set_default_extents({8, 224, 224});
    graph.set_policy(
        {.stride_mode = StrideMode::kPool, .octave_stages = {true, true, true, false}});
    Builder layers(graph, kGluonNorm, options);
    const auto conv = [&](const std::string& number, NodeId in, std::int64_t channels,
                          const Shape& kernel, std::int64_t stride) {
      const NodeId x =
          layers.add_node("conv" + number, centred_conv(channels, kernel, window(1, stride)), {in});
      return x;
    };
    NodeId x = conv("1", layers.input(), 64, window(inflated ? 5 : 1, 7), 2);
    x = layers.relu("relu", layers.batch_norm("bn1", x));
    x = layers.add_node("maxpool", max_pool(window(1, 3), window(1, 2)), {x});
    for (int stage = 0; stage < 4; ++stage) {
      const std::int64_t mid = std::int64_t{64} << stage;
      if (stage == 1) {
        layers.begin_block("", 0);
        x = layers.add_node("maxpool2", max_pool(window(2, 1), Shape{2, 1, 1}), {x});
      }
      for (int block = 0; block < kBlocks[static_cast<std::size_t>(stage)]; ++block) {
        layers.begin_block(block_prefix(stage, block), stage);
        const std::int64_t stride = stage > 0 && block == 0 ? 2 : 1;
        const std::int64_t frames = inflated && spans_time(stage, block) ? 3 : 1;
        NodeId y = conv("1", x, mid, window(frames, 1), 1);
        y = layers.relu("relu1", layers.batch_norm("bn1", y));
        y = conv("2", y, mid, window(1, 3), stride);
        y = layers.relu("relu2", layers.batch_norm("bn2", y));
        y = layers.last_batch_norm("bn3", conv("3", y, mid * 4, window(1, 1), 1));
        if (block == 0) {
          x = layers.add_node("downsample.0",
                              centred_conv(mid * 4, window(1, 1), window(1, stride)), {x});
          x = layers.batch_norm("downsample.1", x);
        }
        x = layers.relu("relu3", layers.add("add", y, x));
        const bool middle = stage == 1 || stage == 2;
        if (non_local_blocks && middle && block % 2 == 1) x = non_local(layers, x, mid * 4, stage);
      }
    }
    layers.classifier(x, 400);
    return graph;
  }
};

constexpr VideoResNet kC2d{.inflated = false, .non_local_blocks = false};
constexpr VideoResNet kI3d{.inflated = true, .non_local_blocks = false};
constexpr VideoResNet kC2dNonLocal{.inflated = false, .non_local_blocks = true};
constexpr VideoResNet kI3dNonLocal{.inflated = true, .non_local_blocks = true};

}  // namespace

std::vector<ZooEntry> video_resnets() {
  return {entry_of<kC2d>("c2d_resnet50", "C2D ResNet-50 on 8 frames, of the article's table 8"),
          entry_of<kI3d>("i3d_resnet50", "I3D ResNet-50 on 8 frames, of the article's table 8"),
          entry_of<kC2dNonLocal>("c2d_resnet50_nl", "C2D ResNet-50 with five non-local blocks"),
          entry_of<kI3dNonLocal>("i3d_resnet50_nl",
                                 "I3D ResNet-50 with five non-local blocks (table 8)")};
}

}  // namespace octconv::zoo
