// SPDX-License-Identifier: Apache-2.0
#include "workflow/measure.h"

#include <algorithm>
#include <chrono>

#include "octconv/base/error.h"
#include "octconv/base/random.h"

namespace octconv::workflow {

Tensor timed_input(const Graph& graph, std::int64_t batch, const Shape& extents) {
  Shape shape{batch, graph.node(graph.inputs()[0]).channels.total()};
  for (const std::int64_t extent : extents) shape.push_back(extent);
  Tensor input(shape);
  Random random(1);
  for (float& value : input.values()) value = static_cast<float>(2 * random.uniform() - 1);
  return input;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::vector<Timing> measure_in_turns(const std::vector<std::function<void()>>& bodies,
                                     std::int64_t rounds) {
  using Clock = std::chrono::steady_clock;
  if (rounds < 1) {
    throw InvalidArgument("measure_in_turns: needs a round, got " + std::to_string(rounds));
  }
  std::vector<std::vector<double>> times(bodies.size());
  std::vector<std::vector<double>> ratios(bodies.size());
  for (const auto& body : bodies) body();
  for (std::int64_t round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < bodies.size(); ++i) {
      const Clock::time_point begin = Clock::now();
      bodies[i]();
      times[i].push_back(std::chrono::duration<double, std::nano>(Clock::now() - begin).count());
      ratios[i].push_back(times[i].back() / times[0].back());
    }
  }
  std::vector<Timing> timings;
  for (std::size_t i = 0; i < bodies.size(); ++i) {
    timings.push_back({.median_ns = median(times[i]),
                       .least_ns = *std::min_element(times[i].begin(), times[i].end()),
                       .ratio = median(ratios[i])});
  }
  return timings;
}

}  // namespace octconv::workflow
