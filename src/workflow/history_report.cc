// SPDX-License-Identifier: Apache-2.0
#include "workflow/history_report.h"

#include <cmath>

#include <nlohmann/json.hpp>

#include "octconv/base/version.h"
#include "report/html.h"
#include "report/number.h"

namespace octconv::workflow {
namespace {

using report::fixed;

// More points than that are a line without markers.
constexpr std::size_t kMarkedPoints = 40;

std::string percent(double share) {
  return fixed(100 * share, 2) + " %";
}

double seconds_of(const History& history) {
  double all = 0;
  for (const HistoryEpoch& epoch : history.epochs) all += epoch.seconds;
  return all;
}

void add_curve(const std::vector<History>& histories, const char* title, const char* unit,
               const char* caption, double (*value)(const HistoryEpoch&), report::HtmlPage& page) {
  report::Chart chart{
      .title = title, .x = {.label = "epoch", .integer = true}, .y = {.label = unit}};
  std::size_t longest = 0;
  for (const History& history : histories) {
    report::Series series{.name = history.name};
    for (const HistoryEpoch& epoch : history.epochs) {
      // An epoch that diverged leaves a gap.
      if (std::isfinite(value(epoch))) {
        series.points.push_back({static_cast<double>(epoch.epoch), value(epoch), ""});
      }
    }
    longest = std::max(longest, series.points.size());
    if (!series.points.empty()) chart.series.push_back(std::move(series));
  }
  for (report::Series& series : chart.series) {
    if (longest > kMarkedPoints) series.marks = report::Marks::kPlainLine;
  }
  if (!chart.series.empty()) page.chart(chart, caption);
}

}  // namespace

report::Table history_table(const std::vector<History>& histories) {
  report::Table table({{"run", report::Align::kLeft},
                       {"epochs"},
                       {"train loss"},
                       {"test loss"},
                       {"accuracy"},
                       {"top 5"},
                       {"best"},
                       {"in epoch"},
                       {"images/s"},
                       {"seconds"}});
  for (const History& history : histories) {
    const HistoryEpoch& last = history.epochs.back();
    const HistoryEpoch& best = history.best();
    table.add_row({history.name, std::to_string(last.epoch), fixed(last.train_loss, 4),
                   fixed(last.test_loss, 4), percent(last.test_accuracy),
                   percent(last.test_top5_accuracy), percent(best.test_accuracy),
                   std::to_string(best.epoch), fixed(last.images_per_second, 0),
                   fixed(seconds_of(history), 0)});
  }
  return table;
}

std::string history_html(const std::vector<History>& histories) {
  report::HtmlPage page(histories.size() == 1 ? "Training of " + histories[0].name
                                              : std::to_string(histories.size()) + " trainings");
  page.table(history_table(histories));
  page.paragraph(
      "Losses are mean cross-entropies: in training over the images of an epoch as they were "
      "varied, in tests after it. Accuracy is the share of test images whose class the network "
      "puts first, top 5 among the first five. Best is the highest accuracy of all epochs; to "
      "choose an epoch by it is to fit the test images.");
  add_curve(
      histories, "Training loss", "cross-entropy", "Mean over the images of each epoch.",
      [](const HistoryEpoch& epoch) { return epoch.train_loss; }, page);
  add_curve(
      histories, "Test loss", "cross-entropy", "After each epoch.",
      [](const HistoryEpoch& epoch) { return epoch.test_loss; }, page);
  add_curve(
      histories, "Test accuracy", "%", "After each epoch.",
      [](const HistoryEpoch& epoch) { return 100 * epoch.test_accuracy; }, page);
  add_curve(
      histories, "Learning rate", "", "Of the last step of each epoch.",
      [](const HistoryEpoch& epoch) { return epoch.learning_rate; }, page);
  page.heading("Where they are");
  std::vector<std::pair<std::string, std::string>> folders;
  folders.reserve(histories.size() + 1);
  for (const History& history : histories) {
    folders.emplace_back(history.name, history.folder.string());
  }
  folders.emplace_back("Version", "octconv " OCTCONV_VERSION);
  page.facts(folders);
  return page.str();
}

std::string history_json(const std::vector<History>& histories) {
  using Json = nlohmann::ordered_json;
  Json runs = Json::array();
  for (const History& history : histories) {
    const HistoryEpoch& last = history.epochs.back();
    const HistoryEpoch& best = history.best();
    runs.push_back({{"run", history.name},
                    {"folder", history.folder.string()},
                    {"epochs", last.epoch},
                    {"train_loss", last.train_loss},
                    {"test_loss", last.test_loss},
                    {"accuracy", last.test_accuracy},
                    {"top5_accuracy", last.test_top5_accuracy},
                    {"best_accuracy", best.test_accuracy},
                    {"best_epoch", best.epoch},
                    {"images_per_second", last.images_per_second},
                    {"seconds", seconds_of(history)}});
  }
  return runs.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace octconv::workflow
