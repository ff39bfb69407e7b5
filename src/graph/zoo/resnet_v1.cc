// SPDX-License-Identifier: Apache-2.0
// Post-activation bottleneck networks for 224 x 224 images; ResNet-152 of the octave article's
// table 7 among them.
//
// Source: facebookresearch/OctConv, utils/gluon; the letters are GluonCV's.
//
//   y = bn(conv1x1(relu(bn(conv3x3(relu(bn(conv1x1(x))))))));  [y = squeeze-excite(y)]
//   relu(y + shortcut), which the first block of every stage projects by bn(conv1x1)
//
//   b: 7x7 stem, stride in the 3x3 convolution; also torchvision's, with its ResNeXts (Xie et al.,
//      CVPR 2017) and wide networks (Zagoruyko, Komodakis, BMVC 2016)
//   e: stem of three 3x3 convolutions, stride in the last 1x1 convolution
//   f: as e, with the stem's stride in its second convolution and a residual block instead of the
//      max pool
#include <array>

#include "graph/zoo/families.h"
#include "graph/zoo/layers.h"

namespace octconv::zoo {
namespace {

enum class Variant { kB, kE, kF };

NodeId conv_norm_relu(Builder& layers, const std::string& number, NodeId x, std::int64_t channels,
                      std::int64_t kernel, std::int64_t stride, std::int64_t groups = 1) {
  x = layers.conv("conv" + number, x, channels, kernel, stride, groups);
  return layers.relu("relu" + number, layers.batch_norm("bn" + number, x));
}

NodeId max_pool(Builder& layers, NodeId x) {
  return layers.add_node("maxpool", square_pool(PoolKind::kMax, 2, 3, 2, 1), {x});
}

// Instead of the max pool: a residual block whose strides are those of its convolutions.
NodeId pooling_block(Builder& layers, NodeId x) {
  layers.begin_block("stem.pool.", Node::kNoStage);
  NodeId y = conv_norm_relu(layers, "1", x, 32, 1, 1);
  y = conv_norm_relu(layers, "2", y, 32, 3, 2);
  y = layers.last_batch_norm("bn3", layers.conv("conv3", y, 64, 1));
  x = layers.batch_norm("downsample.1", layers.conv("downsample.0", x, 64, 1, 2));
  return layers.relu("relu3", layers.add("add", y, x));
}

struct PostActivation {
  std::array<int, 4> blocks;
  Variant variant = Variant::kB;
  std::int64_t width = 64;  // channels of the 3x3 convolutions of the first stage
  std::int64_t groups = 1;  // of the 3x3 convolutions
  // With it come batch norms without parameters in front of the first and the shortcut's
  // convolution: "se-block seems not converge well on ResNet152" (the authors' code).
  bool squeeze_excite = false;

  [[nodiscard]] NodeId stem(Builder& layers) const {
    NodeId x = layers.input();
    if (variant == Variant::kB) {
      x = layers.conv("conv1", x, 64, 7, 2);
      return max_pool(layers, layers.relu("relu", layers.batch_norm("bn1", x)));
    }
    const bool f = variant == Variant::kF;
    layers.begin_block("stem.", Node::kNoStage);
    x = conv_norm_relu(layers, "1", x, f ? 8 : 32, 3, f ? 1 : 2);
    x = conv_norm_relu(layers, "2", x, 32, 3, f ? 2 : 1);
    x = conv_norm_relu(layers, "3", x, 64, 3, 1);
    return f ? pooling_block(layers, x) : max_pool(layers, x);
  }

  [[nodiscard]] NodeId extra_norm(Builder& layers, const std::string& name, NodeId x) const {
    if (!squeeze_excite) return x;
    BatchNorm norm = kGluonNorm;
    norm.affine = false;
    return layers.add_node(name, norm, {x});
  }

  [[nodiscard]] Graph build(std::string_view name, const NetworkOptions& options) const {
    Graph graph = imagenet_graph(name, StrideMode::kPool, CountingRule::kGluon);
    Builder layers(graph, kGluonNorm, options);
    NodeId x = stem(layers);
    for (int stage = 0; stage < 4; ++stage) {
      const std::int64_t mid = width << stage;
      const std::int64_t out = std::int64_t{256} << stage;
      for (int block = 0; block < blocks[static_cast<std::size_t>(stage)]; ++block) {
        layers.begin_block(block_prefix(stage, block), stage);
        const std::int64_t stride = stage > 0 && block == 0 ? 2 : 1;
        const bool early = variant == Variant::kB;
        NodeId y = conv_norm_relu(layers, "1", extra_norm(layers, "extra_bn", x), mid, 1, 1);
        y = conv_norm_relu(layers, "2", y, mid, 3, early ? stride : 1, groups);
        y = layers.conv("conv3", y, out, 1, early ? 1 : stride);
        y = layers.last_batch_norm("bn3", y);
        if (squeeze_excite) y = layers.squeeze_excite(y);
        if (block == 0) {
          x = extra_norm(layers, "downsample.extra_bn", x);
          x = layers.conv("downsample.0", x, out, 1, stride);
          x = layers.batch_norm("downsample.1", x);
        }
        x = layers.relu("relu3", layers.add("add", y, x));
      }
    }
    layers.classifier(x, 1000);
    return graph;
  }
};

constexpr PostActivation kResNet50b{.blocks = {3, 4, 6, 3}};
constexpr PostActivation kResNet101b{.blocks = {3, 4, 23, 3}};
constexpr PostActivation kResNet152b{.blocks = {3, 8, 36, 3}};
constexpr PostActivation kResNeXt50{.blocks = {3, 4, 6, 3}, .width = 128, .groups = 32};
constexpr PostActivation kResNeXt101{.blocks = {3, 4, 23, 3}, .width = 256, .groups = 32};
constexpr PostActivation kWide50{.blocks = {3, 4, 6, 3}, .width = 128};
constexpr PostActivation kWide101{.blocks = {3, 4, 23, 3}, .width = 128};
constexpr PostActivation kResNet152e{.blocks = {3, 8, 36, 3}, .variant = Variant::kE};
constexpr PostActivation kResNet152f{.blocks = {3, 8, 36, 3}, .variant = Variant::kF};
constexpr PostActivation kSeResNet152e{
    .blocks = {3, 8, 36, 3}, .variant = Variant::kE, .squeeze_excite = true};

}  // namespace

std::vector<ZooEntry> post_activation_resnets() {
  return {
      entry_of<kResNet50b>("resnet50_v1b",
                           "post-activation ResNet-50, stride in the 3x3 convolution"),
      entry_of<kResNet101b>("resnet101_v1b",
                            "post-activation ResNet-101, stride in the 3x3 convolution"),
      entry_of<kResNet152b>("resnet152_v1b",
                            "post-activation ResNet-152, stride in the 3x3 convolution"),
      entry_of<kResNeXt50>("resnext50_32x4d", "post-activation ResNeXt-50 32x4d, torchvision's"),
      entry_of<kResNeXt101>("resnext101_32x8d", "post-activation ResNeXt-101 32x8d, torchvision's"),
      entry_of<kWide50>("wide_resnet50_2",
                        "post-activation ResNet-50 of twice the inner width, torchvision's"),
      entry_of<kWide101>("wide_resnet101_2",
                         "post-activation ResNet-101 of twice the inner width, torchvision's"),
      entry_of<kResNet152e>("resnet152_v1e",
                            "post-activation ResNet-152, stem of 3x3 convolutions"),
      entry_of<kResNet152f>("resnet152_v1f", "post-activation ResNet-152 of the article's table 7"),
      entry_of<kSeResNet152e>("se_resnet152_v1e",
                              "post-activation SE-ResNet-152 of the article's table 7"),
  };
}

}  // namespace octconv::zoo
