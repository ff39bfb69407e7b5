// SPDX-License-Identifier: Apache-2.0
// CIFAR-style residual networks: 6n + 2 layers in three stages of 16, 32 and 64 channels.
//
// Source: He et al., "Deep Residual Learning", CVPR 2016, section 4.2, with projection shortcuts
// (their option B). The octave article has no CIFAR network: like its three-or-more-stage networks,
// the last stage is ordinary, and the 3x3 stem is the first octave convolution (its input has no
// low part).
//
// And one for small clips: the stem and the first convolution of each block span three frames
// (inflated as in Carreira, Zisserman, "Quo Vadis, Action Recognition?", CVPR 2017), space is
// halved and time is not. Nobody has published it.
#include "graph/zoo/families.h"
#include "graph/zoo/layers.h"

namespace octconv::zoo {
namespace {

struct CifarResNet {
  int blocks_per_stage;
  bool video = false;

  // Space x space pixels, and of clips so many frames.
  [[nodiscard]] Shape window(std::int64_t frames, std::int64_t space) const {
    return video ? Shape{frames, space, space} : Shape{space, space};
  }

  [[nodiscard]] Graph build(std::string_view name, const NetworkOptions& options) const {
    Graph graph(std::string(name), window(1, 2));
    graph.set_default_extents(window(8, 32));
    graph.set_policy({.stride_mode = StrideMode::kPool, .octave_stages = {true, true, false}});
    Builder layers(graph, BatchNorm{}, options);
    const auto conv = [&](const char* own, NodeId in, std::int64_t channels, const Shape& kernel,
                          std::int64_t stride) {
      return layers.add_node(own, centred_conv(channels, kernel, window(1, stride)), {in});
    };

    NodeId x = layers.input();
    layers.begin_block("", 0);
    x = layers.relu("relu", layers.batch_norm("bn1", conv("conv1", x, 16, window(3, 3), 1)));
    for (int stage = 0; stage < 3; ++stage) {
      const std::int64_t channels = std::int64_t{16} << stage;
      for (int block = 0; block < blocks_per_stage; ++block) {
        layers.begin_block(block_prefix(stage, block), stage);
        const bool first = stage > 0 && block == 0;
        const std::int64_t stride = first ? 2 : 1;
        NodeId y = conv("conv1", x, channels, window(3, 3), stride);
        y = layers.relu("relu1", layers.batch_norm("bn1", y));
        y = layers.last_batch_norm("bn2", conv("conv2", y, channels, window(1, 3), 1));
        if (first) {
          x = conv("downsample.0", x, channels, window(1, 1), stride);
          x = layers.batch_norm("downsample.1", x);
        }
        x = layers.relu("relu2", layers.add("add", y, x));
      }
    }
    layers.classifier(x, 10);
    return graph;
  }
};

constexpr CifarResNet kResNet20{3};
constexpr CifarResNet kResNet32{5};
constexpr CifarResNet kResNet44{7};
constexpr CifarResNet kResNet56{9};
constexpr CifarResNet kResNet110{18};
constexpr CifarResNet kI3dResNet20{3, true};

}  // namespace

std::vector<ZooEntry> cifar_resnets() {
  return {entry_of<kResNet20>("resnet20", "CIFAR ResNet-20 (He et al. 2016)"),
          entry_of<kResNet32>("resnet32", "CIFAR ResNet-32 (He et al. 2016)"),
          entry_of<kResNet44>("resnet44", "CIFAR ResNet-44 (He et al. 2016)"),
          entry_of<kResNet56>("resnet56", "CIFAR ResNet-56 (He et al. 2016)"),
          entry_of<kResNet110>("resnet110", "CIFAR ResNet-110 (He et al. 2016)"),
          entry_of<kI3dResNet20>("i3d_resnet20", "ResNet-20 over frames, for 8 frames of 32 x 32")};
}

}  // namespace octconv::zoo
