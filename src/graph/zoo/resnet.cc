// SPDX-License-Identifier: Apache-2.0
// Bottleneck residual networks for 224 x 224 images, as the authors of octave convolution built
// them.
//
// Source: facebookresearch/OctConv. Pre-activation (v2): utils/symbol, the networks of the
// article's figure 4; post-activation (v1b): utils/gluon. Both keep the last stage ordinary: "3x3
// conv on 3.5x3.5 map does not make sense".
#include <array>

#include "graph/zoo/families.h"
#include "graph/zoo/layers.h"

namespace octconv::zoo {
namespace {

constexpr std::array kResNet50Blocks{3, 4, 6, 3};

Graph imagenet_graph(std::string_view name, StrideMode stride_mode) {
  Graph graph(std::string(name), Shape{2, 2});
  graph.set_default_extents({224, 224});
  graph.set_policy({.stride_mode = stride_mode, .octave_stages = {true, true, true, false}});
  return graph;
}

NodeId stem(Graph& graph, Builder& layers, const NetworkOptions& options) {
  NodeId x = graph.add("input", Input{options.in_channels.value_or(3)}, {});
  x = layers.relu("relu", layers.batch_norm("bn1", layers.conv("conv1", x, 64, 7, 2)));
  return graph.add("maxpool", square_pool(PoolKind::kMax, graph.rank(), 3, 2, 1), {x});
}

void classifier(Graph& graph, NodeId x, const NetworkOptions& options) {
  x = graph.add("avgpool", GlobalPool{}, {x});
  x = graph.add("fc", Linear{.out_channels = options.classes.value_or(1000)}, {x});
  graph.add_output(x);
}

std::string block_prefix(int stage, int block) {
  return "layer" + std::to_string(stage + 1) + "." + std::to_string(block) + ".";
}

// y = conv1x1(relu(bn(conv3x3(relu(bn(conv1x1(relu(bn(x)))))))) + shortcut; the first block of
// every stage projects its shortcut, with a batch norm of its own.
Graph pre_activation(std::string_view name, const NetworkOptions& options,
                     const std::array<int, 4>& blocks) {
  Graph graph = imagenet_graph(name, StrideMode::kPoolTwice);
  Builder layers(graph, BatchNorm{.epsilon = 1e-4, .momentum = 0.08});
  NodeId x = stem(graph, layers, options);
  for (int stage = 0; stage < 4; ++stage) {
    const std::int64_t mid = std::int64_t{64} << stage;
    for (int block = 0; block < blocks[static_cast<std::size_t>(stage)]; ++block) {
      layers.begin_block(block_prefix(stage, block), stage);
      const std::int64_t stride = stage > 0 && block == 0 ? 2 : 1;
      NodeId y = layers.conv("conv1", layers.relu("relu1", layers.batch_norm("bn1", x)), mid, 1);
      y = layers.conv("conv2", layers.relu("relu2", layers.batch_norm("bn2", y)), mid, 3, stride);
      y = layers.conv("conv3", layers.relu("relu3", layers.batch_norm("bn3", y)), mid * 4, 1);
      if (block == 0) {
        x = layers.relu("downsample.relu", layers.batch_norm("downsample.bn", x));
        x = layers.conv("downsample.conv", x, mid * 4, 1, stride);
      }
      x = layers.add("add", y, x);
    }
  }
  layers.begin_block("", Node::kNoStage);
  x = layers.relu("relu_last", layers.batch_norm("bn_last", x));
  classifier(graph, x, options);
  return graph;
}

// y = relu(bn(conv1x1(relu(bn(conv3x3(relu(bn(conv1x1(x)))))))) + shortcut); stride in the 3x3
// convolution.
Graph post_activation(std::string_view name, const NetworkOptions& options,
                      const std::array<int, 4>& blocks) {
  Graph graph = imagenet_graph(name, StrideMode::kPool);
  Builder layers(graph, BatchNorm{.epsilon = 1e-5, .momentum = 0.1});
  NodeId x = stem(graph, layers, options);
  for (int stage = 0; stage < 4; ++stage) {
    const std::int64_t mid = std::int64_t{64} << stage;
    for (int block = 0; block < blocks[static_cast<std::size_t>(stage)]; ++block) {
      layers.begin_block(block_prefix(stage, block), stage);
      const std::int64_t stride = stage > 0 && block == 0 ? 2 : 1;
      NodeId y = layers.relu("relu1", layers.batch_norm("bn1", layers.conv("conv1", x, mid, 1)));
      y = layers.relu("relu2", layers.batch_norm("bn2", layers.conv("conv2", y, mid, 3, stride)));
      y = layers.batch_norm("bn3", layers.conv("conv3", y, mid * 4, 1));
      if (block == 0)
        x = layers.batch_norm("downsample.1", layers.conv("downsample.0", x, mid * 4, 1, stride));
      x = layers.relu("relu3", layers.add("add", y, x));
    }
  }
  classifier(graph, x, options);
  return graph;
}

}  // namespace

std::vector<ZooEntry> resnets() {
  return {
      {"resnet50v2", "pre-activation ResNet-50 of the article's figure 4",
       [](std::string_view name, const NetworkOptions& options) {
         return pre_activation(name, options, kResNet50Blocks);
       }},
      {"resnet50_v1b", "post-activation ResNet-50, stride in the 3x3 convolution",
       [](std::string_view name, const NetworkOptions& options) {
         return post_activation(name, options, kResNet50Blocks);
       }},
  };
}

}  // namespace octconv::zoo
