// SPDX-License-Identifier: Apache-2.0
// Whether a network, a data set and options go together.
#pragma once

#include "octconv/graph/graph.h"
#include "octconv/image/dataset.h"
#include "octconv/train/options.h"

namespace octconv::train {

/// @throws InvalidArgument naming network, data set and what does not fit
void check_fits(const Graph& graph, const Dataset& data, const TrainOptions& options);

}  // namespace octconv::train
