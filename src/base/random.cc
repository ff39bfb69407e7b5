// SPDX-License-Identifier: Apache-2.0
#include "octconv/base/random.h"

#include <cmath>
#include <numbers>

namespace octconv {

std::uint64_t Random::bits() noexcept {
  std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

double Random::uniform() noexcept {
  return static_cast<double>(bits() >> 11) * 0x1.0p-53;
}

std::uint64_t Random::below(std::uint64_t bound) noexcept {
  // Values under `reject` would make the first residues more likely than the rest.
  const std::uint64_t reject = (0 - bound) % bound;
  std::uint64_t value = bits();
  while (value < reject) value = bits();
  return value % bound;
}

double Random::normal() noexcept {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

std::uint64_t derive_seed(std::uint64_t seed, std::uint64_t stream) noexcept {
  return Random(seed ^ Random(stream).bits()).bits();
}

}  // namespace octconv
