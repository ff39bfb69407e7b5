// SPDX-License-Identifier: Apache-2.0
// Turns a network into its octave twin: sets the low counts of values and what strides do, nothing
// else.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "octconv/base/api.h"
#include "octconv/graph/graph.h"

namespace octconv {

/// A value that stays ordinary, or stayed so although the policy gave its stage alpha > 0.
struct KeptOrdinary {
  NodeId node = -1;    ///< that makes the value
  std::string reason;  ///< a sentence part for messages
};

/// What kind of twin is made.
struct OctavizeOptions {
  double alpha = 0;  ///< fraction of channels at half resolution, in [0, 1]
  /// Alpha of single convolutions by name, in place of what the policy gives to their stages; it
  /// holds for all values that are tied to theirs.
  std::map<std::string, double> layer_alphas;
  /// Unset: the family's own where alpha > 0, none where alpha is 0 (the untouched network).
  std::optional<StrideMode> stride_mode;
  Exchange exchange = Exchange::kBoth;  ///< of every octave convolution
  /// How high comes to the low grid in every octave convolution. The engine has the average only.
  Downsample downsample = Downsample::kAverage;
  /// In which order low_to_high convolves and upsamples in every octave convolution.
  LowToHigh low_to_high = LowToHigh::kConvThenUpsample;
  /// Values that stay ordinary whatever the policy says, with all that is tied to them.
  std::vector<KeptOrdinary> ordinary;
};

/// An octave twin, and what stayed ordinary in it.
struct Octavized {
  Graph graph;                              ///< the same nodes and parameters
  std::vector<KeptOrdinary> kept_ordinary;  ///< in node order
};

/// The octave twin of an ordinary network.
///
/// Element-wise operations join the splits of their values into one group (union-find). A group
/// that holds a graph input or output, a convolution without stage, or one whose geometry excludes
/// octave values is ordinary; the others take the alpha that the graph's policy gives to the stage
/// of their convolutions. A concatenation has as many low channels as the values that it joins; if
/// its group must be ordinary, so must they. Queries, keys and values of attention are ordinary.
///
/// @throws InvalidArgument for an alpha outside [0, 1] or of something that is no convolution, or a
/// graph that is octave already
[[nodiscard]] OCTCONV_API Octavized octavize(const Graph& graph, const OctavizeOptions& options);

}  // namespace octconv
