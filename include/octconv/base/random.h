// SPDX-License-Identifier: Apache-2.0
// Seeded random numbers that are the same on every platform and compiler.
#pragma once

#include <cstdint>

#include "octconv/base/api.h"

namespace octconv {

/// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
///
/// The standard library's distributions differ between implementations; these do not.
class OCTCONV_API Random {
 public:
  /// The same seed gives the same numbers.
  explicit Random(std::uint64_t seed) noexcept : state_(seed) {}

  /// 64 uniform bits.
  [[nodiscard]] std::uint64_t bits() noexcept;
  /// Uniform in [0, 1), with 53 random bits.
  [[nodiscard]] double uniform() noexcept;
  /// Uniform integer in [0, bound), bound >= 1, without bias.
  [[nodiscard]] std::uint64_t below(std::uint64_t bound) noexcept;
  /// Normal with mean 0 and deviation 1 (Box-Muller).
  [[nodiscard]] double normal() noexcept;

 private:
  std::uint64_t state_;
};

/// A seed for a sub-stream: different `stream` values give unrelated sequences.
[[nodiscard]] OCTCONV_API std::uint64_t derive_seed(std::uint64_t seed,
                                                    std::uint64_t stream) noexcept;

}  // namespace octconv
