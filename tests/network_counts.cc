// SPDX-License-Identifier: Apache-2.0
// What docs/networks/tables.py writes on pages, of many networks in one process: counts as `octconv
// zoo` and `octconv cost` print them one by one, and constants of the descriptions.
//
// Prints "name<tab>summary<tab>stride-mode<tab>epsilon<tab>momentum<tab>zero-gamma" of every
// network (zero-gamma: 1 if it can start with it) and an empty line. Then each line of the input,
// "name alpha size exchange" (size 0: the network's own), is answered by "multiply-adds
// authors-flops parameters activation-elements".
#include <cstdint>
#include <exception>
#include <iostream>
#include <optional>
#include <string>
#include <variant>

#include "octconv/base/error.h"
#include "octconv/graph/cost.h"
#include "octconv/graph/octavize.h"
#include "octconv/graph/zoo.h"

namespace {

using namespace octconv;

// What the batch norms of a network have in common.
BatchNorm batch_norm_of(const Graph& graph) {
  std::optional<BatchNorm> common;
  for (const Node& node : graph.nodes()) {
    const auto* norm = std::get_if<BatchNorm>(&node.op);
    if (norm == nullptr) continue;
    if (common && (common->epsilon != norm->epsilon || common->momentum != norm->momentum)) {
      throw Error("network '" + graph.name() + "' has batch norms of several kinds");
    }
    common = *norm;
  }
  if (!common) throw Error("network '" + graph.name() + "' has no batch norm");
  return *common;
}

bool can_zero_gamma(const Graph& graph) {
  try {
    static_cast<void>(make_network(graph.name(), {.zero_gamma = true}));
    return true;
  } catch (const InvalidArgument&) {
    return false;
  }
}

void describe(const ZooEntry& entry) {
  const Graph graph = make_network(entry.name);
  const BatchNorm norm = batch_norm_of(graph);
  std::cout << entry.name << '\t' << entry.summary << '\t' << to_string(graph.policy().stride_mode)
            << '\t' << norm.epsilon << '\t' << norm.momentum << '\t' << can_zero_gamma(graph)
            << '\n';
}

void count(const std::string& name, double alpha, std::int64_t size, const std::string& exchange) {
  const Graph graph =
      octavize(make_network(name), {.alpha = alpha, .exchange = parse_exchange(exchange)}).graph;
  const Cost counted =
      cost(graph, size > 0 ? graph.default_extents(size) : graph.default_extents());
  std::cout << counted.macs << ' ' << counted.authors_flops << ' ' << counted.params << ' '
            << counted.activation_elements << std::endl;
}

}  // namespace

int main() {
  try {
    for (const ZooEntry& entry : zoo_entries()) describe(entry);
    std::cout << std::endl;
    std::string name;
    std::string exchange;
    double alpha = 0;
    std::int64_t size = 0;
    while (std::cin >> name >> alpha >> size >> exchange) count(name, alpha, size, exchange);
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 1;
  }
}
