// SPDX-License-Identifier: Apache-2.0
// Stages of a network that nobody described.
#pragma once

#include "octconv/base/api.h"
#include "octconv/graph/graph.h"

namespace octconv {

/// Gives the convolutions of an ordinary network stages by the total stride of what they make, and
/// the network a policy for octavize: values on a grid at least 32 times coarser than the input's
/// stay ordinary (their low grids would be a few pixels), and so does what a convolution of the
/// input makes, unless a sum ties it to what later ones make. Strides stay strides, so that trained
/// weights keep their meaning.
OCTCONV_API void set_stages_by_stride(Graph& graph);

}  // namespace octconv
