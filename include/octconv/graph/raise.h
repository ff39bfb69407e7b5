// SPDX-License-Identifier: Apache-2.0
// Recognises octave convolutions that are spelled out in ordinary operations.
#pragma once

#include <cstdint>

#include "octconv/base/api.h"
#include "octconv/graph/model.h"

namespace octconv {

/// A network whose octave structure was recognised.
struct Raised {
  Model model;                    ///< with octave values where they were recognised
  std::int64_t octave_convs = 0;  ///< convolutions that read or make octave values; 0: unchanged
};

/// Turns the octave structure of a graph of ordinary values into octave values: convolutions of two
/// grids with average pools, nearest enlargement and sums between them become one octave
/// convolution; twins of batch norms, activations, pools, sums, products, concatenations, gates and
/// enlargements on both grids become one operation; means of the grids become those of the value,
/// or chosen channels of them.
///
/// The result computes the same for images of the graph's default extents, up to rounding. What is
/// not exactly octave, or is read by an operation that is not, stays as it is; so does the network
/// as a whole if nothing is recognised. Octave convolutions that pool for their stride are
/// recognised in the three ways of `StrideMode`, with every `Exchange`; kernels of the paths become
/// blocks of one weight, batch norms of single paths part of these, and their biases are added up.
/// Where the graph could have low grids of several kinds, it has that of which most convolutions
/// are octave. Inputs and outputs keep their names. Stages and the policy are not known.
///
/// @throws InvalidArgument if the weights do not fit the graph
[[nodiscard]] OCTCONV_API Raised raise(Model model);

}  // namespace octconv
