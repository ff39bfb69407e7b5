// SPDX-License-Identifier: Apache-2.0
// A pass by Winograd's method: transform the inputs of some tiles, multiply point by point,
// transform back.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "kernels/extents3.h"
#include "kernels/winograd.h"
#include "octave/packed_conv.h"
#include "octave/pass_memory.h"
#include "octave/tap_grid.h"
#include "octconv/tensor/shape.h"

namespace octconv::octave {

/// The axes of a convolution of this rank, which are the last of three.
[[nodiscard]] Shape last_axes(const kernels::Extents3& three, std::size_t rank);

/// Tiles of a method. Requires one of Winograd's.
[[nodiscard]] kernels::WinogradTile winograd_tile(ConvMethod method, std::size_t rank) noexcept;

/// Channels filled up to whole vectors, as tiles' points and products lie in memory.
[[nodiscard]] std::int64_t whole_vectors(std::int64_t channels) noexcept;

/// Tiles of which it is found out at once where they read: few, so that the pointers stay in a
/// first-level cache beside what they lead to.
inline constexpr std::int64_t kTilesAtOnce = 16;
using TileRows = std::array<const float*, kTilesAtOnce * kernels::kWinogradPoints>;

/// Planes of a kernel of three axes, of which the last two are transformed: no more, for the tables
/// of what a tile reads.
inline constexpr std::int64_t kMostPlanes = 64;
static_assert(2 * kMostPlanes * kernels::kTilePixels <= kRowPointers);

class WinogradPass {
 public:
  /// @param maps     extents of the map that each of the pass's inputs reads
  /// @param extents  of the pass's output
  /// @param cell     extents of the cells whose averages are wanted; all 1: none are
  /// @param is_short  whether all activations are
  WinogradPass(const OctConvWeights::Packed& packed, const ConvPass& pass,
               const std::vector<Shape>& maps, const kernels::Extents3& extents, std::int64_t batch,
               const kernels::Extents3& cell, bool is_short);

  /// Floats of working memory that a run needs.
  [[nodiscard]] std::int64_t scratch_elements() const noexcept { return slots_ * slot_elements(); }

  /// Whether a run makes the averages: tiles must hold whole cells, and registers the values.
  [[nodiscard]] bool pools() const noexcept { return pools_; }

  /// The packed weights and the pass must be those of the constructor.
  void run(const OctConvWeights::Packed& packed, const ConvPass& pass,
           const PassMemory& memory) const noexcept;

 private:
  struct Run;

  // Tiles that are computed together, and where.
  struct Group {
    std::int64_t first;
    std::int64_t count;
    float* points;    // [point][tile][input][tap][channel], whole vectors of channels
    float* products;  // [point][tile][output], whole vectors of outputs
  };

  [[nodiscard]] Group group(std::int64_t index, float* scratch) const noexcept;
  [[nodiscard]] std::int64_t slot_elements() const noexcept {
    return points_elements() + tile_.points() * products_plane_;
  }
  [[nodiscard]] std::int64_t points_elements() const noexcept {
    return tile_.points() * points_plane_;
  }

  kernels::WinogradTile tile_;
  bool pools_ = false;
  kernels::Extents3 extents_;     // of the output
  kernels::Extents3 tiles_;       // of one image, along each axis
  std::int64_t all_tiles_ = 0;    // of all images
  std::int64_t depth_taps_ = 1;   // along the axis that is not transformed
  std::vector<TapGrid> grids_;    // of each input, over the tiles
  std::int64_t columns_ = 0;      // floats of a tile's point
  std::int64_t outputs_ = 0;      // floats of a tile's product
  std::int64_t group_tiles_ = 0;  // at most
  std::int64_t groups_ = 0;
  std::int64_t slots_ = 1;         // groups that are computed at the same time
  std::int64_t points_plane_ = 0;  // floats from one point to the next
  std::int64_t products_plane_ = 0;
};

}  // namespace octconv::octave
