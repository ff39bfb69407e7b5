// SPDX-License-Identifier: Apache-2.0
// How much faster than its ordinary network an octave network runs: medians of interleaved runs.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include "median.h"
#include "octconv/base/parallel.h"
#include "octconv/base/random.h"
#include "octconv/engine/network.h"
#include "octconv/graph/cost.h"
#include "octconv/graph/octavize.h"
#include "octconv/graph/zoo.h"

namespace {

struct Contender {
  double alpha;
  octconv::Cost cost;
  octconv::Session session;
  octconv::Tensor output;
  std::vector<double> milliseconds;
};

Contender make(const std::string& network, double alpha, const octconv::Shape& extents) {
  octconv::Graph graph = octconv::octavize(octconv::make_network(network), {.alpha = alpha}).graph;
  octconv::Weights weights = octconv::initial_weights(graph, 1);
  octconv::Cost cost = octconv::cost(graph, extents);
  const octconv::Model model{.graph = std::move(graph), .weights = std::move(weights)};
  return {.alpha = alpha,
          .cost = std::move(cost),
          .session = octconv::Session(octconv::compile(model)),
          .output = {},
          .milliseconds = {}};
}

void measure(const std::string& network, std::int64_t batch, int rounds) {
  const octconv::Shape extents = octconv::make_network(network).default_extents();
  octconv::Tensor input(octconv::Shape{batch, 3, extents[0], extents[1]});
  octconv::Random random(1);
  for (float& value : input.values()) value = static_cast<float>(random.normal());

  std::vector<Contender> contenders;
  for (const double alpha : {0.0, 0.25, 0.5}) contenders.push_back(make(network, alpha, extents));
  for (int round = -1; round < rounds; ++round) {  // the first plans and warms up
    for (Contender& contender : contenders) {
      const auto begin = std::chrono::steady_clock::now();
      contender.session.run(input, contender.output);
      const std::chrono::duration<double, std::milli> time =
          std::chrono::steady_clock::now() - begin;
      if (round >= 0) contender.milliseconds.push_back(time.count());
    }
  }
  const double ordinary = median(contenders[0].milliseconds);
  for (const Contender& contender : contenders) {
    const double time = median(contender.milliseconds);
    const auto macs = static_cast<double>(contender.cost.macs);
    std::printf("%-14s batch %2d alpha %.2f %9.3f ms %6.1f GFLOP/s  time %.3f  macs %.3f\n",
                network.c_str(), static_cast<int>(batch), contender.alpha, time,
                2e-6 * macs * static_cast<double>(batch) / time, time / ordinary,
                macs / static_cast<double>(contenders[0].cost.macs));
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc > 3) {
      std::fprintf(stderr, "usage: %s [rounds [threads]]\n", argv[0]);
      return 2;
    }
    const int rounds = argc > 1 ? std::max(1, std::atoi(argv[1])) : 15;
    octconv::set_thread_count(argc > 2 ? std::atoi(argv[2]) : 1);
    measure("resnet20", 1, rounds * 20);
    measure("resnet20", 16, rounds * 2);
    measure("resnet50v2", 1, rounds);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
  return 0;
}
