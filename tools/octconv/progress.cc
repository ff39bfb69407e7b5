// SPDX-License-Identifier: Apache-2.0
#include "progress.h"

#include <cstdio>
#include <iostream>
#include <sstream>
#include <utility>

#include <unistd.h>

namespace octconv::tool {
namespace {

constexpr std::chrono::milliseconds kRedraw{100};
// Where nobody watches a line change, one in half a minute says that it is still alive.
constexpr std::chrono::seconds kReport{30};

template <class... Values>
std::string text(const char* format, Values... values) {
  char buffer[160];
  std::snprintf(buffer, sizeof buffer, format, values...);
  return buffer;
}

std::string bar(std::int64_t done, std::int64_t all) {
  constexpr std::int64_t kWidth = 20;
  const auto filled = static_cast<std::size_t>(kWidth * done / all);
  return "[" + std::string(filled, '#') + std::string(kWidth - filled, '.') + "]";
}

std::string numbers(const train::StepProgress& p) {
  return text("  loss %.3f  accuracy %.1f %%  %.0f images/s  ", p.loss, 100 * p.accuracy,
              p.images_per_second) +
         clock_text(p.seconds_left) + " left";
}

}  // namespace

std::string clock_text(double seconds) {
  const auto whole = static_cast<long long>(seconds + 0.5);
  if (whole >= 3600) return text("%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60, whole % 60);
  return text("%lld:%02lld", whole / 60, whole % 60);
}

ProgressDisplay::ProgressDisplay(std::string title)
    : title_(std::move(title)),
      terminal_(::isatty(STDERR_FILENO) == 1),
      next_(std::chrono::steady_clock::now() + (terminal_ ? kRedraw : kReport)) {}

ProgressDisplay::~ProgressDisplay() {
  if (drawn_ > 0) std::cerr << "\n";
}

void ProgressDisplay::on_step(const train::StepProgress& p) {
  const auto now = std::chrono::steady_clock::now();
  const bool last = p.step == p.steps;
  if (now < next_ && !(terminal_ && last)) return;
  next_ = now + (terminal_ ? std::chrono::steady_clock::duration(kRedraw) : kReport);
  const std::string epoch =
      title_ + "  epoch " + std::to_string(p.epoch) + "/" + std::to_string(p.epochs);
  if (terminal_) {
    redraw(epoch + "  " + bar(p.step, p.steps) + numbers(p));
  } else {
    std::cerr << epoch << "  step " << p.step << "/" << p.steps << numbers(p) << "\n";
  }
}

void ProgressDisplay::on_skipped(const train::SkippedImage& image) {
  if (terminal_) redraw("");
  std::cerr << (terminal_ ? "\r" : "") << "skipped: " << image.why << "\n";
  drawn_ = 0;
}

void ProgressDisplay::on_epoch(const train::EpochRecord& r) {
  const std::string line =
      title_ + "  epoch " + std::to_string(r.epoch) +
      text(
          ":  train loss %.3f  accuracy %.2f %%  test loss %.3f  accuracy %.2f %%  rate %.4g  "
          "%.0f images/s  ",
          r.train_loss, 100 * r.train_accuracy, r.test_loss, 100 * r.test_accuracy, r.learning_rate,
          r.images_per_second) +
      clock_text(r.seconds);
  if (terminal_) redraw(line);
  if (terminal_) drawn_ = 0;
  std::cerr << (terminal_ ? "" : line) << "\n";
}

void ProgressDisplay::redraw(const std::string& line) {
  const std::size_t blank = drawn_ > line.size() ? drawn_ - line.size() : 0;
  std::cerr << "\r" << line << std::string(blank, ' ') << std::flush;
  drawn_ = line.size();
}

}  // namespace octconv::tool
