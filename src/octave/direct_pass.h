// SPDX-License-Identifier: Apache-2.0
// A pass tap by tap: tasks of some pixels, each with row pointers on its stack.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/conv_tile.h"
#include "kernels/extents3.h"
#include "kernels/pool.h"
#include "octave/packed_conv.h"
#include "octave/pass_memory.h"
#include "octave/tap_grid.h"
#include "octconv/tensor/shape.h"

namespace octconv::octave {

class DirectPass {
 public:
  /// @param maps     extents of the map that each of the pass's inputs reads
  /// @param extents  of the pass's output
  /// @param cell     extents of the cells whose averages are wanted; all 1: none are
  /// @param feed     whether a `RowFeed` would make its first input, at the output's own pixels
  DirectPass(const OctConvWeights::Packed& packed, const ConvPass& pass,
             const std::vector<Shape>& maps, const kernels::Extents3& extents, std::int64_t batch,
             const kernels::Extents3& cell, bool feed = false);

  /// Whether runs take a feed: they do if they were asked to and a task can hold whole rows (and
  /// whole cells, if there are some).
  [[nodiscard]] bool takes_feed() const noexcept { return slots_ > 0; }
  /// Whether it can be a feed.
  [[nodiscard]] bool by_rows() const noexcept { return by_rows_; }
  /// Floats of working memory that a run needs.
  [[nodiscard]] std::int64_t scratch_elements() const noexcept { return slots_ * slot_; }

  /// Whether a run makes the averages: a task pools the rows that it has just computed. It does if
  /// a task can hold whole cells.
  [[nodiscard]] bool pools() const noexcept { return pools_; }

  /// The packed weights and the pass must be those of the constructor.
  void run(const OctConvWeights::Packed& packed, const ConvPass& pass,
           const PassMemory& memory) const noexcept;

  /// The rows of pixels [begin, end) alone, to `out`. Requires `by_rows()`.
  void run_rows(const OctConvWeights::Packed& packed, const ConvPass& pass,
                const PassMemory& memory, std::int64_t begin, std::int64_t end,
                float* out) const noexcept;

 private:
  struct Run;

  // What tasks are made of: tiles or rows of pixels, or, if they pool or are fed, rows of cells (if
  // the outermost axis is halved too: planes of them).
  [[nodiscard]] std::int64_t unit_begin(std::int64_t unit) const noexcept;
  [[nodiscard]] std::int64_t pool_row(std::int64_t unit) const noexcept {
    return unit * pool_.extents[1] * pool_.extents[0] / units_each_;
  }
  bool take_cells(std::int64_t most_tiles, std::int64_t least_tasks);
  void take_tiles(std::int64_t tasks);
  void take_slots(std::int64_t channels, std::int64_t task_macs);

  kernels::Extents3 extents_;  // of the output
  kernels::Extents3 cell_;
  std::int64_t batch_ = 0;
  std::int64_t pixels_ = 0;  // of all images
  std::vector<TapGrid> grids_;
  bool by_rows_ = false;   // a depthwise pass whose tasks are whole rows
  bool by_cells_ = false;  // tasks are rows of cells
  bool pools_ = false;
  kernels::PoolRows pool_{};                         // of the output, but its pointers
  std::int64_t unit_pixels_ = kernels::kTilePixels;  // of a unit, if it is no row of cells
  std::int64_t units_each_ = 1;                      // of an image, if tasks are rows of cells
  std::int64_t units_ = 0;                           // of all images
  std::int64_t task_units_ = 1;                      // of a task
  std::int64_t tasks_ = 0;
  std::int64_t columns_ = 0;  // parts of the output channels, for more threads than tasks
  std::int64_t grain_ = 0;    // columns of tasks for which waking a thread is worth its time
  std::int64_t slots_ = 0;    // parts of the tasks that take a feed, one for a thread
  std::int64_t slot_ = 0;     // floats of a task's fed rows
};

/// Makes rows of what another pass reads, just before it reads them: a depthwise pass by rows.
/// Requires that it has neither a residual nor a second result.
struct RowFeed {
  const DirectPass& plan;
  const OctConvWeights::Packed& packed;
  const ConvPass& pass;
  const PassMemory& memory;   ///< its `out` is not used
  float* averages = nullptr;  ///< of the cells of its result; null: they are not wanted
};

}  // namespace octconv::octave
