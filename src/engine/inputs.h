// SPDX-License-Identifier: Apache-2.0
// Do tensors fit the inputs of a network?
#pragma once

#include <span>

#include "engine/program.h"

namespace octconv::engine {

/// @throws InvalidArgument unless there is a tensor [batch, channels, extents...] for each input,
/// all of one batch
void check_inputs(const Network::Program& program, std::span<const Tensor> inputs);

}  // namespace octconv::engine
