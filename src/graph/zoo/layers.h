// SPDX-License-Identifier: Apache-2.0
// Shorthand for the layers that networks are written with.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "octconv/graph/graph.h"
#include "octconv/graph/zoo.h"

namespace octconv::zoo {

/// Convolution without bias, padded so that stride 1 keeps the extents (kernel odd).
inline Conv centred_conv(std::int64_t out_channels, const Shape& kernel, const Shape& stride) {
  Shape padding = kernel;
  for (std::size_t axis = 0; axis < kernel.rank(); ++axis) padding[axis] = kernel[axis] / 2;
  return {.out_channels = out_channels,
          .kernel = kernel,
          .stride = stride,
          .dilation = Shape::filled(kernel.rank(), 1),
          .padding_begin = padding,
          .padding_end = padding};
}

inline Conv square_conv(std::size_t rank, std::int64_t out_channels, std::int64_t kernel,
                        std::int64_t stride = 1) {
  return centred_conv(out_channels, Shape::filled(rank, kernel), Shape::filled(rank, stride));
}

inline Pool square_pool(PoolKind kind, std::size_t rank, std::int64_t kernel, std::int64_t stride,
                        std::int64_t padding) {
  return {.kind = kind,
          .kernel = Shape::filled(rank, kernel),
          .stride = Shape::filled(rank, stride),
          .padding_begin = Shape::filled(rank, padding),
          .padding_end = Shape::filled(rank, padding)};
}

/// Batch norm of the authors' MXNet symbol networks. MXNet's momentum is the weight of the old
/// statistics, .92.
inline constexpr BatchNorm kSymbolNorm{.epsilon = 1e-4, .momentum = 0.08};
/// Batch norm of their Gluon networks, Gluon's default.
inline constexpr BatchNorm kGluonNorm{.epsilon = 1e-5, .momentum = 0.1};

/// Appends layers with a common name prefix, batch-norm settings and, once set, stage.
class Builder {
 public:
  Builder(Graph& graph, BatchNorm norm, const NetworkOptions& options)
      : graph_(graph), norm_(norm), options_(options) {}

  NodeId input() { return graph_.add("input", Input{options_.in_channels.value_or(3)}, {}); }

  /// Later nodes belong to this stage; names begin with `prefix`.
  void begin_block(std::string prefix, int stage) {
    prefix_ = std::move(prefix);
    stage_ = stage;
  }
  /// Later nodes belong to this stage, their names begin as before.
  void set_stage(int stage) { stage_ = stage; }

  NodeId add_node(const std::string& name, Op op, std::vector<NodeId> inputs) {
    return graph_.add(prefix_ + name, std::move(op), std::move(inputs), stage_);
  }
  NodeId conv(const std::string& name, NodeId in, std::int64_t out_channels, std::int64_t kernel,
              std::int64_t stride = 1, std::int64_t groups = 1) {
    Conv op = square_conv(graph_.rank(), out_channels, kernel, stride);
    op.groups = groups;
    return add_node(name, std::move(op), {in});
  }
  NodeId batch_norm(const std::string& name, NodeId in) { return add_node(name, norm_, {in}); }
  /// The last batch norm of a residual branch.
  NodeId last_batch_norm(const std::string& name, NodeId in) {
    BatchNorm norm = norm_;
    if (options_.zero_gamma) norm.initial_scale = 0;
    return add_node(name, norm, {in});
  }
  NodeId relu(const std::string& name, NodeId in) { return add_node(name, Activation{}, {in}); }
  NodeId relu6(const std::string& name, NodeId in) {
    return add_node(name, Activation{ActivationKind::kRelu6}, {in});
  }
  NodeId add(const std::string& name, NodeId a, NodeId b) { return add_node(name, Add{}, {a, b}); }

  /// Squeeze-excite: every channel times a gate that is computed from the means of all channels.
  ///
  /// Source: Hu et al., "Squeeze-and-Excitation Networks", CVPR 2018; with biases, and a sixteenth
  /// of the channels between, as the authors of octave convolution have it. The means of an octave
  /// value are those of its low channels, then of its high ones.
  NodeId squeeze_excite(NodeId x) {
    const std::int64_t channels = graph_.node(x).channels.total();
    NodeId gate = add_node("se.pool", GlobalPool{}, {x});
    gate = add_node("se.fc1", Linear{.out_channels = channels / 16}, {gate});
    gate = relu("se.relu", gate);
    gate = add_node("se.fc2", Linear{.out_channels = channels}, {gate});
    gate = add_node("se.sigmoid", Activation{ActivationKind::kSigmoid}, {gate});
    return add_node("se.scale", Scale{}, {x, gate});
  }

  /// Global average pool and a fully connected layer: the network's output.
  void classifier(NodeId x, std::int64_t classes, int pool_stage = Node::kNoStage) {
    begin_block("", pool_stage);
    x = add_node("avgpool", GlobalPool{}, {x});
    set_stage(Node::kNoStage);
    x = add_node("fc", Linear{.out_channels = options_.classes.value_or(classes)}, {x});
    graph_.add_output(x);
  }

 private:
  Graph& graph_;
  BatchNorm norm_;
  const NetworkOptions& options_;
  std::string prefix_;
  int stage_ = Node::kNoStage;
};

/// A 2-D network for 224 x 224 images. Four stages, of which the last is ordinary: "3x3 conv on
/// 3.5x3.5 map does not make sense" (the authors' code).
inline Graph imagenet_graph(std::string_view name, StrideMode stride_mode, CountingRule counting) {
  Graph graph(std::string(name), Shape{2, 2});
  graph.set_default_extents({224, 224});
  graph.set_policy({.stride_mode = stride_mode,
                    .octave_stages = {true, true, true, false},
                    .counting = counting});
  return graph;
}

/// "layer2.0." for the first block of the second stage.
inline std::string block_prefix(int stage, int block) {
  return "layer" + std::to_string(stage + 1) + "." + std::to_string(block) + ".";
}

/// An entry of a family: `build(name, options, kSpec)` makes the network.
template <const auto& kSpec>
ZooEntry entry_of(std::string_view name, std::string_view summary) {
  return {name, summary, [](std::string_view given, const NetworkOptions& options) {
            return kSpec.build(given, options);
          }};
}

}  // namespace octconv::zoo
