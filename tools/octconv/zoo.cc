// SPDX-License-Identifier: Apache-2.0
// octconv zoo: the networks that other commands know by name.
#include <algorithm>
#include <cstdint>
#include <iomanip>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "commands.h"
#include "octconv/graph/cost.h"
#include "octconv/graph/zoo.h"

namespace octconv::tool {
namespace {

struct Row {
  ZooEntry entry;
  std::vector<std::int64_t> input;  // channels and extents
  Cost cost;
};

std::vector<Row> rows() {
  std::vector<Row> all;
  for (const ZooEntry& entry : zoo_entries()) {
    const Graph graph = make_network(entry.name);
    const Shape& extents = graph.default_extents();
    std::vector<std::int64_t> input{graph.node(graph.inputs()[0]).channels.total()};
    input.insert(input.end(), extents.begin(), extents.end());
    all.push_back({entry, std::move(input), cost(graph, extents)});
  }
  return all;
}

std::string times(const std::vector<std::int64_t>& extents) {
  std::string text;
  for (const std::int64_t extent : extents) {
    text += (text.empty() ? "" : "x") + std::to_string(extent);
  }
  return text;
}

void print_json() {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const Row& row : rows()) {
    json.push_back({{"name", row.entry.name},
                    {"summary", row.entry.summary},
                    {"input", row.input},
                    {"params", row.cost.params},
                    {"macs", row.cost.macs}});
  }
  std::cout << json.dump(2) << "\n";
}

void print_table() {
  const std::vector<Row> all = rows();
  std::size_t width = 0;
  for (const Row& row : all) width = std::max(width, row.entry.name.size());
  const int name_width = static_cast<int>(width) + 2;
  std::cout << std::left << std::setw(name_width) << "name" << std::setw(14) << "input"
            << std::right << std::setw(12) << "parameters" << std::setw(16) << "multiply-adds"
            << "  summary\n";
  for (const Row& row : all) {
    std::cout << std::left << std::setw(name_width) << row.entry.name << std::setw(14)
              << times(row.input) << std::right << std::setw(12) << row.cost.params << std::setw(16)
              << row.cost.macs << "  " << row.entry.summary << "\n";
  }
}

}  // namespace

void add_zoo(CLI::App& app) {
  auto as_json = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand("zoo", "List the networks, with their costs");
  command->footer("Example: octconv zoo --json");
  command->add_flag("--json", *as_json, "print JSON");
  command->callback([as_json] { *as_json ? print_json() : print_table(); });
}

}  // namespace octconv::tool
