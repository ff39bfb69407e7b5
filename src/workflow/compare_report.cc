// SPDX-License-Identifier: Apache-2.0
#include "workflow/compare_report.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include <nlohmann/json.hpp>

#include "octconv/base/version.h"
#include "octconv/image/image.h"
#include "report/html.h"
#include "report/number.h"

namespace octconv::workflow {
namespace {

using report::Align;
using report::fixed;
using report::grouped;
using report::shortest;

constexpr double kNanosecondsPerMillisecond = 1e6;
// Sums in another order may turn a near tie, so the engine and LibTorch may differ in a few images.
constexpr int kTolerated = 5;

double ratio_to_first(const Comparison& comparison, const Variant& variant) {
  return static_cast<double>(variant.macs) / static_cast<double>(comparison.variants.front().macs);
}

std::string percent(double share, int decimals = 2) {
  return fixed(100 * share, decimals) + " %";
}

std::string milliseconds(double nanoseconds) {
  return fixed(nanoseconds / kNanosecondsPerMillisecond, 3);
}

std::string extents_text(const Comparison& comparison) {
  return std::to_string(comparison.height) + " x " + std::to_string(comparison.width) + " x " +
         std::to_string(comparison.channels);
}

std::string alphas_text(const Comparison& comparison) {
  std::string text;
  for (const Variant& variant : comparison.variants) {
    if (!text.empty()) text += ", ";
    text += shortest(variant.alpha);
  }
  return text;
}

void add_facts(const Comparison& comparison, report::HtmlPage& page) {
  const TrainingPlan& plan = comparison.options.plan;
  page.facts({{"Data", comparison.data_name + ": " + grouped(comparison.train_images) +
                           " images to train on, " + grouped(comparison.test_images) +
                           " to test on, " + extents_text(comparison) + ", " +
                           std::to_string(comparison.classes) + " classes"},
              {"Network", comparison.options.network + ", alpha " + alphas_text(comparison)},
              {"Training", std::to_string(plan.epochs) + (plan.epochs == 1 ? " epoch" : " epochs") +
                               ", seed " + std::to_string(plan.seed)},
              {"Machine", comparison.processor + ", " + std::to_string(comparison.threads) +
                              (comparison.threads == 1 ? " thread" : " threads")},
              {"Version", "octconv " OCTCONV_VERSION},
              {"Started", comparison.started}});
}

void add_result(const Comparison& comparison, report::HtmlPage& page) {
  page.heading("Result");
  page.table(compare_table(comparison));
  page.paragraph(
      "Accuracy is the share of test images whose class the exported model, read back from its "
      "file, puts first in octconv's engine. Multiply-adds and milliseconds are those of one "
      "image, in a batch or alone. Ratios compare with the first row.");
  const std::vector<std::string> sentences = disagreements(comparison);
  for (const std::string& sentence : sentences) page.paragraph(sentence);
  if (sentences.empty()) {
    page.paragraph("The trained modules, run in LibTorch, agree to within " +
                   std::to_string(kTolerated) + " of the test images.");
  }
}

void add_work_chart(const Comparison& comparison, report::HtmlPage& page) {
  constexpr double kMillion = 1e6;
  report::Series series{.name = comparison.options.network, .marks = report::Marks::kLine};
  for (const Variant& variant : comparison.variants) {
    series.points.push_back({static_cast<double>(variant.macs) / kMillion,
                             100 * variant.evaluation.top1(), "alpha " + shortest(variant.alpha)});
  }
  std::stable_sort(series.points.begin(), series.points.end(),
                   [](const report::Point& a, const report::Point& b) { return a.x < b.x; });
  page.chart({.title = "Accuracy against work",
              .x = {.label = "multiply-adds per image, millions"},
              .y = {.label = "test accuracy, %"},
              .series = {series}},
             "Further up is more accurate, further left is less work.");
}

void add_curve(const Comparison& comparison, const char* title, const char* unit,
               const char* caption, double (*value)(const EpochResult&), report::HtmlPage& page) {
  report::Chart chart{
      .title = title, .x = {.label = "epoch", .integer = true}, .y = {.label = unit}};
  for (const Variant& variant : comparison.variants) {
    report::Series series{.name = "alpha " + shortest(variant.alpha)};
    for (const EpochResult& epoch : variant.epochs) {
      // A diverged epoch leaves a gap instead of a page without charts.
      if (std::isfinite(value(epoch))) {
        series.points.push_back({static_cast<double>(epoch.epoch), value(epoch), ""});
      }
    }
    if (!series.points.empty()) chart.series.push_back(std::move(series));
  }
  if (!chart.series.empty()) page.chart(chart, caption);
}

report::Picture picture(const Image& image, std::int64_t zoom, std::string alt) {
  return {.png = encode_png(image),
          .width = image.width * zoom,
          .height = image.height * zoom,
          .alt = std::move(alt)};
}

report::PictureRow row_of(const char* name, const std::vector<Image>& maps, std::int64_t channels,
                          std::int64_t zoom) {
  report::PictureRow row{.title = std::string(name) + ", " + std::to_string(channels) +
                                  (channels == 1 ? " channel" : " channels")};
  for (const Image& map : maps) {
    row.pictures.push_back(picture(map, zoom, std::string(name) + " map"));
  }
  return row;
}

void add_inside(const Comparison& comparison, report::HtmlPage& page) {
  if (!comparison.inside) return;
  constexpr std::int64_t kWidthOnPage = 112;
  const InsideView& inside = *comparison.inside;
  const std::int64_t zoom = std::max<std::int64_t>(1, kWidthOnPage / comparison.width);
  page.heading("The two frequencies of alpha " + shortest(inside.alpha));
  std::string guesses;
  for (const Prediction& guess : inside.predictions) {
    guesses += (guesses.empty() ? "" : ", ") + guess.label + " " + percent(guess.probability, 1);
  }
  page.pictures(
      {{"input",
        {picture(comparison.picture, zoom, "test image " + std::to_string(inside.image))}}},
      "Test image " + std::to_string(inside.image) + " (" + comparison.picture_class +
          "). The network says: " + guesses + ".");
  for (const FrequencyMaps& maps : inside.maps) {
    const Image& high = maps.high.front();
    const Image& low = maps.low.front();
    page.pictures({row_of("high", maps.high, maps.channels.high, zoom),
                   row_of("low", maps.low, maps.channels.low, zoom)},
                  "After '" + maps.node + "': high maps of " + std::to_string(high.height) + " x " +
                      std::to_string(high.width) + " and low maps of " +
                      std::to_string(low.height) + " x " + std::to_string(low.width) +
                      ", drawn to the same scale. " + percent(maps.fine_share, 0) +
                      " of the contrast in the high maps is finer than the low grid could hold.");
  }
  page.paragraph(
      "Shown are the maps with most contrast of each frequency, each stretched from black for its "
      "smallest value to white for its largest.");
}

void add_method(const Comparison& comparison, report::HtmlPage& page) {
  page.heading("How it was done");
  const std::string threads =
      std::to_string(comparison.threads) + (comparison.threads == 1 ? " thread" : " threads");
  page.paragraph(
      "Each network was trained from scratch with the same seed and settings, exported to ONNX and "
      "read back. Times are medians of octconv's engine on test images, " +
      threads +
      "; all networks took turns in one run, so that a change of the machine's pace met all of "
      "them, and a ratio is the median of the ratios within each turn. The batch has " +
      std::to_string(std::min(kTimedBatch, comparison.test_images)) + " images.");
  const double share = comparison.variants.front().evaluation.top1();
  const double deviation =
      std::sqrt(share * (1 - share) / static_cast<double>(comparison.test_images));
  page.paragraph("Another set of as many test images would move an accuracy by about " +
                 fixed(100 * deviation, 2) +
                 " points (one standard deviation), and another seed moves it too: one training "
                 "run per network cannot tell closer ones apart.");
  std::vector<std::pair<std::string, std::string>> files;
  for (const Variant& variant : comparison.variants) {
    files.emplace_back("alpha " + shortest(variant.alpha), variant.file.filename().string());
  }
  files.emplace_back("All numbers", "results.json");
  page.facts(files);
}

}  // namespace

report::Table compare_table(const Comparison& comparison) {
  report::Table table({{"alpha", Align::kLeft},
                       {"accuracy"},
                       {"parameters"},
                       {"multiply-adds"},
                       {"ratio"},
                       {"ms, batch"},
                       {"ratio"},
                       {"ms, single"},
                       {"ratio"}});
  for (const Variant& variant : comparison.variants) {
    table.add_row({shortest(variant.alpha), percent(variant.evaluation.top1()),
                   grouped(variant.params), grouped(variant.macs),
                   fixed(ratio_to_first(comparison, variant), 3),
                   milliseconds(variant.batch.median_ns), fixed(variant.batch.ratio, 2),
                   milliseconds(variant.single.median_ns), fixed(variant.single.ratio, 2)});
  }
  return table;
}

std::vector<std::string> disagreements(const Comparison& comparison) {
  std::vector<std::string> sentences;
  for (const Variant& variant : comparison.variants) {
    const double difference = std::abs(variant.module_accuracy() - variant.evaluation.top1());
    if (difference * static_cast<double>(variant.evaluation.images) <= kTolerated) continue;
    sentences.push_back("Alpha " + shortest(variant.alpha) +
                        ": the trained module has an accuracy of " +
                        percent(variant.module_accuracy()) + ", but its exported file " +
                        percent(variant.evaluation.top1()) + " in the engine.");
  }
  return sentences;
}

std::string compare_html(const Comparison& comparison) {
  report::HtmlPage page(comparison.options.network + " and its octave twins on " +
                        comparison.data_name);
  page.paragraph(
      "An octave network keeps a fraction alpha of its channels at half resolution. It has as many "
      "parameters as the ordinary network (alpha 0) and needs fewer multiply-adds.");
  add_facts(comparison, page);
  add_result(comparison, page);
  add_work_chart(comparison, page);
  page.heading("Training");
  add_curve(
      comparison, "Training loss", "cross-entropy", "Mean over the images of each epoch.",
      [](const EpochResult& epoch) { return epoch.train_loss; }, page);
  add_curve(
      comparison, "Test accuracy", "%", "After each epoch.",
      [](const EpochResult& epoch) { return 100 * epoch.test_accuracy; }, page);
  add_inside(comparison, page);
  add_method(comparison, page);
  return page.str();
}

std::string compare_json(const Comparison& comparison) {
  using Json = nlohmann::ordered_json;
  const auto timing = [](const Timing& time) {
    return Json{{"ms_per_image", time.median_ns / kNanosecondsPerMillisecond},
                {"ratio", time.ratio}};
  };
  Json variants = Json::array();
  for (const Variant& variant : comparison.variants) {
    Json epochs = Json::array();
    for (const EpochResult& epoch : variant.epochs) {
      epochs.push_back({{"epoch", epoch.epoch},
                        {"train_loss", epoch.train_loss},
                        {"train_accuracy", epoch.train_accuracy},
                        {"test_loss", epoch.test_loss},
                        {"test_accuracy", epoch.test_accuracy},
                        {"seconds", epoch.seconds}});
    }
    variants.push_back({{"alpha", variant.alpha},
                        {"file", variant.file.filename().string()},
                        {"accuracy", variant.evaluation.top1()},
                        {"top5_accuracy", variant.evaluation.top5()},
                        {"loss", variant.evaluation.loss},
                        {"module_accuracy", variant.module_accuracy()},
                        {"params", variant.params},
                        {"macs", variant.macs},
                        {"macs_ratio", ratio_to_first(comparison, variant)},
                        {"batch", timing(variant.batch)},
                        {"single", timing(variant.single)},
                        {"epochs", epochs}});
  }
  const Json json{{"octconv", OCTCONV_VERSION},
                  {"started", comparison.started},
                  {"network", comparison.options.network},
                  {"data", comparison.data_name},
                  {"train_images", comparison.train_images},
                  {"test_images", comparison.test_images},
                  {"epochs", comparison.options.plan.epochs},
                  {"seed", comparison.options.plan.seed},
                  {"threads", comparison.threads},
                  {"processor", comparison.processor},
                  {"batch_size_timed", std::min(kTimedBatch, comparison.test_images)},
                  {"variants", variants}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace octconv::workflow
