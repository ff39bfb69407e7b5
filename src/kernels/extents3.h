// SPDX-License-Identifier: Apache-2.0
// Ranks 1 to 3 as one: extents along three axes, outermost first.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "octconv/tensor/shape.h"

namespace octconv::kernels {

/// An axis that does not exist has extent 1.
using Extents3 = std::array<std::int64_t, 3>;

/// The shape's axes last; axes that it does not have get `missing`. Requires rank <= 3.
[[nodiscard]] inline Extents3 to_three(const Shape& shape, std::int64_t missing) {
  Extents3 three;
  three.fill(missing);
  std::copy(shape.begin(), shape.end(), three.end() - static_cast<std::ptrdiff_t>(shape.rank()));
  return three;
}

[[nodiscard]] inline std::int64_t product(const Extents3& extents) noexcept {
  return extents[0] * extents[1] * extents[2];
}

}  // namespace octconv::kernels
