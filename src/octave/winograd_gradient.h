// SPDX-License-Identifier: Apache-2.0
// The gradient of a path's weights by Winograd's method: a quarter of the multiplies of the direct
// correlation along two axes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/correlation.h"
#include "kernels/extents3.h"
#include "kernels/winograd.h"
#include "octave/packed_conv.h"
#include "octave/tap_grid.h"
#include "octconv/octave/conv.h"
#include "octconv/tensor/shape.h"

namespace octconv::octave {

/// The largest power of two that is no more than `most`, or 1: so many parts the usual numbers of
/// threads share evenly.
[[nodiscard]] std::int64_t even_parts(std::int64_t most) noexcept;

/// Adds to the first of some parts, each of so many floats, all others in their order.
void add_parts(float* all, std::int64_t parts, std::int64_t each);

class WinogradGradient {
 public:
  /// Requires `has_winograd(options, path)`.
  ///
  /// @param map   extents of what the path reads, after its pools
  /// @param out   extents of what it makes
  /// @param src   the map of each image
  /// @param prologue  of what is read of it
  /// @param diff  the gradient of what it makes
  WinogradGradient(const ConvOptions& options, const ConvPath& path, std::int64_t batch,
                   const Shape& map, const Shape& out, const float* src, const Prologue& prologue,
                   const float* diff);

  /// By a model of the costs, in products of a vector with a number.
  [[nodiscard]] double cost() const;

  /// Floats of scratch memory that a run needs with the threads that there are.
  [[nodiscard]] std::int64_t scratch_elements() const;

  /// Overwrites the path's block of the weight's gradient.
  void run(std::span<float> weight, float* scratch) const;

 private:
  // The path's input, or the gradient of its output: what is transformed.
  struct Side {
    TapGrid grid;  // over the tiles
    const float* map;
    Prologue prologue;
    std::int64_t channels;
    std::int64_t taps;     // along the axis that is not transformed
    std::int64_t values;   // of a tile, for each of these taps
    std::int64_t columns;  // of a tile's points: each tap's in whole vectors
    std::int64_t pitch;    // floats from one tile to the next
    void (*transform)(const kernels::WinogradInput& input);
  };

  // Sums of some rows at all points.
  struct Sums {
    float* at;           // [point][row][column]
    std::int64_t plane;  // floats from one point to the next
    Range rows;          // of all
  };

  [[nodiscard]] std::int64_t points() const { return tile_.points(); }
  // The side whose channels are the columns of the sums, in vectors, and that whose are their rows.
  [[nodiscard]] const Side& lanes() const { return turned_ ? diff_ : input_; }
  [[nodiscard]] const Side& rows() const { return turned_ ? input_ : diff_; }
  // Floats of the sums of so many rows.
  [[nodiscard]] std::int64_t sums_of(std::int64_t rows) const {
    return points() * kernels::winograd_plane(rows * lanes().columns);
  }
  // Those of a part, or of a block.
  [[nodiscard]] std::int64_t sums() const { return sums_of(block_rows_); }
  // Floats of a group's points: of one point, and of all.
  [[nodiscard]] std::int64_t plane(const Side& side) const {
    return kernels::winograd_plane(group_tiles_ * side.pitch);
  }
  [[nodiscard]] std::int64_t group_elements() const {
    return points() * (plane(input_) + plane(diff_));
  }
  // How many are computed at the same time.
  [[nodiscard]] std::int64_t slots(std::int64_t tasks) const;
  [[nodiscard]] bool has_parts() const { return all_tiles_ > group_tiles_; }
  [[nodiscard]] std::int64_t blocks() const {
    return (rows().channels + block_rows_ - 1) / block_rows_;
  }
  [[nodiscard]] Sums sums_at(float* memory, Range rows) const;

  // Where the points of a group's output gradients are, behind those of its inputs.
  [[nodiscard]] std::int64_t diffs_offset() const { return points() * plane(input_); }

  void transform(const Side& side, std::int64_t first, Range tiles, float* to) const;
  void transform(std::int64_t first, Range tiles, float* group) const;
  void multiply(const float* group, std::int64_t count, bool adds, Range points,
                const Sums& sums) const;
  void add_tiles(Range tiles, const Sums& sums, float* group) const;
  void finish(const Sums& sums, std::span<float> weight) const;
  void run_parts(std::span<float> weight, float* scratch) const;
  void run_blocks(std::span<float> weight, float* scratch) const;

  const ConvOptions& options_;
  const ConvPath& path_;
  kernels::WinogradTile tile_;
  kernels::Extents3 tiles_;  // of one image, along each axis
  std::int64_t all_tiles_;   // of all images
  Side input_;
  Side diff_;
  bool turned_;               // the gradient of the output fills its vectors better
  std::int64_t group_tiles_;  // at most
  std::int64_t parts_ = 1;    // of several groups: of the tiles, each with sums of its own
  std::int64_t block_rows_;  // of one group: rows whose sums become taps before others are computed
  std::vector<float> zeros_;  // what lies outside of the maps
};

}  // namespace octconv::octave
