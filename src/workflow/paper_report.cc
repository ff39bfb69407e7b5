// SPDX-License-Identifier: Apache-2.0
#include "workflow/paper_report.h"

#include <algorithm>
#include <string_view>

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

constexpr std::int64_t kUsualSize = 224;
constexpr const char* kIntroduction =
    "Chen et al., \"Drop an Octave\" (arXiv:1904.05049), figure by figure: what the article prints "
    "(published) beside what octconv counts on its own networks (computed). The difference is that "
    "of the computed figure, rounded as the published one is. FLOPs are counted as the authors' "
    "tool does; a multiply-add is one. Accuracies (top-1, %) are the article's: octconv did not "
    "train these networks.";

std::string what(const PaperValue& value) {
  std::string text(name(value.quantity));
  if (value.size != kUsualSize) text += " at " + std::to_string(value.size);
  return text;
}

std::string signed_text(double difference, int decimals) {
  if (difference == 0) return "0";
  return (difference > 0 ? "+" : "") + fixed(difference, decimals);
}

// Up to three digits more than were published, so that one sees how near the rounding was.
std::string computed_text(const PaperResult& result) {
  constexpr int kMoreDigits = 3;
  constexpr int kMostDecimals = 4;
  if (!result.computed) return "-";
  const std::string_view published = result.value->published;
  const int most = published.empty() ? kMostDecimals : decimals(published) + kMoreDigits;
  return fixed(*result.computed, std::min(most, kMostDecimals));
}

std::string or_dash(std::string_view text) {
  return text.empty() ? "-" : std::string(text);
}

// The table, and the reasons that its notes stand for.
struct Shown {
  report::Table table;
  std::vector<std::string> notes;
};

Shown show(const ReproducedTable& reproduced) {
  Shown shown{.table = report::Table({{"network", Align::kLeft},
                                      {"alpha"},
                                      {"what", Align::kLeft},
                                      {"published"},
                                      {"computed"},
                                      {"difference"},
                                      {"top-1"},
                                      {"note", Align::kLeft}}),
              .notes = {}};
  std::vector<std::string_view> reasons;
  for (const PaperResult& result : reproduced.results) {
    const PaperValue& value = *result.value;
    std::string note;
    if (!value.reason.empty()) {
      auto found = std::find(reasons.begin(), reasons.end(), value.reason);
      if (found == reasons.end()) found = reasons.insert(found, value.reason);
      note = std::to_string(found - reasons.begin() + 1);
    }
    shown.table.add_row(
        {std::string(result.row->label), shortest(result.row->alpha), what(value),
         or_dash(value.published), computed_text(result),
         result.difference ? signed_text(*result.difference, decimals(value.published)) : "-",
         or_dash(value.top1), note});
  }
  for (std::size_t i = 0; i < reasons.size(); ++i) {
    shown.notes.push_back("(" + std::to_string(i + 1) + ") " + std::string(reasons[i]) + ".");
  }
  return shown;
}

std::string summary(const std::vector<ReproducedTable>& tables) {
  int published = 0;
  int same = 0;
  int different = 0;
  for (const ReproducedTable& reproduced : tables) {
    for (const PaperResult& result : reproduced.results) {
      if (!result.value->published.empty()) ++published;
      if (!result.difference) continue;
      *result.difference == 0 ? ++same : ++different;
    }
  }
  const int others = published - same - different;
  return "Of " + std::to_string(published) + " published figures, " + std::to_string(same) +
         (same == 1 ? " comes" : " come") + " out the same, " + std::to_string(different) +
         (different == 1 ? " differs" : " differ") + ", and " + std::to_string(others) +
         (others == 1 ? " is" : " are") + " of networks that are not in the zoo.";
}

}  // namespace

report::Chart accuracy_chart(const ReproducedTable& figure4) {
  report::Chart chart{.title = "Figure 4, with the work counted by octconv",
                      .x = {.label = "GFLOPs (computed), logarithmic", .logarithmic = true},
                      .y = {.label = "ImageNet top-1 accuracy, % (published)"},
                      .series = {},
                      .width = 760,
                      .height = 880};
  for (const PaperResult& result : figure4.results) {
    if (!result.computed) continue;
    const std::string label(result.row->label);
    if (chart.series.empty() || chart.series.back().name != label) {
      chart.series.push_back({.name = label, .marks = report::Marks::kLine, .points = {}});
    }
    chart.series.back().points.push_back(
        {*result.computed, number(result.value->top1), shortest(result.row->alpha)});
  }
  return chart;
}

std::string paper_text(const std::vector<ReproducedTable>& tables) {
  std::string text;
  for (const ReproducedTable& reproduced : tables) {
    const Shown shown = show(reproduced);
    text += heading(*reproduced.table) + "\n\n" + shown.table.text();
    for (const std::string& note : shown.notes) text += note + "\n";
    if (!reproduced.table->note.empty()) text += std::string(reproduced.table->note) + "\n";
    text += "\n";
  }
  return text + summary(tables) +
         "\nAccuracies (top-1, %) are the article's; octconv did not train these networks.\n";
}

std::string paper_html(const std::vector<ReproducedTable>& tables) {
  report::HtmlPage page("\"Drop an Octave\": the article's figures, counted again");
  page.paragraph(kIntroduction);
  page.paragraph(summary(tables));
  page.facts({{"Version", "octconv " OCTCONV_VERSION}, {"Made by", "octconv paper"}});
  for (const ReproducedTable& reproduced : tables) {
    const Shown shown = show(reproduced);
    page.heading(heading(*reproduced.table));
    if (reproduced.table->name == kFigure4) {
      page.chart(accuracy_chart(reproduced),
                 "Each network along alpha, which is written beside its points; alpha 0 is the "
                 "ordinary network. Further up is more accurate, further left is less work.");
    }
    page.table(shown.table);
    for (const std::string& note : shown.notes) page.paragraph(note);
    if (!reproduced.table->note.empty()) page.paragraph(reproduced.table->note);
  }
  return page.str();
}

std::string paper_json(const std::vector<ReproducedTable>& tables) {
  using Json = nlohmann::ordered_json;
  const auto printed = [](std::string_view text) {
    return text.empty() ? Json() : Json(number(text));
  };
  const auto words = [](std::string_view text) { return text.empty() ? Json() : Json(text); };
  const auto maybe = [](const std::optional<double>& value) {
    return value ? Json(*value) : Json();
  };
  Json json{
      {"octconv", OCTCONV_VERSION}, {"source", "arXiv:1904.05049"}, {"tables", Json::array()}};
  for (const ReproducedTable& reproduced : tables) {
    Json values = Json::array();
    for (const PaperResult& result : reproduced.results) {
      const PaperValue& value = *result.value;
      values.push_back({{"label", result.row->label},
                        {"network", words(result.row->network)},
                        {"alpha", result.row->alpha},
                        {"size", value.size},
                        {"quantity", name(value.quantity)},
                        {"published", printed(value.published)},
                        {"decimals", decimals(value.published)},
                        {"computed", maybe(result.computed)},
                        {"difference", maybe(result.difference)},
                        {"published_top1", printed(value.top1)},
                        {"reason", words(value.reason)}});
    }
    json["tables"].push_back({{"name", reproduced.table->name},
                              {"title", reproduced.table->title},
                              {"note", words(reproduced.table->note)},
                              {"values", std::move(values)}});
  }
  return json.dump(2) + "\n";
}

}  // namespace octconv::workflow
