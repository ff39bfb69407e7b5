// SPDX-License-Identifier: Apache-2.0
// Batch norms whose batch is divided among processes.
#pragma once

#include <functional>
#include <span>

#include "octconv/base/api.h"

namespace octconv::nn {

/// Adds up numbers of all processes, in place. Every process calls it as often, with as many.
using SumOverProcesses = std::function<void(std::span<double> values)>;

/// Makes the batch norms of `GraphModule`s in training take mean and variance over the batches of
/// all processes together, forward and backward, as if they were one. Running means then are the
/// same everywhere; each process has its own share of the gradients of scale and shift. Holds for
/// this process until it is called again; null: each takes its own batch's.
///
/// While it is set, a batch norm that has no loop of its own here (not float, not channels last,
/// not affine) throws Unsupported in training.
OCTCONV_API void set_norm_sums(SumOverProcesses sums);

}  // namespace octconv::nn
