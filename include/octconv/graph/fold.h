// SPDX-License-Identifier: Apache-2.0
// Batch norms as part of the convolutions before them.
#pragma once

#include "octconv/base/api.h"
#include "octconv/graph/model.h"

namespace octconv {

/// The model with every batch norm gone that follows a convolution or linear layer whose value
/// nobody else reads: it becomes part of that layer's weight and bias, in double. The layer keeps
/// its name; splits, stages and the policy stay. The result computes the same, is for running and
/// not for training, and has fewer nodes and parameters.
///
/// @throws InvalidArgument if the weights do not fit the graph
[[nodiscard]] OCTCONV_API Model fold_batch_norms(const Model& model);

}  // namespace octconv
