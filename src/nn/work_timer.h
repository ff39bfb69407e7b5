// SPDX-License-Identifier: Apache-2.0
// Counts the time of a kind of work.
#pragma once

#include <chrono>

namespace octconv::nn {

enum class Work {
  kConv,
  kNorm,
  kPool,
  kConvInputGradient,
  kConvWeightGradient,
  kConvGradients,  // where both are made by LibTorch's operations, and what surrounds them
  kNormGradient,
  kMadeAgain,
};
inline constexpr int kWorks = 8;

/// Counts from its making to its end, but not while another of the same thread does. What is done
/// while values are made again is of that kind.
class WorkTimer {
 public:
  explicit WorkTimer(Work work) noexcept;
  ~WorkTimer();
  WorkTimer(const WorkTimer&) = delete;
  WorkTimer& operator=(const WorkTimer&) = delete;

 private:
  using Clock = std::chrono::steady_clock;

  void count(Clock::time_point until) const noexcept;

  Work work_;
  bool on_;
  Clock::time_point since_;
  WorkTimer* outer_ = nullptr;
};

}  // namespace octconv::nn
