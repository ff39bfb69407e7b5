// SPDX-License-Identifier: Apache-2.0
// Activations in double, and what they do to errors.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "octconv/kernels/activation.h"

namespace octconv::reference {

inline double activated(double x, const Activation& activation) {
  const auto slope = static_cast<double>(activation.slope);
  const auto offset = static_cast<double>(activation.offset);
  switch (activation.kind) {
    case ActivationKind::kNone:
      return x;
    case ActivationKind::kRelu:
      return std::max(x, 0.0);
    case ActivationKind::kRelu6:
      return std::clamp(x, 0.0, 6.0);
    case ActivationKind::kSigmoid:
      return 1 / (1 + std::exp(-x));
    case ActivationKind::kLeakyRelu:
      return x < 0 ? slope * x : x;
    case ActivationKind::kHardSigmoid:
      return std::clamp(slope * x + offset, 0.0, 1.0);
    case ActivationKind::kHardSwish:
      return x * std::clamp(x / 6 + 0.5, 0.0, 1.0);
    case ActivationKind::kSilu:
      return x / (1 + std::exp(-x));
  }
  return x;
}

/// At most: of slopes with |slope| <= 1 where it is given.
inline double steepest(const Activation& activation) {
  return activation.kind == ActivationKind::kHardSwish || activation.kind == ActivationKind::kSilu
             ? 1.5
             : 1;
}

/// Roundings of the activation itself, in float epsilons of max(1, |x|): exp to 1 ulp (Highway's
/// bound), a sum, a quotient, products.
inline double own_roundings(const Activation& activation) {
  return activation.kind <= ActivationKind::kRelu6 ? 0 : 5;
}

inline std::vector<Activation> all_activations() {
  return {{ActivationKind::kNone},
          {ActivationKind::kRelu},
          {ActivationKind::kRelu6},
          {ActivationKind::kSigmoid},
          {ActivationKind::kLeakyRelu, 0.125F},
          {ActivationKind::kHardSigmoid, 0.2F, 0.5F},
          {ActivationKind::kHardSwish},
          {ActivationKind::kSilu}};
}

}  // namespace octconv::reference
