// SPDX-License-Identifier: Apache-2.0
// Weights as the convolutions read them: vectors of output channels side by side.
#pragma once

#include <cstdint>

#include "kernels/winograd.h"

namespace octconv::kernels {

/// Weights of some output channels, anywhere in memory.
struct Weights {
  const float* first = nullptr;  ///< of the first row, column and tap
  std::int64_t rows = 0;         ///< output channels
  std::int64_t columns = 0;      ///< input channels
  std::int64_t taps = 0;
  /// Floats to the next one of each; to the next tap they may be negative.
  /// @{
  std::int64_t row_step = 0;
  std::int64_t column_step = 0;
  std::int64_t tap_step = 0;
  /// @}
  float factor = 1;  ///< of all
};

/// Where they go: floats from one column to the next, at least the rows in whole vectors, and from
/// one tap, or point, to the next. Lanes beyond the rows become 0.
struct PackedWeights {
  float* out = nullptr;
  std::int64_t width = 0;
  std::int64_t plane = 0;
};

/// out[tap * plane + column * width + row] = factor * weight
void pack_weights(const Weights& weights, const PackedWeights& to) noexcept;

/// out[point * plane + column * width + row] = the tile's transform of factor * weight, computed in
/// double and rounded once. Requires 3 taps along each axis of the tile.
void transform_weights(WinogradTile tile, const Weights& weights, const PackedWeights& to) noexcept;

}  // namespace octconv::kernels
