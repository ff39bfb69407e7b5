// SPDX-License-Identifier: Apache-2.0
// What is done to a map while it is read, so that the result need not be kept.
#pragma once

#include <cstdint>

namespace octconv {

/// scale[c] * x + shift[c] of each element of a map, as a batch norm makes it, and the rectifier of
/// that. What lies outside of the map stays 0.
struct Prologue {
  const float* scale = nullptr;  ///< [channels]; null: the map is read as it is
  const float* shift = nullptr;  ///< [channels]
  bool rectified = false;        ///< max(x, 0) comes last; NaN stays NaN

  /// Whether there is something to do.
  explicit operator bool() const noexcept { return scale != nullptr; }

  /// The same of a map's channels from `channel` on.
  [[nodiscard]] Prologue from(std::int64_t channel) const noexcept {
    return scale == nullptr ? *this : Prologue{scale + channel, shift + channel, rectified};
  }
};

}  // namespace octconv
