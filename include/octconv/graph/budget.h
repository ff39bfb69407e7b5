// SPDX-License-Identifier: Apache-2.0
// The alpha that meets a budget.
#pragma once

#include "octconv/base/api.h"
#include "octconv/graph/octavize.h"

namespace octconv {

/// The smallest alpha, in 64ths, whose octave twin needs at most `share` of the network's
/// multiply-adds.
///
/// @param extents  of the input image
/// @param share    in (0, 1]
/// @param options  of the twin; its alpha is not read
/// @throws InvalidArgument for another share, or one that no alpha meets: it names what is least
[[nodiscard]] OCTCONV_API double alpha_for_budget(const Graph& graph, const Shape& extents,
                                                  double share, OctavizeOptions options = {});

}  // namespace octconv
