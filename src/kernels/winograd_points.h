// SPDX-License-Identifier: Apache-2.0
// The points at which Winograd's method evaluates tiles of four (kernels/winograd.h).
#pragma once

namespace octconv::kernels {

/// Beside 0 and infinity: a, -a, b, -b. Exact in binary, and of the pairs that are, among those
/// that round least: half as much as the usual 1 and 2.
/// @{
inline constexpr double kA = 0.75;
inline constexpr double kB = 1.5;
/// @}

/// In the transform of weights: what the points 0, +-a and +-b are divided by.
/// @{
inline constexpr double kNearZero = 1 / (kA * kA * kB * kB);
inline constexpr double kNearA = 1 / (2 * kA * kA * (kA * kA - kB * kB));
inline constexpr double kNearB = 1 / (2 * kB * kB * (kB * kB - kA * kA));
/// @}

}  // namespace octconv::kernels
