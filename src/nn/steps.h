// SPDX-License-Identifier: Apache-2.0
// The order in which a module computes a graph, what is handed on beside its values, and the parts
// of it that can be computed again.
#pragma once

#include <vector>

#include "octconv/graph/graph.h"

namespace octconv::nn {

/// Makes one value: of a node's own operation, or of a batch norm with the sum and the relu that
/// follow it, which are then one pass over memory.
struct Step {
  static constexpr NodeId kNone = -1;

  NodeId node = kNone;
  NodeId norm = kNone;      ///< the batch norm, where there is one
  NodeId residual = kNone;  ///< the value that is added to it
  bool rectified = false;
  std::vector<NodeId> reads;
  std::vector<NodeId> dead_after;  ///< values that no later step reads
};

/// The steps from the graph's input to its output, one of each.
[[nodiscard]] std::vector<Step> plan_steps(const Graph& graph);

/// What is made beside a value or its gradient, for convolutions that read them.
struct Handed {
  bool averages = false;   ///< of the high frequency's cells: a convolution reads them
  bool diff_sums = false;  ///< of the gradient's: those of the convolution that made the value do
  /// A convolution reads the value, and a batch norm that follows from it adds it: in the backward
  /// pass the latter comes first, and hands its part of the gradient to the former.
  bool other_gradient = false;
};

/// What is handed on, by node, if convolutions take it (nn/oct_conv_of.h).
[[nodiscard]] std::vector<Handed> plan_handed(const Graph& graph, const std::vector<Step>& steps);

/// Consecutive steps that are read and left through one value each: what is made of the first value
/// alone, and of which later steps read the last alone.
struct Part {
  std::size_t begin = 0;
  std::size_t end = 0;  ///< one past the last
  NodeId reads = Step::kNone;
  NodeId makes = Step::kNone;
};

/// Parts whose inside is worth computing again for the backward pass instead of keeping it, in
/// order: they have several convolutions.
///
/// A part with several convolutions that no single value divides, such as a residual block, is one
/// of its own; in chains three convolutions are. The last such part is left out: its backward pass
/// begins when all of it has just been computed, so that it would save nothing.
[[nodiscard]] std::vector<Part> parts_to_repeat(const Graph& graph, const std::vector<Step>& steps);

}  // namespace octconv::nn
