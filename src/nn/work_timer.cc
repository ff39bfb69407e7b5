// SPDX-License-Identifier: Apache-2.0
#include "nn/work_timer.h"

#include <array>
#include <atomic>
#include <cstdint>

#include "octconv/nn/work_times.h"

namespace octconv::nn {
namespace {

constexpr std::array<std::string_view, kWorks> kNames{
    "convolutions, forward",
    "batch norms with sums and rectifiers, forward",
    "pools, forward",
    "convolutions, gradients of inputs",
    "convolutions, gradients of weights",
    "convolutions, both gradients and around them",
    "batch norms with sums and rectifiers, gradients",
    "values made again for gradients",
};

struct Counter {
  std::atomic<std::int64_t> calls{0};
  std::atomic<std::int64_t> nanoseconds{0};
};

std::atomic<bool> counting{false};
std::array<Counter, kWorks> counters;
thread_local WorkTimer* innermost = nullptr;

Counter& counter_of(Work work) {
  return counters[static_cast<std::size_t>(work)];
}

}  // namespace

WorkTimer::WorkTimer(Work work) noexcept
    : work_(work), on_(counting.load(std::memory_order_relaxed)) {
  if (!on_) return;
  since_ = Clock::now();
  outer_ = innermost;
  innermost = this;
  if (outer_ != nullptr) {
    outer_->count(since_);
    if (outer_->work_ == Work::kMadeAgain) work_ = Work::kMadeAgain;
  }
  ++counter_of(work_).calls;
}

WorkTimer::~WorkTimer() {
  if (!on_) return;
  const Clock::time_point now = Clock::now();
  count(now);
  innermost = outer_;
  if (outer_ != nullptr) outer_->since_ = now;
}

void WorkTimer::count(Clock::time_point until) const noexcept {
  counter_of(work_).nanoseconds +=
      std::chrono::duration_cast<std::chrono::nanoseconds>(until - since_).count();
}

void count_work(bool on) {
  counting = on;
}

std::vector<WorkTime> work_times() {
  std::vector<WorkTime> times;
  for (std::size_t i = 0; i < counters.size(); ++i) {
    times.push_back({.name = kNames[i],
                     .calls = counters[i].calls,
                     .seconds = 1e-9 * static_cast<double>(counters[i].nanoseconds)});
  }
  return times;
}

}  // namespace octconv::nn
