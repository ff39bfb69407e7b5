// SPDX-License-Identifier: Apache-2.0
// Packs the weights of a pass that Winograd's method computes.
#pragma once

#include "octave/packed_conv.h"

namespace octconv::octave {

/// Sets the pass's transformed weights and their stride. They are computed in double and rounded
/// once.
void pack_winograd(const ConvOptions& options, const WeightView& weight,
                   const kernels::ConvKernel& kernel, TensorPool* pool, ConvPass& pass);

}  // namespace octconv::octave
