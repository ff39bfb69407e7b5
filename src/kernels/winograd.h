// SPDX-License-Identifier: Apache-2.0
// Winograd's convolution of three taps along an axis: what comes before and after the products.
//
// A tile of m outputs along an axis reads m + 2 inputs and needs only m + 2 multiplies instead of
// 3 m. Inputs and weights are transformed to m + 2 points, multiplied point by point (a sum over
// channels for each: kernels/conv_tile.h), and the sums are transformed back. Along two axes the
// transforms follow one another.
//
// Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, section
// 4.1 (https://arxiv.org/abs/1509.09308).
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/conv_tile.h"
#include "octconv/kernels/prologue.h"

namespace octconv::kernels {

/// Outputs of a tile along y and x: 2 or 4, y also 1, where there is only one axis.
struct WinogradTile {
  std::int64_t y = 1;
  std::int64_t x = 1;

  /// Inputs, and points, along an axis.
  [[nodiscard]] static constexpr std::int64_t points(std::int64_t outputs) noexcept {
    return outputs == 1 ? 1 : outputs + 2;
  }
  [[nodiscard]] constexpr std::int64_t points() const noexcept { return points(y) * points(x); }
  [[nodiscard]] constexpr std::int64_t outputs() const noexcept { return y * x; }
  /// Cells of 2 outputs along each axis.
  [[nodiscard]] constexpr std::int64_t cells() const noexcept { return (y + 1) / 2 * x / 2; }
  friend constexpr bool operator==(const WinogradTile&, const WinogradTile&) = default;
};

/// `WinogradTile::points` of the outputs that a template is made for.
template <std::size_t kOutputs>
inline constexpr auto kPointsOf = static_cast<std::size_t>(WinogradTile::points(kOutputs));

/// No tile has more.
inline constexpr std::int64_t kWinogradPoints = 36;
inline constexpr std::int64_t kWinogradOutputs = 16;

/// Floats from one plane of points to the next, for so many that it holds: whole cache lines, and
/// an odd number of them, so that the points of a tile do not all want the same places of the
/// first-level cache.
[[nodiscard]] constexpr std::int64_t winograd_plane(std::int64_t floats) noexcept {
  constexpr std::int64_t kLine = 16;
  return ((floats + kLine - 1) / kLine | 1) * kLine;
}

/// out[point][tile][c] = transform of the tile's inputs, c in [0, channels); up to whole vectors of
/// channels it is 0.
struct WinogradInput {
  const float* const* rows = nullptr;  ///< [tile][input of the tile]: its first channel
  std::int64_t tiles = 0;
  std::int64_t channels = 0;
  float* out = nullptr;
  std::int64_t columns = 0;      ///< floats from one tile to the next
  std::int64_t plane = 0;        ///< floats from one point to the next
  bool far = false;              ///< `is_far` of what the rows point into
  Prologue prologue;             ///< only for the transform of gradients' inputs
  const float* zeros = nullptr;  ///< the row outside of the map; read only with a prologue
};

/// Whether the tiles of a map are to be brought near before they are read: it does not stay in a
/// second-level cache, and a pixel's channels are too short a run for the processor's own
/// prefetching.
[[nodiscard]] constexpr bool is_far(std::int64_t pixels, std::int64_t channels) noexcept {
  constexpr std::int64_t kFewChannels = 32;
  return channels <= kFewChannels && pixels * channels > kFarFloats;
}

/// out[pixel of the tile][o] = activation( transform of products[point][tile][o] + bias[o]
///                                         + addend[pixel][o] + residual[pixel][o] )
/// for the channels [first, last).
struct WinogradOutput {
  const float* products = nullptr;
  std::int64_t columns = 0;  ///< floats from one tile to the next: whole vectors
  std::int64_t plane = 0;    ///< floats from one point to the next
  std::int64_t tiles = 0;
  std::int64_t first = 0;  ///< of whole vectors
  std::int64_t last = 0;
  const float* bias = nullptr;  ///< padded to whole vectors
  /// [tile][its outputs]: the row of `out` and `residual`, or -1 for none
  const std::int64_t* pixels = nullptr;
  const float* const* addend = nullptr;  ///< a row of output channels for each of `pixels`, or null
  const float* residual = nullptr;       ///< may be `out` itself; may be null
  float* out = nullptr;
  std::int64_t stride = 0;  ///< from one row of `out` and `residual` to the next
  bool far = false;         ///< whether `out` does not stay in a second-level cache
  Activation activation{ActivationKind::kNone};
  SecondResult second;
  /// The average of each cell of the tile, 2 outputs along each of its axes: of the second result
  /// if there is one. Activations must be short; null: none are wanted.
  float* averages = nullptr;
  const std::int64_t* cells = nullptr;  ///< [tile][its cells]: the row of `averages`, or -1
};

/// Sums over tiles of the products of their transformed inputs and output gradients, and what
/// becomes of them: the weights' gradient.
struct WinogradSums {
  float* sums = nullptr;     ///< [point][row][column]; overwritten by [tap][row][column]
  std::int64_t plane = 0;    ///< floats from one point, or tap, to the next
  std::int64_t columns = 0;  ///< whole vectors; floats from one row to the next
};

/// The transforms of one kind of tile.
struct WinogradKernel {
  void (*input)(const WinogradInput& input) = nullptr;
  void (*output)(const WinogradOutput& output) = nullptr;
};

/// Those for this processor's best instruction set. Requires one of the tiles above.
[[nodiscard]] const WinogradKernel& winograd_kernel(WinogradTile tile) noexcept;

/// The convolution's method turned round: the gradient of its weights. A tile's inputs and output
/// gradients are transformed to points, multiplied point by point and summed over all tiles
/// (kernels/correlation.h), and only the sums are transformed to taps.
struct WinogradGradientKernel {
  void (*input)(const WinogradInput& input) = nullptr;
  void (*diff)(const WinogradInput& diff) = nullptr;  ///< rows: [tile][output of the tile]
  void (*taps)(const WinogradSums& sums, std::int64_t begin, std::int64_t end) = nullptr;  ///< rows
};

/// That for this processor's best instruction set. Requires a tile of 4 outputs along its axes.
[[nodiscard]] const WinogradGradientKernel& winograd_gradient_kernel(WinogradTile tile) noexcept;

}  // namespace octconv::kernels
