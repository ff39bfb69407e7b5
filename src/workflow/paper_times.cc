// SPDX-License-Identifier: Apache-2.0
#include "workflow/paper_times.h"

#include <algorithm>
#include <deque>

#include "octconv/base/error.h"
#include "octconv/engine/network.h"
#include "octconv/graph/cost.h"
#include "octconv/graph/octavize.h"
#include "octconv/graph/zoo.h"
#include "workflow/measure.h"
#include "workflow/paper.h"

namespace octconv::workflow {
namespace {

constexpr std::int64_t kSize = 224;
constexpr std::uint64_t kSeed = 1;
constexpr double kNsPerMs = 1e6;

bool is_timed(const PaperRow& row) {
  return !row.cpu_ms.empty() && !row.network.empty();
}

// The networks that are timed, in the table's order, without repetition.
std::vector<std::string_view> families(const PaperTable& table) {
  std::vector<std::string_view> names;
  for (const PaperRow& row : table.rows) {
    if (is_timed(row) && std::find(names.begin(), names.end(), row.network) == names.end())
      names.push_back(row.network);
  }
  return names;
}

// The article's ordinary network that was timed as its octave ones were: the last before them.
const PaperRow* ordinary_row(const PaperTable& table, std::string_view network) {
  const PaperRow* found = nullptr;
  for (const PaperRow& row : table.rows) {
    if (is_timed(row) && row.network == network && row.alpha == 0) found = &row;
  }
  return found;
}

// The table's rows of a family; an alpha 0 that the article did not time comes first without it.
std::vector<MeasuredNetwork> networks_of(const PaperTable& table, std::string_view network) {
  std::vector<MeasuredNetwork> networks;
  const PaperRow* const ordinary = ordinary_row(table, network);
  if (ordinary == nullptr) networks.push_back({.label = network, .network = network});
  for (const PaperRow& row : table.rows) {
    if (!is_timed(row) || row.network != network) continue;
    MeasuredNetwork measured{.label = row.label, .network = network, .alpha = row.alpha};
    measured.published_ms = number(row.cpu_ms);
    if (ordinary != nullptr)
      measured.published_share = *measured.published_ms / number(ordinary->cpu_ms);
    networks.push_back(measured);
  }
  return networks;
}

// An alpha of a family, ready to run.
struct Runnable {
  double alpha = 0;
  std::int64_t macs = 0;
  Session session;
  Tensor output;
};

Runnable prepare(std::string_view network, double alpha, const PaperTimingOptions& options,
                 const Tensor& input) {
  const Graph graph = octavize(make_network(network), {.alpha = alpha}).graph;
  const Shape extents = graph.default_extents(kSize);
  const std::int64_t macs = cost(graph, extents).macs;
  Model model{.graph = graph, .weights = initial_weights(graph, kSeed), .preprocessing = {}};
  Runnable runnable{
      .alpha = alpha,
      .macs = macs,
      .session = Session(compile(std::move(model), {.extents = extents, .exact = options.exact}),
                         {.threads = options.threads}),
      .output = {}};
  runnable.session.run(input, runnable.output);  // plans, so that the arena is known
  return runnable;
}

void measure_family(std::vector<MeasuredNetwork>& networks, const PaperTimingOptions& options) {
  const Graph family = make_network(networks.front().network);
  const Tensor input = timed_input(family, 1, family.default_extents(kSize));
  std::deque<Runnable> runnables;
  const auto find = [&](double alpha) {
    return std::find_if(runnables.begin(), runnables.end(),
                        [&](const Runnable& each) { return each.alpha == alpha; });
  };
  for (const MeasuredNetwork& each : networks) {
    if (find(each.alpha) == runnables.end())
      runnables.push_back(prepare(each.network, each.alpha, options, input));
  }
  std::vector<std::function<void()>> bodies;
  for (Runnable& each : runnables)
    bodies.emplace_back([&input, &each] { each.session.run(input, each.output); });
  const std::vector<Timing> timings = measure_in_turns(bodies, options.rounds);
  const Runnable& ordinary = runnables.front();
  const auto share = [](std::int64_t part, std::int64_t whole) {
    return static_cast<double>(part) / static_cast<double>(whole);
  };
  for (MeasuredNetwork& each : networks) {
    const auto runnable = find(each.alpha);
    const Timing& timing = timings[static_cast<std::size_t>(runnable - runnables.begin())];
    each.ms = timing.median_ns / kNsPerMs;
    each.time_share = timing.ratio;
    each.macs = runnable->macs;
    each.macs_share = share(runnable->macs, ordinary.macs);
    const std::int64_t elements = runnable->session.arena_elements();
    each.memory_bytes = elements * static_cast<std::int64_t>(sizeof(float));
    each.memory_share = share(elements, ordinary.session.arena_elements());
  }
}

}  // namespace

bool has_times(const PaperTable& table) {
  return std::any_of(table.rows.begin(), table.rows.end(), is_timed);
}

TimedTable measure_times(const PaperTable& table, const PaperTimingOptions& options,
                         const std::function<void(const std::string&)>& progress) {
  if (!has_times(table))
    throw InvalidArgument(std::string(table.name) + " of the article has no times on a CPU");
  TimedTable timed{.table = &table, .networks = {}};
  for (const std::string_view family : families(table)) {
    progress("timing " + std::string(family));
    std::vector<MeasuredNetwork> networks = networks_of(table, family);
    measure_family(networks, options);
    timed.networks.insert(timed.networks.end(), networks.begin(), networks.end());
  }
  return timed;
}

}  // namespace octconv::workflow
