// SPDX-License-Identifier: Apache-2.0
// Times of alternatives, taken in turns so that a change of the machine's pace meets all of them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "octconv/graph/graph.h"
#include "octconv/tensor/tensor.h"

namespace octconv::workflow {

struct Timing {
  double median_ns = 0;
  double least_ns = 0;
  double ratio = 1;  // median over the rounds of own time / the first body's time in the same round
};

// One round runs every body once, in order; the first, which warms caches up, is not counted.
// Throws InvalidArgument for rounds < 1.
std::vector<Timing> measure_in_turns(const std::vector<std::function<void()>>& bodies,
                                     std::int64_t rounds);

// Random pixels in [-1, 1) for a network of one input, the same every time.
Tensor timed_input(const Graph& graph, std::int64_t batch, const Shape& extents);

// The middle value, or the mean of the two in the middle. Requires values.
double median(std::vector<double> values);

}  // namespace octconv::workflow
