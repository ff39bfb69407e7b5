// SPDX-License-Identifier: Apache-2.0
// Functions of one element.
#pragma once

namespace octconv {

/// The functions that an Activation may be.
enum class ActivationKind {
  kNone,         ///< x; where an activation is optional
  kRelu,         ///< max(x, 0)
  kRelu6,        ///< min(max(x, 0), 6)
  kSigmoid,      ///< 1 / (1 + exp(-x))
  kLeakyRelu,    ///< x where x >= 0, else slope * x
  kHardSigmoid,  ///< min(max(slope * x + offset, 0), 1)
  kHardSwish,    ///< x * min(max(x / 6 + 1/2, 0), 1)
  kSilu,         ///< x / (1 + exp(-x))
};

/// A function of each element.
struct Activation {
  ActivationKind kind = ActivationKind::kRelu;  ///< which one
  float slope = 0;                              ///< of a leaky relu or hard sigmoid; otherwise 0
  float offset = 0;                             ///< of a hard sigmoid; otherwise 0
  friend bool operator==(const Activation&, const Activation&) = default;
};

/// Whether a kernel applies it to sums while they are in registers.
[[nodiscard]] constexpr bool is_short(const Activation& activation) noexcept {
  return activation.kind <= ActivationKind::kRelu6;
}

}  // namespace octconv
