// SPDX-License-Identifier: Apache-2.0
#include "workflow/paper_times_report.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "octconv/base/version.h"
#include "report/html.h"
#include "report/number.h"
#include "report/table.h"

namespace octconv::workflow {
namespace {

using report::Align;
using report::fixed;
using report::shortest;

constexpr double kBytesPerMegabyte = 1e6;
constexpr double kMacsPerMillion = 1e6;
constexpr const char* kTheirMachine =
    "The article's times are of one thread of an Intel Skylake at 2.0 GHz, MKL-DNN or networks "
    "compiled by TVM.";
constexpr const char* kColumns =
    "of alpha 0: the share of the time, the multiply-adds, or the memory of the ordinary network. "
    "of the saving: the speed-up over alpha 0 divided by the one that the multiply-adds promise. "
    "MB: activations and scratch of a run, without the weights.";

std::string or_dash(const std::optional<double>& value, int decimals) {
  return value ? fixed(*value, decimals) : "-";
}

report::Table table_of(const TimedTable& timed) {
  report::Table table({{"network", Align::kLeft},
                       {"alpha"},
                       {"article ms"},
                       {"of alpha 0"},
                       {"ms here"},
                       {"of alpha 0"},
                       {"MACs, M"},
                       {"of alpha 0"},
                       {"of the saving"},
                       {"MB"},
                       {"of alpha 0"}});
  for (const MeasuredNetwork& each : timed.networks) {
    table.add_row({std::string(each.label), shortest(each.alpha), or_dash(each.published_ms, 1),
                   or_dash(each.published_share, 3), fixed(each.ms, 2), fixed(each.time_share, 3),
                   fixed(static_cast<double>(each.macs) / kMacsPerMillion, 1),
                   fixed(each.macs_share, 3), fixed(each.saving_share(), 2),
                   fixed(static_cast<double>(each.memory_bytes) / kBytesPerMegabyte, 2),
                   fixed(each.memory_share, 3)});
  }
  return table;
}

std::string circumstances(const PaperTimes& times) {
  return times.processor + ", " + std::to_string(times.options.threads) +
         (times.options.threads == 1 ? " thread" : " threads") +
         ", one image of 224 x 224, medians of " + std::to_string(times.options.rounds) +
         " interleaved rounds" + (times.options.exact ? ", without Winograd" : "");
}

}  // namespace

report::Chart time_chart(const PaperTimes& times) {
  report::Chart chart{.title = "Time over multiply-adds",
                      .x = {.label = "multiply-adds, share of alpha 0"},
                      .y = {.label = "time, share of alpha 0"},
                      .series = {},
                      .width = 760,
                      .height = 560};
  const auto series = [&](const std::string& name) -> report::Series& {
    const auto found = std::find_if(chart.series.begin(), chart.series.end(),
                                    [&](const report::Series& each) { return each.name == name; });
    if (found != chart.series.end()) return *found;
    return chart.series.emplace_back(
        report::Series{.name = name, .marks = report::Marks::kLine, .points = {}});
  };
  double least = 1;
  for (const TimedTable& timed : times.tables) {
    for (const MeasuredNetwork& each : timed.networks) {
      const std::string alpha = shortest(each.alpha);
      const std::string network(each.network);
      series(network + ", here").points.push_back({each.macs_share, each.time_share, alpha});
      if (each.published_share) {
        series(network + ", article")
            .points.push_back({each.macs_share, *each.published_share, alpha});
      }
      least = std::min(least, each.macs_share);
    }
  }
  chart.series.push_back({.name = "as the multiply-adds",
                          .marks = report::Marks::kPlainLine,
                          .points = {{least, least, ""}, {1, 1, ""}}});
  return chart;
}

std::string paper_times_text(const PaperTimes& times) {
  std::string text = circumstances(times) + "\n\n";
  for (const TimedTable& timed : times.tables)
    text += heading(*timed.table) + "\n\n" + table_of(timed).text() + "\n";
  return text + kTheirMachine + "\n" + kColumns + "\n";
}

std::string paper_times_html(const PaperTimes& times) {
  report::HtmlPage page("\"Drop an Octave\": the article's CPU times, measured again");
  page.paragraph(
      "Chen et al., \"Drop an Octave\" (arXiv:1904.05049): what the article prints beside what "
      "octconv's engine takes for the same networks on this machine, with random weights.");
  page.facts({{"Version", "octconv " OCTCONV_VERSION},
              {"Made by", "octconv paper --measure"},
              {"Measured on", circumstances(times)}});
  page.chart(
      time_chart(times),
      "Each network along alpha, which is written beside its points. On the plain line every "
      "multiply-add saved is time saved; above it, less.");
  for (const TimedTable& timed : times.tables) {
    page.heading(heading(*timed.table));
    page.table(table_of(timed));
  }
  page.paragraph(kTheirMachine);
  page.paragraph(kColumns);
  return page.str();
}

std::string paper_times_json(const PaperTimes& times) {
  using Json = nlohmann::ordered_json;
  const auto maybe = [](const std::optional<double>& value) {
    return value ? Json(*value) : Json();
  };
  Json json{{"octconv", OCTCONV_VERSION},     {"source", "arXiv:1904.05049"},
            {"processor", times.processor},   {"threads", times.options.threads},
            {"rounds", times.options.rounds}, {"exact", times.options.exact},
            {"tables", Json::array()}};
  for (const TimedTable& timed : times.tables) {
    Json networks = Json::array();
    for (const MeasuredNetwork& each : timed.networks) {
      networks.push_back({{"label", each.label},
                          {"network", each.network},
                          {"alpha", each.alpha},
                          {"published_ms", maybe(each.published_ms)},
                          {"published_share", maybe(each.published_share)},
                          {"ms", each.ms},
                          {"time_share", each.time_share},
                          {"macs", each.macs},
                          {"macs_share", each.macs_share},
                          {"saving_share", each.saving_share()},
                          {"memory_bytes", each.memory_bytes},
                          {"memory_share", each.memory_share}});
    }
    json["tables"].push_back({{"name", timed.table->name},
                              {"title", timed.table->title},
                              {"networks", std::move(networks)}});
  }
  return json.dump(2) + "\n";
}

}  // namespace octconv::workflow
