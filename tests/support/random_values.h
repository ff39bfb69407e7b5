// SPDX-License-Identifier: Apache-2.0
// Seeded numbers to compute with.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "octconv/base/random.h"

namespace octconv::testing {

/// Uniform in [-1, 1).
inline void fill_random(std::span<float> values, Random& random) {
  for (float& value : values) value = static_cast<float>(2 * random.uniform() - 1);
}

inline std::vector<float> random_values(std::int64_t count, Random& random) {
  std::vector<float> values(static_cast<std::size_t>(count));
  fill_random(values, random);
  return values;
}

}  // namespace octconv::testing
