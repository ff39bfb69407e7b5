// SPDX-License-Identifier: Apache-2.0
#include "workflow/paper.h"

#include <charconv>
#include <cmath>
#include <map>
#include <string>
#include <tuple>
#include <variant>

#include "octconv/base/error.h"
#include "octconv/graph/cost.h"
#include "octconv/graph/octavize.h"
#include "octconv/graph/receptive_field.h"
#include "octconv/graph/zoo.h"
#include "workflow/layer_share.h"

namespace octconv::workflow {
namespace {

constexpr double kMillion = 1e6;
constexpr double kBillion = 1e9;

struct Counts {
  std::int64_t flops = 0;        // as the authors' tool counts them
  std::int64_t layer_flops = 0;  // multiply-adds and biases of convolutions and linear layers
  std::int64_t macs = 0;
  std::int64_t params = 0;
};

std::int64_t biases(const Op& op, const NodeCost& node) {
  const auto* conv = std::get_if<Conv>(&op);
  const auto* linear = std::get_if<Linear>(&op);
  const bool has = (conv != nullptr && conv->bias) || (linear != nullptr && linear->bias);
  return has ? node.high_elements + node.low_elements : 0;
}

Counts count(const PaperRow& row, std::int64_t size) {
  const Graph graph =
      octavize(make_network(row.network),
               {.alpha = row.alpha, .exchange = row.exchange, .downsample = row.downsample})
          .graph;
  const Cost counted = cost(graph, graph.default_extents(size));
  Counts counts{.flops = counted.authors_flops, .macs = counted.macs, .params = counted.params};
  for (const NodeCost& node : counted.nodes) {
    const Op& op = graph.node(node.node).op;
    if (std::holds_alternative<Attention>(op)) continue;
    counts.layer_flops += node.macs + biases(op, node);
  }
  return counts;
}

// Input pixels that a 3 x 3 convolution spans from low to low pixels, over those from high to high.
double reach(double alpha) {
  constexpr std::int64_t kChannels = 4;
  const auto conv = [](std::int64_t kernel) {
    const std::int64_t padding = kernel / 2;
    return Conv{.out_channels = kChannels,
                .kernel = {kernel, kernel},
                .stride = {1, 1},
                .dilation = {1, 1},
                .padding_begin = {padding, padding},
                .padding_end = {padding, padding}};
  };
  Graph graph("reach", {2, 2});
  graph.set_policy({.stride_mode = StrideMode::kPool, .octave_stages = {true}});
  const NodeId input = graph.add("input", Input{kChannels}, {});
  const NodeId split = graph.add("split", conv(1), {input}, 0);
  const NodeId layer = graph.add("layer", conv(3), {split}, 0);
  graph.add_output(graph.add("join", conv(1), {layer}));
  const Graph octave = octavize(graph, {.alpha = alpha, .exchange = Exchange::kNone}).graph;
  const ValueReceptiveField field = receptive_fields(octave)[static_cast<std::size_t>(layer)];
  return static_cast<double>(field.low.extent[0]) / static_cast<double>(field.high.extent[0]);
}

class Counter {
 public:
  std::optional<double> operator()(const PaperRow& row, const PaperValue& value) {
    switch (value.quantity) {
      case Quantity::kNone:
        return std::nullopt;
      case Quantity::kFlopsShare:
        return 100 * layer_share(row.alpha).macs;
      case Quantity::kMemoryShare:
        return 100 * layer_share(row.alpha).elements;
      case Quantity::kReach:
        return reach(row.alpha);
      case Quantity::kGigaFlops:
        return of(row, value, &Counts::flops, kBillion);
      case Quantity::kMegaFlops:
        return of(row, value, &Counts::flops, kMillion);
      case Quantity::kGigaLayerFlops:
        return of(row, value, &Counts::layer_flops, kBillion);
      case Quantity::kMegaMacs:
        return of(row, value, &Counts::macs, kMillion);
      case Quantity::kMegaParams:
        return of(row, value, &Counts::params, kMillion);
    }
    return std::nullopt;
  }

 private:
  using Key = std::tuple<std::string_view, double, Exchange, Downsample, std::int64_t>;

  std::optional<double> of(const PaperRow& row, const PaperValue& value, std::int64_t Counts::*what,
                           double unit) {
    if (row.network.empty()) return std::nullopt;
    const Key key{row.network, row.alpha, row.exchange, row.downsample, value.size};
    auto found = made_.find(key);
    if (found == made_.end()) found = made_.emplace(key, count(row, value.size)).first;
    return static_cast<double>(found->second.*what) / unit;
  }

  std::map<Key, Counts> made_;  // rows share networks
};

std::optional<double> difference(const PaperTable& table, const PaperValue& value,
                                 std::optional<double> computed) {
  if (!computed || value.published.empty()) return std::nullopt;
  const double published = number(value.published);
  if (std::abs(*computed - published) <= table.reading_error * published) return 0;
  const double steps = std::pow(10, decimals(value.published));
  // Halves away from zero, as the article has them: 62.5 % is 63 %.
  return (std::round(*computed * steps) - std::round(published * steps)) / steps;
}

}  // namespace

std::string_view name(Quantity quantity) {
  switch (quantity) {
    case Quantity::kNone:
      break;
    case Quantity::kFlopsShare:
      return "FLOPs, %";
    case Quantity::kMemoryShare:
      return "memory, %";
    case Quantity::kReach:
      return "factor";
    case Quantity::kGigaFlops:
      return "GFLOPs";
    case Quantity::kMegaFlops:
      return "MFLOPs";
    case Quantity::kGigaLayerFlops:
      return "GFLOPs of layers";
    case Quantity::kMegaMacs:
      return "MACs, M";
    case Quantity::kMegaParams:
      return "params, M";
  }
  return "";
}

double number(std::string_view published) {
  double value = 0;
  const char* const last = published.data() + published.size();
  const auto [end, error] = std::from_chars(published.data(), last, value);
  if (error != std::errc{} || end != last) {
    throw InvalidArgument("paper: '" + std::string(published) + "' is not a number");
  }
  return value;
}

int decimals(std::string_view published) {
  const std::size_t point = published.find('.');
  return point == std::string_view::npos ? 0 : static_cast<int>(published.size() - point - 1);
}

ReproducedTable reproduce(const PaperTable& table) {
  ReproducedTable reproduced{.table = &table, .results = {}};
  Counter counter;
  for (const PaperRow& row : table.rows) {
    for (const PaperValue& value : row.values) {
      if (value.quantity == Quantity::kNone) continue;
      const std::optional<double> computed = counter(row, value);
      reproduced.results.push_back({.row = &row,
                                    .value = &value,
                                    .computed = computed,
                                    .difference = difference(table, value, computed)});
    }
  }
  return reproduced;
}

}  // namespace octconv::workflow
