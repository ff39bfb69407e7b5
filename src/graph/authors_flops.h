// SPDX-License-Identifier: Apache-2.0
// Operations as the authors of octave convolution counted them.
#pragma once

#include <cstdint>
#include <vector>

#include "octconv/graph/graph.h"

namespace octconv {

/// Operations of one node for one image, by the rule of the tool that the authors' README names
/// (CalFlops of Ldpe2G/DeepLearningForFun) on their networks:
///
///   multiply-adds, and one addition per output where there is a bias;
///   pools, those inside octave convolutions too: outputs times window; a global pool: its inputs;
///   a relu: its elements.
///
/// In the Gluon networks relus and global pools of stages (not those of stem and head) are free:
/// the tool does not know the operations that they are there.
///
/// Batch norm, additions, upsampling, relu6, sigmoids and gates are free.
///
/// @param shapes  of all values
/// @param macs    multiply-adds of the node
/// @throws InvalidArgument if the count does not fit in 63 bits
[[nodiscard]] std::int64_t authors_flops(const Graph& graph, NodeId id,
                                         const std::vector<ValueShape>& shapes, std::int64_t macs);

}  // namespace octconv
