// SPDX-License-Identifier: Apache-2.0
// The middle of the measured times.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

// Of an even number of values, the larger one in the middle. Requires a value.
inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}
