// SPDX-License-Identifier: Apache-2.0
// Shorthand for the layers that networks are written with.
#pragma once

#include <string>

#include "octconv/graph/graph.h"

namespace octconv::zoo {

/// Square convolution without bias, padded so that stride 1 keeps the extents (kernel odd).
inline Conv square_conv(std::size_t rank, std::int64_t out_channels, std::int64_t kernel,
                        std::int64_t stride = 1) {
  const Shape padding = Shape::filled(rank, kernel / 2);
  return {.out_channels = out_channels,
          .kernel = Shape::filled(rank, kernel),
          .stride = Shape::filled(rank, stride),
          .dilation = Shape::filled(rank, 1),
          .padding_begin = padding,
          .padding_end = padding};
}

inline Pool square_pool(PoolKind kind, std::size_t rank, std::int64_t kernel, std::int64_t stride,
                        std::int64_t padding) {
  return {.kind = kind,
          .kernel = Shape::filled(rank, kernel),
          .stride = Shape::filled(rank, stride),
          .padding_begin = Shape::filled(rank, padding),
          .padding_end = Shape::filled(rank, padding)};
}

/// Appends layers with a common name prefix, batch-norm settings and, once set, stage.
class Builder {
 public:
  Builder(Graph& graph, BatchNorm norm) : graph_(graph), norm_(norm) {}

  /// Later convolutions belong to this stage; names begin with `prefix`.
  void begin_block(std::string prefix, int stage) {
    prefix_ = std::move(prefix);
    stage_ = stage;
  }

  NodeId conv(const std::string& name, NodeId in, std::int64_t out_channels, std::int64_t kernel,
              std::int64_t stride = 1) {
    return graph_.add(prefix_ + name, square_conv(graph_.rank(), out_channels, kernel, stride),
                      {in}, stage_);
  }
  NodeId batch_norm(const std::string& name, NodeId in) {
    return graph_.add(prefix_ + name, norm_, {in});
  }
  NodeId relu(const std::string& name, NodeId in) {
    return graph_.add(prefix_ + name, Activation{}, {in});
  }
  NodeId add(const std::string& name, NodeId a, NodeId b) {
    return graph_.add(prefix_ + name, Add{}, {a, b});
  }

 private:
  Graph& graph_;
  BatchNorm norm_;
  std::string prefix_;
  int stage_ = Node::kNoStage;
};

}  // namespace octconv::zoo
