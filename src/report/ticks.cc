// SPDX-License-Identifier: Apache-2.0
#include "report/ticks.h"

#include <algorithm>
#include <cmath>

#include "octconv/base/error.h"
#include "report/number.h"

namespace octconv::report {
namespace {

// Differences below this share of the larger end are rounding: an axis cannot show them.
constexpr double kSmallestSpan = 1e-9;

}  // namespace

std::string Ticks::label(std::size_t index) const {
  return fixed(values[index], decimals);
}

Ticks nice_ticks(double low, double high, int most, bool integer) {
  if (!std::isfinite(low) || !std::isfinite(high) || low > high || most < 3) {
    throw InvalidArgument("nice_ticks: needs finite ends in order and room for 3 ticks, got [" +
                          std::to_string(low) + ", " + std::to_string(high) + "] and " +
                          std::to_string(most));
  }
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

}  // namespace octconv::report
