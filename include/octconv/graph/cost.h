// SPDX-License-Identifier: Apache-2.0
// What a network costs: multiply-adds, parameters, activation elements.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "octconv/base/api.h"
#include "octconv/graph/graph.h"

namespace octconv {

/// Cost of one path of a convolution for one image.
struct PathCost {
  /// "high_to_high" and so on; "linear" for a fully connected layer, "attention" for both products
  /// of attention.
  std::string_view path;
  std::int64_t macs = 0;  ///< multiply-adds
};

/// Cost of one node for one image.
struct NodeCost {
  NodeId node = -1;  ///< whose cost it is
  /// Multiply-adds of convolutions, linear layers and attention, without bias.
  std::int64_t macs = 0;
  std::int64_t authors_flops = 0;  ///< operations as the article's authors counted them
  std::int64_t params = 0;         ///< trained parameters that the node reads
  std::int64_t high_elements = 0;  ///< of its value, on the full grid
  std::int64_t low_elements = 0;   ///< of its value, on the low grid
  std::vector<PathCost> paths;     ///< their multiply-adds add up to `macs`
};

/// Cost of a network for one image.
struct Cost {
  std::int64_t macs = 0;  ///< multiply-adds
  /// Operations as the authors of the article counted them for its figures and tables: beside
  /// multiply-adds they count biases, pools and some relus (docs/command-line.md).
  std::int64_t authors_flops = 0;
  std::int64_t params = 0;               ///< trained parameters
  std::int64_t activation_elements = 0;  ///< sum over all values but the inputs
  /// Largest sum of values that exist at once when the nodes run in order and each value is freed
  /// after its last use, inputs included.
  std::int64_t peak_live_elements = 0;
  std::int64_t convs = 0;         ///< convolutions
  std::int64_t octave_convs = 0;  ///< those of them that read or make an octave value
  std::vector<NodeCost> nodes;    ///< one per node, in order
};

/// Counts for one image of these extents. Agrees with the article's counts (a multiply-add is one
/// operation; pooling, upsampling, additions and batch norm are not counted).
/// @throws InvalidArgument if the extents do not fit the network, or a count does not fit in 63
/// bits
[[nodiscard]] OCTCONV_API Cost cost(const Graph& graph, const Shape& extents);

}  // namespace octconv
