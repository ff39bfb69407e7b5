// SPDX-License-Identifier: Apache-2.0
// Numbers of 16 bits in files.
#pragma once

#include <cmath>
#include <cstdint>

namespace octconv {

/// IEEE 754 binary16.
inline float half_to_float(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const int fraction = bits & 1023;
  float value = 0;
  if (exponent == 31) {
    value = fraction == 0 ? INFINITY : NAN;
  } else if (exponent == 0) {
    value = std::ldexp(static_cast<float>(fraction), -24);
  } else {
    value = std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
  }
  return (bits & 0x8000) != 0 ? -value : value;
}

}  // namespace octconv
