// SPDX-License-Identifier: Apache-2.0
#include "workflow/profile_report.h"

#include <algorithm>
#include <vector>

#include <nlohmann/json.hpp>

#include "octconv/base/version.h"
#include "report/html.h"
#include "report/number.h"

namespace octconv::workflow {
namespace {

using report::Align;
using report::fixed;
using report::grouped;

constexpr double kFlopsPerMac = 2;

double share_of_peak(std::int64_t macs, double ns, const MachineLimits& limits) {
  return static_cast<double>(macs) / ns / limits.macs_per_ns;
}

double share_of_bandwidth(std::int64_t bytes, double ns, const MachineLimits& limits) {
  return static_cast<double>(bytes) / ns / limits.bytes_per_ns;
}

double steps_ns(const NetworkProfile& profile) {
  double sum = 0;
  for (const StepProfile& step : profile.steps) sum += step.median_ns;
  return sum;
}

double steps_roofline_ns(const Profiled& profiled) {
  double sum = 0;
  for (const StepProfile& step : profiled.profile.steps)
    sum += roofline_ns(step.macs, step.bytes, profiled.limits);
  return sum;
}

std::string percent(double share) {
  return fixed(100 * share, 1);
}

// Which limit is the nearer one.
std::string bound_of(const StepProfile& step, const MachineLimits& limits) {
  const bool computes = static_cast<double>(step.macs) / limits.macs_per_ns >
                        static_cast<double>(step.bytes) / limits.bytes_per_ns;
  return computes ? "peak" : "bandwidth";
}

std::string described(const StepProfile& step) {
  return step.shape.empty() ? step.kind : step.kind + " " + step.shape;
}

}  // namespace

double roofline_ns(std::int64_t macs, std::int64_t bytes, const MachineLimits& limits) {
  return std::max(static_cast<double>(macs) / limits.macs_per_ns,
                  static_cast<double>(bytes) / limits.bytes_per_ns);
}

report::Table profile_table(const Profiled& profiled) {
  report::Table table({{"step", Align::kLeft},
                       {"operation", Align::kLeft},
                       {"method", Align::kLeft},
                       {"ms"},
                       {"% of time"},
                       {"GFLOP/s"},
                       {"% of peak"},
                       {"GB/s"},
                       {"% of bandwidth"},
                       {"nearer limit", Align::kLeft}});
  const double all = steps_ns(profiled.profile);
  for (const StepProfile& step : profiled.profile.steps) {
    const double ns = step.median_ns;
    const bool computes = step.macs > 0;
    table.add_row({step.name, described(step), step.method, fixed(ns / 1e6, 4), percent(ns / all),
                   computes ? fixed(kFlopsPerMac * static_cast<double>(step.macs) / ns, 1) : "",
                   computes ? percent(share_of_peak(step.macs, ns, profiled.limits)) : "",
                   fixed(static_cast<double>(step.bytes) / ns, 1),
                   percent(share_of_bandwidth(step.bytes, ns, profiled.limits)),
                   bound_of(step, profiled.limits)});
  }
  return table;
}

std::string profile_summary(const Profiled& profiled) {
  const NetworkProfile& profile = profiled.profile;
  const MachineLimits& limits = profiled.limits;
  const double ns = profile.run_ns;
  const auto macs = static_cast<double>(profile.macs());
  const double floor = steps_roofline_ns(profiled);
  return "whole run " + fixed(ns / 1e6, 3) + " ms (steps one by one " +
         fixed(steps_ns(profile) / 1e6, 3) + "), " + fixed(macs / 1e6, 1) +
         " million multiply-adds, " + fixed(kFlopsPerMac * macs / ns, 1) +
         " GFLOP/s = " + percent(macs / ns / limits.macs_per_ns) + " % of the measured peak of " +
         fixed(kFlopsPerMac * limits.macs_per_ns, 1) + " GFLOP/s, bandwidth " +
         fixed(limits.bytes_per_ns, 1) + " GB/s; roofline of the steps " + fixed(floor / 1e6, 3) +
         " ms\n";
}

std::string profile_json(const Profiled& profiled) {
  const MachineLimits& limits = profiled.limits;
  nlohmann::ordered_json steps = nlohmann::ordered_json::array();
  for (const StepProfile& step : profiled.profile.steps) {
    steps.push_back({{"name", step.name},
                     {"kind", step.kind},
                     {"shape", step.shape},
                     {"method", step.method},
                     {"median_ms", step.median_ns / 1e6},
                     {"macs", step.macs},
                     {"bytes", step.bytes},
                     {"gflops", kFlopsPerMac * static_cast<double>(step.macs) / step.median_ns},
                     {"share_of_peak", share_of_peak(step.macs, step.median_ns, limits)},
                     {"share_of_bandwidth", share_of_bandwidth(step.bytes, step.median_ns, limits)},
                     {"roofline_ms", roofline_ns(step.macs, step.bytes, limits) / 1e6},
                     {"bound", bound_of(step, limits)}});
  }
  const double ns = profiled.profile.run_ns;
  const std::int64_t macs = profiled.profile.macs();
  const nlohmann::ordered_json json{
      {"network", profiled.network},
      {"processor", profiled.processor},
      {"threads", profiled.threads},
      {"batch", profiled.batch},
      {"size", std::vector<std::int64_t>(profiled.extents.begin(), profiled.extents.end())},
      {"peak_gflops", kFlopsPerMac * limits.macs_per_ns},
      {"bandwidth_gb_per_s", limits.bytes_per_ns},
      {"median_ms", ns / 1e6},
      {"macs", macs},
      {"gflops", kFlopsPerMac * static_cast<double>(macs) / ns},
      {"share_of_peak", share_of_peak(macs, ns, limits)},
      {"bytes", profiled.profile.bytes()},
      {"share_of_bandwidth", share_of_bandwidth(profiled.profile.bytes(), ns, limits)},
      {"roofline_ms", steps_roofline_ns(profiled) / 1e6},
      {"steps", steps}};
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string profile_html(const Profiled& profiled) {
  report::HtmlPage page("Profile of " + profiled.network);
  page.facts({{"Machine", profiled.processor + ", " + std::to_string(profiled.threads) +
                              (profiled.threads == 1 ? " thread" : " threads")},
              {"Input", std::to_string(profiled.batch) + " x " + profiled.extents.to_string()},
              {"Version", "octconv " OCTCONV_VERSION}});
  page.paragraph(profile_summary(profiled));
  std::vector<report::Bar> bars;
  for (const StepProfile& step : profiled.profile.steps) {
    const double floor = roofline_ns(step.macs, step.bytes, profiled.limits);
    bars.push_back({.label = step.name,
                    .detail = described(step) + (step.method.empty() ? "" : ", " + step.method),
                    .value = step.median_ns / 1e6,
                    .part = std::min(floor, step.median_ns) / 1e6});
  }
  page.bars(bars, "ms",
            "Time of each step in the order of the run; the dark part is the least that its "
            "multiply-adds at the machine's peak, or its bytes at the machine's bandwidth, take.");
  page.heading("All steps");
  page.table(profile_table(profiled));
  page.paragraph(
      "A FLOP is half a multiply-add. Winograd's methods need fewer multiplies than the "
      "multiply-adds that are counted, so their share of the peak may be above 100 %. Bytes are "
      "those of inputs, weights and outputs, moved once; what a cache holds comes faster.");
  return page.str();
}

}  // namespace octconv::workflow
