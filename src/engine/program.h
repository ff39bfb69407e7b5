// SPDX-License-Identifier: Apache-2.0
// A compiled network, as far as it does not depend on the input's extents.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "octconv/engine/network.h"
#include "octconv/graph/graph.h"
#include "octconv/kernels/activation.h"
#include "octconv/octave/conv_plan.h"

namespace octconv {
namespace engine {

/// From one of the caller's channels-first tensors.
struct LoadInput {
  std::size_t index = 0;  ///< among the inputs
};

/// A convolution, or a fully connected layer as one of a single pixel. It may make the batch norm
/// of its value too.
struct RunConv {
  OctConvWeights weights;
  ConvEpilogue epilogue;
  NodeId src = -1;
  NodeId residual = -1;               ///< -1: none
  NodeId second = -1;                 ///< whose value the epilogue's second result is; -1: none
  bool src_averages = false;          ///< whoever makes `src` averages its cells too
  std::optional<DepthwiseFeed> feed;  ///< reads `src`, and is what the weights read

  /// The weights that read `src`.
  [[nodiscard]] const OctConvWeights& first() const noexcept {
    return feed ? feed->weights : weights;
  }
  /// The value whose cells the epilogue averages if it averages any.
  [[nodiscard]] NodeId averaged(NodeId dst) const noexcept { return second >= 0 ? second : dst; }
};

/// A batch norm that no convolution could take in.
struct RunScale {
  Tensor scale;  ///< [channels], low first
  Tensor shift;
  NodeId src = -1;
  Activation activation{ActivationKind::kNone};
};

/// A transposed convolution: an ordinary one that makes the pixels of a cell, `stride` of them
/// along each axis, as channels; then the cells are spread out.
struct RunConvTranspose {
  OctConvWeights weights;  ///< [groups][cell pixels][channels / groups] output channels
  ConvEpilogue epilogue;
  ConvTranspose conv;
  NodeId src = -1;
};

struct RunAdd {
  NodeId a = -1;
  NodeId b = -1;
  Activation activation{ActivationKind::kNone};
};

struct RunMultiply {
  NodeId a = -1;
  NodeId b = -1;
  Activation activation{ActivationKind::kNone};
};

struct RunActivation {
  NodeId src = -1;
  Activation activation{ActivationKind::kNone};
};

struct RunConcat {
  std::vector<NodeId> parts;
};

struct RunSelect {
  NodeId src = -1;
  std::vector<std::int64_t> channels;
};

/// Every channel times its own number.
struct RunGate {
  NodeId src = -1;
  NodeId gate = -1;
};

struct RunAttention {
  NodeId queries = -1;
  NodeId keys = -1;
  NodeId values = -1;
  float factor = 1;
};

struct RunSoftmax {
  NodeId src = -1;
};

struct RunPool {
  NodeId src = -1;
  Pool pool;
};

struct RunResize {
  NodeId src = -1;
  Resize resize;
};

struct RunGlobalPool {
  NodeId src = -1;
};

using StepKind = std::variant<LoadInput, RunConv, RunConvTranspose, RunScale, RunAdd, RunMultiply,
                              RunActivation, RunConcat, RunSelect, RunGate, RunAttention,
                              RunSoftmax, RunPool, RunResize, RunGlobalPool>;

/// Makes the value of node `dst`, the last of those that it stands for, and that of `second_of`.
struct Step {
  NodeId dst = -1;
  StepKind kind;
};

/// The other node whose value the step makes; -1: none.
[[nodiscard]] NodeId second_of(const Step& step);

/// The node of whose value the step makes the averages of the cells; -1: none.
[[nodiscard]] NodeId averages_of(const Step& step);

/// Nodes whose values the step reads.
[[nodiscard]] std::vector<NodeId> reads(const Step& step);

}  // namespace engine

struct Network::Program {
  Graph graph;
  std::vector<engine::Step> steps;  ///< in an order in which they can run
  std::vector<NodeId> keep;
  std::vector<NetworkPort> inputs;
  std::vector<NetworkPort> outputs;
};

}  // namespace octconv
