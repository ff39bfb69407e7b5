// SPDX-License-Identifier: Apache-2.0
// Counts of many networks in one process, for docs/networks/tables.py: what `octconv zoo` and
// `octconv cost` print one by one.
//
// Prints "name<tab>summary" of every network and an empty line. Then each line of the input, "name
// alpha size exchange" (size 0: the network's own), is answered by "multiply-adds authors-flops
// parameters activation-elements".
#include <cstdint>
#include <exception>
#include <iostream>
#include <string>
#include <utility>

#include "octconv/base/error.h"
#include "octconv/graph/cost.h"
#include "octconv/graph/octavize.h"
#include "octconv/graph/zoo.h"

namespace {

using namespace octconv;

Exchange exchange_of(const std::string& name) {
  for (const auto& [known, exchange] :
       {std::pair{"both", Exchange::kBoth}, std::pair{"high_to_low", Exchange::kHighToLow},
        std::pair{"low_to_high", Exchange::kLowToHigh}, std::pair{"none", Exchange::kNone}}) {
    if (name == known) return exchange;
  }
  throw InvalidArgument("unknown exchange '" + name + "'");
}

void answer() {
  for (const ZooEntry& entry : zoo_entries()) {
    std::cout << entry.name << '\t' << entry.summary << '\n';
  }
  std::cout << std::endl;
  std::string name, exchange;
  double alpha = 0;
  std::int64_t size = 0;
  while (std::cin >> name >> alpha >> size >> exchange) {
    const Graph graph =
        octavize(make_network(name), {.alpha = alpha, .exchange = exchange_of(exchange)}).graph;
    Shape extents = graph.default_extents();
    for (std::size_t axis = 0; axis < extents.rank() && size > 0; ++axis) {
      if (graph.octave()[axis] == 2) extents[axis] = size;
    }
    const Cost counted = cost(graph, extents);
    std::cout << counted.macs << ' ' << counted.authors_flops << ' ' << counted.params << ' '
              << counted.activation_elements << '\n';
  }
}

}  // namespace

int main() {
  try {
    answer();
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 1;
  }
}
