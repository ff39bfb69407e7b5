// SPDX-License-Identifier: Apache-2.0
#include "workflow/study_report.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "octconv/base/version.h"
#include "report/html.h"
#include "report/number.h"

namespace octconv::workflow {
namespace {

using report::fixed;
using report::grouped;

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

// The sample standard deviation.
std::optional<double> deviation(const std::vector<double>& values) {
  if (values.size() < 2) return std::nullopt;
  const double middle = mean(values);
  double squares = 0;
  for (const double value : values) squares += (value - middle) * (value - middle);
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

// Accuracies in percent, differences in points of it.
std::string points(std::optional<double> share) {
  return share ? fixed(100 * *share, 2) : "-";
}

std::string signed_points(std::optional<double> share) {
  return (share && *share > 0 ? "+" : "") + points(share);
}

std::vector<const StudyRun*> runs_of(const StudyResult& result, const std::string& variant) {
  std::vector<const StudyRun*> runs;
  for (const StudyRun& run : result.runs) {
    if (run.variant == variant) runs.push_back(&run);
  }
  return runs;
}

StudySummary summary_of(const StudyResult& result, const std::string& variant) {
  const std::vector<const StudyRun*> runs = runs_of(result, variant);
  StudySummary summary{.variant = variant, .runs = static_cast<std::int64_t>(runs.size())};
  if (runs.empty()) return summary;
  std::vector<double> accuracies;
  std::vector<double> top5;
  std::vector<double> differences;
  const std::string& first = result.study.variants.front().name;
  const std::vector<const StudyRun*> others = runs_of(result, first);
  for (const StudyRun* run : runs) {
    accuracies.push_back(run->accuracy);
    top5.push_back(run->top5_accuracy);
    const auto same_seed = std::find_if(others.begin(), others.end(), [&](const StudyRun* other) {
      return other->seed == run->seed;
    });
    if (variant != first && same_seed != others.end()) {
      differences.push_back(run->accuracy - (*same_seed)->accuracy);
    }
  }
  summary.macs = runs.front()->macs;
  summary.params = runs.front()->params;
  summary.accuracy = mean(accuracies);
  summary.top5_accuracy = mean(top5);
  summary.deviation = deviation(accuracies);
  if (!differences.empty()) summary.difference = mean(differences);
  summary.difference_deviation = deviation(differences);
  return summary;
}

std::string share_of_first(const StudySummary& summary, const StudySummary& first) {
  if (first.runs == 0) return "-";
  return fixed(static_cast<double>(summary.macs) / static_cast<double>(first.macs), 3);
}

void add_chart(const StudyResult& result, const std::vector<StudySummary>& summaries,
               report::HtmlPage& page) {
  constexpr double kMillion = 1e6;
  report::Series means{.name = "mean", .marks = report::Marks::kPoints};
  report::Series single{.name = "one seed", .marks = report::Marks::kPoints};
  for (const StudySummary& summary : summaries) {
    if (summary.runs == 0) continue;
    const double work = static_cast<double>(summary.macs) / kMillion;
    means.points.push_back({work, 100 * summary.accuracy, summary.variant});
    for (const StudyRun* run : runs_of(result, summary.variant)) {
      single.points.push_back({work, 100 * run->accuracy, ""});
    }
  }
  if (means.points.empty()) return;
  page.chart({.title = "Accuracy against work",
              .x = {.label = "multiply-adds per image, millions"},
              .y = {.label = "test accuracy, %"},
              .series = {single, means},
              .height = 520},
             "Further up is more accurate, further left is less work. How far the seeds of one "
             "variant lie apart is how far two variants may differ by chance.");
}

report::Table runs_table(const StudyResult& result) {
  report::Table table({{"variant", report::Align::kLeft},
                       {"seed"},
                       {"accuracy, %"},
                       {"top 5, %"},
                       {"test loss"},
                       {"train loss"},
                       {"seconds"}});
  for (const StudyRun& run : result.runs) {
    table.add_row({run.variant, std::to_string(run.seed), points(run.accuracy),
                   points(run.top5_accuracy), fixed(run.loss, 4), fixed(run.train_loss, 4),
                   fixed(run.seconds, 0)});
  }
  return table;
}

std::size_t planned(const StudyResult& result) {
  return result.study.seeds.size() * result.study.variants.size();
}

}  // namespace

std::vector<StudySummary> summarise(const StudyResult& result) {
  std::vector<StudySummary> summaries;
  for (const StudyVariant& variant : result.study.variants) {
    summaries.push_back(summary_of(result, variant.name));
  }
  return summaries;
}

report::Table study_table(const StudyResult& result) {
  report::Table table({{"variant", report::Align::kLeft},
                       {"runs"},
                       {"accuracy, %"},
                       {"sd"},
                       {"to first"},
                       {"sd"},
                       {"multiply-adds"},
                       {"share"}});
  const std::vector<StudySummary> summaries = summarise(result);
  for (const StudySummary& each : summaries) {
    if (each.runs == 0) {
      table.add_row({each.variant, "0", "-", "-", "-", "-", "-", "-"});
      continue;
    }
    table.add_row({each.variant, std::to_string(each.runs), points(each.accuracy),
                   points(each.deviation), signed_points(each.difference),
                   points(each.difference_deviation), grouped(each.macs),
                   share_of_first(each, summaries.front())});
  }
  return table;
}

std::string study_html(const StudyResult& result) {
  const std::vector<StudySummary> summaries = summarise(result);
  report::HtmlPage page("Study on " + result.data_name);
  std::string seeds;
  for (const std::uint64_t seed : result.study.seeds) {
    seeds += (seeds.empty() ? "" : ", ") + std::to_string(seed);
  }
  page.facts({{"Data", result.data_name},
              {"Variants", std::to_string(summaries.size())},
              {"Seeds", seeds},
              {"Finished", std::to_string(result.runs.size()) + " of " +
                               std::to_string(planned(result)) + " runs"},
              {"Version", "octconv " OCTCONV_VERSION}});
  page.table(study_table(result));
  page.paragraph(
      "Accuracy is the mean, over seeds, of the share of test images whose class the network puts "
      "first after its last epoch. sd is the sample standard deviation over seeds: of two variants "
      "whose means are less than about two of it apart, so few runs do not say which is better. "
      "To first is the mean difference from the first variant with the same seed, in points, and "
      "its own sd.");
  add_chart(result, summaries, page);
  page.heading("How they were trained");
  std::vector<std::pair<std::string, std::string>> facts;
  for (const StudyVariant& variant : result.study.variants) {
    const OctavizeOptions& octave = variant.octave;
    std::string text = variant.network + ", alpha " + report::shortest(octave.alpha);
    if (octave.stride_mode) text += ", strides " + std::string(to_string(*octave.stride_mode));
    if (octave.alpha > 0) {
      text += ", exchange " + std::string(to_string(octave.exchange)) + ", down-sampling " +
              std::string(to_string(octave.downsample)) + ", " +
              std::string(to_string(octave.low_to_high));
    }
    if (variant.zero_gamma) text += ", zero gamma";
    for (const auto& [name, value] : variant.train) {
      text.append("; ").append(name).append(" ").append(value);
    }
    facts.emplace_back(variant.name, text);
  }
  page.facts(facts);
  page.heading("Run by run");
  page.table(runs_table(result));
  return page.str();
}

std::string study_json(const StudyResult& result) {
  using Json = nlohmann::ordered_json;
  const auto or_null = [](std::optional<double> value) { return value ? Json(*value) : Json(); };
  Json variants = Json::array();
  for (const StudySummary& each : summarise(result)) {
    Json seeds = Json::array();
    Json accuracies = Json::array();
    for (const StudyRun* run : runs_of(result, each.variant)) {
      seeds.push_back(run->seed);
      accuracies.push_back(run->accuracy);
    }
    const bool any = each.runs > 0;
    variants.push_back({{"variant", each.variant},
                        {"seeds", seeds},
                        {"accuracies", accuracies},
                        {"accuracy", any ? Json(each.accuracy) : Json()},
                        {"deviation", or_null(each.deviation)},
                        {"top5_accuracy", any ? Json(each.top5_accuracy) : Json()},
                        {"difference", or_null(each.difference)},
                        {"difference_deviation", or_null(each.difference_deviation)},
                        {"macs", any ? Json(each.macs) : Json()},
                        {"params", any ? Json(each.params) : Json()}});
  }
  const Json json{{"data", result.data_name},
                  {"finished", result.runs.size()},
                  {"planned", planned(result)},
                  {"variants", variants}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace octconv::workflow
