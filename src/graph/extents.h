// SPDX-License-Identifier: Apache-2.0
// Shape inference of one node.
#pragma once

#include <span>

#include "octconv/graph/graph.h"

namespace octconv {

/// Extents of the full grid of a node's value; rank 0 for a value without extents.
///
/// @param inputs  the same of what the node reads; of an Input its own
/// @throws InvalidArgument if they do not fit
[[nodiscard]] Shape value_extents(const Graph& graph, NodeId id, std::span<const Shape> inputs);

}  // namespace octconv
