// SPDX-License-Identifier: Apache-2.0
// How much a model may hold, given its file.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "octconv/base/error.h"

namespace octconv::onnx {

/// A file of a few kilobytes must not ask for gigabytes: weights may be described that it does not
/// hold, or held once and read many times.
class Allowance {
 public:
  /// @param held  numbers that the file holds
  explicit Allowance(std::int64_t held)
      : held_(held), left_(std::max(kAlwaysFine, kMostTimes * held)) {}

  /// @throws FormatError if these are too many
  void take(std::int64_t elements) {
    if (elements > left_)
      throw FormatError("it describes far more weights than the " + std::to_string(held_) +
                        " that it holds");
    left_ -= elements;
  }

 private:
  static constexpr std::int64_t kAlwaysFine = std::int64_t{1} << 20;
  static constexpr std::int64_t kMostTimes = 64;

  std::int64_t held_;
  std::int64_t left_;
};

}  // namespace octconv::onnx
