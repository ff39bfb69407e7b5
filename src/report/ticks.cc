// SPDX-License-Identifier: Apache-2.0
#include "report/ticks.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "octconv/base/error.h"
#include "report/number.h"

namespace octconv::report {
namespace {

// Differences below this share of the larger end are rounding: an axis cannot show them.
constexpr double kSmallestSpan = 1e-9;

void check_ends(const char* who, double low, double high, int most) {
  if (!std::isfinite(low) || !std::isfinite(high) || low > high || most < 3) {
    throw InvalidArgument(
        std::string(who) + ": needs finite ends in order and room for 3 ticks, got [" +
        std::to_string(low) + ", " + std::to_string(high) + "] and " + std::to_string(most));
  }
}

// The digits in every `decades`-th decade that enclose [low, high], from the last tick that is not
// above `low` to the first that is not below `high`.
Ticks log_ticks_of(const std::vector<double>& digits, int decades, double low, double high) {
  const auto multiple = [&](double value) {
    return decades * static_cast<int>(std::floor(std::log10(value) / decades));
  };
  Ticks ticks;
  for (int exponent = multiple(low) - decades;; exponent += decades) {
    for (const double digit : digits) {
      // Not digit * pow(10, -3): 5 * 0.001 is not the 0.005 that its label says.
      const double value =
          exponent < 0 ? digit / std::pow(10.0, -exponent) : digit * std::pow(10.0, exponent);
      if (value <= low * (1 + kSmallestSpan)) ticks.values.clear();
      ticks.values.push_back(value);
      if (value < high * (1 - kSmallestSpan)) continue;
      const double first = ticks.values.front();
      ticks.decimals =
          std::max(0, -static_cast<int>(std::floor(std::log10(first) + kSmallestSpan)));
      return ticks;
    }
  }
}

}  // namespace

std::string Ticks::label(std::size_t index) const {
  return fixed(values[index], decimals);
}

Ticks nice_ticks(double low, double high, int most, bool integer) {
  check_ends("nice_ticks", low, high, most);
  const double magnitude = std::max(std::abs(low), std::abs(high));
  if (high - low <= kSmallestSpan * magnitude) {
    const double margin = magnitude == 0 || integer ? 1 : magnitude / 10;
    low -= margin;
    high += margin;
  }
  int exponent = static_cast<int>(std::floor(std::log10((high - low) / most)));
  if (integer) exponent = std::max(exponent, 0);
  for (;; ++exponent) {
    for (const double digit : {1.0, 2.0, 5.0}) {
      const double step = digit * std::pow(10.0, exponent);
      // An end that is a tick up to rounding is that tick.
      const double first = std::floor(low / step + kSmallestSpan);
      const double last = std::ceil(high / step - kSmallestSpan);
      if (last - first + 1 > most) continue;
      Ticks ticks{.decimals = std::max(0, -exponent)};
      for (double index = first; index <= last; ++index) ticks.values.push_back(index * step);
      return ticks;
    }
  }
}

Ticks log_ticks(double low, double high, int most) {
  check_ends("log_ticks", low, high, most);
  if (low <= 0) {
    throw InvalidArgument("log_ticks: needs ends above 0, got " + std::to_string(low));
  }
  if (high <= low * (1 + kSmallestSpan)) {
    low /= 1.1;
    high *= 1.1;
  }
  for (const std::vector<double>& digits :
       {std::vector<double>{1, 2, 3, 5}, std::vector<double>{1, 2, 5}, std::vector<double>{1, 3}}) {
    Ticks ticks = log_ticks_of(digits, 1, low, high);
    if (static_cast<int>(ticks.values.size()) <= most) return ticks;
  }
  for (int decades = 1;; ++decades) {
    Ticks ticks = log_ticks_of({1}, decades, low, high);
    if (static_cast<int>(ticks.values.size()) <= most) return ticks;
  }
}

}  // namespace octconv::report
