// SPDX-License-Identifier: Apache-2.0
// Sizes and counts that do not wrap.
#pragma once

#include <cstdint>
#include <string>

#include "octconv/base/error.h"

namespace octconv {

/// @throws InvalidArgument if the product does not fit in 63 bits
inline std::int64_t checked_product(std::int64_t a, std::int64_t b) {
  std::int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) {
    throw InvalidArgument("the product of " + std::to_string(a) + " and " + std::to_string(b) +
                          " does not fit in 63 bits");
  }
  return product;
}

/// @throws InvalidArgument if the sum does not fit in 63 bits
inline std::int64_t checked_sum(std::int64_t a, std::int64_t b) {
  std::int64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) {
    throw InvalidArgument("the sum of " + std::to_string(a) + " and " + std::to_string(b) +
                          " does not fit in 63 bits");
  }
  return sum;
}

}  // namespace octconv
