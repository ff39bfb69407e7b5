// SPDX-License-Identifier: Apache-2.0
#include "octconv/graph/budget.h"

#include <algorithm>
#include <string>

#include "octconv/base/error.h"
#include "octconv/graph/cost.h"

namespace octconv {

double alpha_for_budget(const Graph& graph, const Shape& extents, double share,
                        OctavizeOptions options) {
  if (!(share > 0 && share <= 1))
    throw InvalidArgument("a budget must be in (0, 1], got " + std::to_string(share));
  constexpr int kSteps = 64;
  const auto whole = static_cast<double>(cost(graph, extents).macs);
  double least = 1;
  for (int step = 0; step <= kSteps; ++step) {
    options.alpha = static_cast<double>(step) / kSteps;
    const auto part = static_cast<double>(cost(octavize(graph, options).graph, extents).macs);
    if (part <= share * whole) return options.alpha;
    least = std::min(least, part / whole);
  }
  throw InvalidArgument("network '" + graph.name() + "': no alpha meets a budget of " +
                        std::to_string(share) + "; the least is " + std::to_string(least));
}

}  // namespace octconv
