// SPDX-License-Identifier: Apache-2.0
// Where an axis has its numbers.
#pragma once

#include <string>
#include <vector>

namespace octconv::report {

struct Ticks {
  std::vector<double> values;  // ascending, the first and last enclose the data
  int decimals = 0;            // that tell all of them apart

  [[nodiscard]] std::string label(std::size_t index) const;
};

// The smallest step of 1, 2 or 5 times a power of ten (a whole number with `integer`) for which at
// most `most` ticks enclose [low, high].
//
// Equal ends are moved apart. Throws InvalidArgument for ends that are not finite or not in order,
// or `most` < 3.
Ticks nice_ticks(double low, double high, int most, bool integer = false);

// For a logarithmic axis: as many of 1, 2, 3 and 5 in each decade, or else only every so many
// decades, as give at most `most` ticks that enclose [low, high].
//
// Equal ends are moved apart. Throws InvalidArgument for ends that are not finite, not in order or
// not above 0, or `most` < 3.
Ticks log_ticks(double low, double high, int most);

}  // namespace octconv::report
