// SPDX-License-Identifier: Apache-2.0
// What commands make of a file whose octave convolutions only its operations tell.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "octconv/graph/raise.h"
#include "octconv/tensor/tensor.h"

namespace octconv::workflow {

/// `raise` for images of `extents`, which become the graph's default ones. What says itself what is
/// octave in it comes back as it is.
/// @throws InvalidArgument if the extents or the weights do not fit the graph
[[nodiscard]] Raised recognise(Model model, const Shape& extents);

/// The same for the inputs that the network is to run on. If they do not have the extents that the
/// graph tells of them, nothing is recognised.
///
/// @param inputs  [batch, channels, extents...], in the order of the graph's
/// @throws InvalidArgument as above
[[nodiscard]] Raised recognise_for(Model model, std::span<const Tensor> inputs);

/// The convolutions that read or make octave values, by name, in the graph's order.
[[nodiscard]] std::vector<std::string> octave_conv_names(const Graph& graph);

}  // namespace octconv::workflow
