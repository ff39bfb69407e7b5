// SPDX-License-Identifier: Apache-2.0
#include "octave/direct_pass.h"

#include <algorithm>
#include <array>

#include "kernels/conv_tile.h"
#include "kernels/depthwise.h"
#include "kernels/pointwise.h"
#include "octave/pooled_cells.h"
#include "octconv/base/parallel.h"

namespace octconv::octave {

using kernels::Extents3;
using kernels::kTilePixels;
using kernels::product;

namespace {

// Tiles of one task: few enough for the table of their addends to live on the stack.
constexpr std::int64_t kTaskTiles = 42;
// Floats of input that one task reads, so that they stay in the second-level cache from one block
// of output channels to the next.
constexpr std::int64_t kTaskFloats = 128 * 1024;
// Multiply-adds for which waking another thread is worth its time.
constexpr std::int64_t kLeastMacs = 500'000;

std::int64_t tiles_of(std::int64_t pixels) {
  return (pixels + kTilePixels - 1) / kTilePixels;
}

// A task's tables, on its stack. Left uninitialised on purpose.
struct TaskRows {
  std::array<const float*, kRowPointers> inputs;
  std::array<const float*, kTaskTiles * kTilePixels> addends;
};

}  // namespace

// The steps of one run.
struct DirectPass::Run {
  const DirectPass& plan;
  const OctConvWeights::Packed& packed;
  const ConvPass& pass;
  const PassMemory& memory;

  // `fed`: for the rows of the first input; null: they are where the memory says.
  void run_task(std::int64_t task, std::int64_t column_begin, std::int64_t column_end,
                float* fed = nullptr) const {
    const std::int64_t first = task * plan.task_units_;
    const std::int64_t last = std::min(first + plan.task_units_, plan.units_);
    const std::int64_t begin = plan.unit_begin(first);
    const std::int64_t end = plan.unit_begin(last);
    if (plan.by_rows_) {
      run_rows(begin, end, memory.out + begin * pass.groups);
    } else {
      if (fed != nullptr) feed(first, last, fed);
      run_tables(task, begin, end, column_begin, column_end, fed);
    }
    if (memory.averages != nullptr && plan.pools_) pool(first, last, column_begin, column_end);
  }

  // The first input's rows of units [first, last), and the averages of their cells.
  void feed(std::int64_t first, std::int64_t last, float* out) const {
    const RowFeed& source = *memory.feed;
    const std::int64_t begin = plan.unit_begin(first);
    source.plan.run_rows(source.packed, source.pass, source.memory, begin, plan.unit_begin(last),
                         out);
    if (source.averages == nullptr) return;
    // Each unit is a picture of one row of cells.
    const std::int64_t channels = pass.inputs[0].path.columns;
    const std::int64_t width = plan.extents_[2];
    for (std::int64_t unit = first; unit < last; ++unit) {
      const std::int64_t at = plan.unit_begin(unit);
      const std::int64_t rows = (plan.unit_begin(unit + 1) - at) / width;
      kernels::PoolRows cells = pooled_cells({1, rows, width}, plan.cell_, channels);
      cells.src = out + (at - begin) * channels;
      cells.out = source.averages + plan.pool_row(unit) * cells.extents[2] * channels;
      kernels::pool(cells, 0, 1);
    }
  }

  // Pixels [begin, end) by tables of pointers.
  void run_tables(std::int64_t task, std::int64_t begin, std::int64_t end,
                  std::int64_t column_begin, std::int64_t column_end, const float* fed) const {
    TaskRows rows;
    if (memory.addend.map != nullptr) fill_addends(begin, end, rows);
    for (std::size_t slice = 0; slice < pass.slices.size(); ++slice) {
      const kernels::ConvTiles tiles = fill_slice(slice, begin, end, rows, fed);
      if (pass.depthwise) {
        run_depthwise(tiles);
      } else {
        run_columns(pass.slices[slice], tiles, column_begin, column_end,
                    next_weights(task, slice, column_begin));
      }
    }
  }

  // The averages of the cells of units [first, last), in the channels of these columns.
  void pool(std::int64_t first, std::int64_t last, std::int64_t column_begin,
            std::int64_t column_end) const {
    const std::int64_t channel = first_channel(column_begin);
    kernels::PoolRows rows = plan.pool_;
    rows.channels = first_channel(column_end) - channel;
    rows.src = (memory.second.out == nullptr ? memory.out : memory.second.out) + channel;
    rows.out = memory.averages + channel;
    kernels::pool(rows, plan.pool_row(first), plan.pool_row(last));
  }

  [[nodiscard]] std::int64_t first_channel(std::int64_t column) const {
    if (column == plan.columns_) return pass.groups * pass.outputs;
    const std::int64_t blocks = packed.kernel->blocks(pass.outputs);
    return column / blocks * pass.outputs + column % blocks * 2 * packed.kernel->lanes;
  }

  // What is read after a slice: the same columns of the next one, or, after the last task, the
  // weights of what follows.
  const float* next_weights(std::int64_t task, std::size_t slice, std::int64_t column) const {
    if (slice + 1 == pass.slices.size()) {
      return task + 1 == plan.tasks_ ? memory.next : nullptr;
    }
    const Slice& after = pass.slices[slice + 1];
    const std::int64_t blocks = packed.kernel->blocks(pass.outputs);
    return after.weights.data() + column / blocks * after.group_stride +
           column % blocks * 2 * packed.kernel->lanes * after.depth();
  }

  // Of the first group; its pointers are those of the whole pass.
  kernels::ConvTiles fill_slice(std::size_t index, std::int64_t begin, std::int64_t end,
                                TaskRows& rows, const float* fed) const {
    const Slice& slice = pass.slices[index];
    const std::int64_t stride = pass.groups * pass.outputs;
    // A slice but the first adds to what the one before it has stored.
    const bool first = index == 0;
    float* out = memory.out + begin * stride;
    const float* residual = memory.residual == nullptr ? nullptr : memory.residual + begin * stride;
    kernels::ConvTiles tiles{
        .weights = slice.weights.data(),
        .bias = first ? pass.bias.data() : packed.zeros.data(),
        .pixels = end - begin,
        .outputs = pass.outputs,
        .addend = first && memory.addend.map != nullptr ? rows.addends.data() : nullptr,
        .residual = first ? residual : out,
        .out = out,
        .stride = stride,
        .activation =
            index + 1 == pass.slices.size() ? memory.activation : Activation{ActivationKind::kNone},
        .far = plan.pixels_ * stride > kernels::kFarFloats};
    if (index + 1 == pass.slices.size() && memory.second.out != nullptr) {
      tiles.second = memory.second;
      tiles.second.out += begin * stride;
    }
    const std::int64_t pitch = (end - begin + kTilePixels - 1) / kTilePixels * kTilePixels;
    tiles.pitch = pitch;
    const float** to = rows.inputs.data();
    for (std::size_t i = 0; i < pass.inputs.size(); ++i) {
      const Range taps = slice.taps[i];
      tiles.sources[i] = {.rows = to,
                          .taps = taps.size(),
                          .first_channel = slice.columns[i].begin,
                          .channels = slice.columns[i].size()};
      if (i == 0 && fed != nullptr) {
        fill_fed(fed, taps.size() * (end - begin), pitch, to);
      } else {
        plan.grids_[i].fill(memory.inputs[i], packed.zeros.data(), plan.extents_, begin, end, taps,
                            pitch, to);
      }
      to += taps.size() * pitch;
    }
    return tiles;
  }

  // One tap, at the pixels themselves.
  void fill_fed(const float* fed, std::int64_t pixels, std::int64_t pitch,
                const float** rows) const {
    for (std::int64_t pixel = 0; pixel < (pixels == 0 ? 0 : pitch); ++pixel) {
      rows[pixel] = fed + std::min(pixel, pixels - 1) * pass.inputs[0].path.columns;
    }
  }

  // `next`: the weights that are wanted after these.
  void run_columns(const Slice& slice, const kernels::ConvTiles& all, std::int64_t column,
                   std::int64_t column_end, const float* next) const {
    const std::int64_t blocks = packed.kernel->blocks(pass.outputs);
    const bool first = all.bias == pass.bias.data();
    while (column < column_end) {
      const std::int64_t group = column / blocks;
      const std::int64_t block = column % blocks;
      const std::int64_t block_end = std::min(blocks, block + column_end - column);
      kernels::ConvTiles tiles = all;
      tiles.next = column + block_end - block == column_end ? next : nullptr;
      for (std::size_t i = 0; i < pass.inputs.size(); ++i) {
        tiles.sources[i].first_channel += group * pass.inputs[i].columns();
      }
      tiles.weights += group * slice.group_stride;
      if (first) tiles.bias += group * pass.bias_stride;
      tiles.first_output = group * pass.outputs;
      packed.kernel->run(tiles, block, block_end);
      column += block_end - block;
    }
  }

  void run_depthwise(const kernels::ConvTiles& tiles) const {
    kernels::depthwise({.rows = tiles.sources[0].rows,
                        .taps = tiles.sources[0].taps,
                        .pitch = tiles.pitch,
                        .weights = tiles.weights,
                        .bias = tiles.bias,
                        .channels = pass.groups,
                        .pixels = tiles.pixels,
                        .residual = tiles.residual,
                        .out = tiles.out,
                        .activation = tiles.activation});
    add_second(tiles.second, tiles.out, tiles.pixels);
  }

  // The second result of a depthwise pass, beside the first.
  void add_second(const kernels::SecondResult& second, const float* first,
                  std::int64_t pixels) const {
    if (second.out == nullptr) return;
    kernels::scale_shift(first, pixels, pass.groups, second.scale, second.shift, second.activation,
                         second.out);
  }

  // Rows of a depthwise pass.
  void run_rows(std::int64_t begin, std::int64_t end, float* out) const {
    for (std::int64_t row = begin; row < end; row += plan.extents_[2]) {
      run_row(row, out + (row - begin) * pass.groups);
    }
  }

  // A row of a depthwise pass, to `out`.
  void run_row(std::int64_t first, float* out) const {
    const PassInput& input = pass.inputs[0];
    const ConvOptions& options = packed.options;
    const std::size_t last = options.rank() - 1;
    std::array<const float*, kernels::DepthwiseRow::kMostRows> rows;
    const Extents3 kernel = kernels::to_three(options.kernel, 1);
    const Extents3 map = plan.grids_[0].map();
    const std::int64_t kernel_rows = kernel[0] * kernel[1];
    plan.grids_[0].fill_rows(memory.inputs[0], Position(plan.extents_, first), rows.data());
    const std::int64_t at = first * pass.groups;
    kernels::depthwise({.rows = rows.data(),
                        .kernel_rows = kernel_rows,
                        .taps = kernel[2],
                        .stride = input.path.stride[last],
                        .padding = options.padding_begin[last],
                        .in_width = map[2],
                        .width = plan.extents_[2],
                        .weights = pass.slices[0].weights.data(),
                        .bias = pass.bias.data(),
                        .zeros = packed.zeros.data(),
                        .channels = pass.groups,
                        .residual = memory.residual == nullptr ? nullptr : memory.residual + at,
                        .out = out,
                        .activation = memory.activation});
    kernels::SecondResult second = memory.second;
    if (second.out != nullptr) second.out += at;
    add_second(second, out, plan.extents_[2]);
  }

  void fill_addends(std::int64_t begin, std::int64_t end, TaskRows& rows) const {
    const float** row = rows.addends.data();
    for (std::int64_t pixel = begin; pixel < end;) {
      const Position at(plan.extents_, pixel);
      const std::int64_t count = std::min(plan.extents_[2] - at.x, end - pixel);
      memory.addend.fill(at, count, row);
      row += count;
      pixel += count;
    }
  }
};

DirectPass::DirectPass(const OctConvWeights::Packed& packed, const ConvPass& pass,
                       const std::vector<Shape>& maps, const Extents3& extents, std::int64_t batch,
                       const Extents3& cell, bool feed)
    : extents_(extents), cell_(cell), batch_(batch), pixels_(batch * product(extents)) {
  std::int64_t channels = 1;  // that a pixel reads, if its taps are other pixels' too
  std::int64_t depth = 1;
  for (std::size_t i = 0; i < pass.inputs.size(); ++i) {
    const PassInput& input = pass.inputs[i];
    ConvOptions read = packed.options;
    if (input.row_taps > 1) {  // a row of the kernel is one tap of a map that holds its padding
      read.kernel[read.rank() - 1] = 1;
      read.padding_begin[read.rank() - 1] = 0;
    }
    grids_.emplace_back(read, input.path, maps[i], packed.maps[input.map].channels);
    channels += input.path.columns * pass.groups;
    depth += input.path.columns * packed.options.kernel.elements();
  }
  std::int64_t taps = 1;  // of the largest slice
  for (const Slice& slice : pass.slices) {
    taps = std::max(taps, slice.taps[0].size() + slice.taps[1].size());
  }
  const std::int64_t tiles = tiles_of(pixels_);
  const std::int64_t most =
      std::max<std::int64_t>(1, std::min({kTaskTiles, kRowPointers / (kTilePixels * taps),
                                          kTaskFloats / (kTilePixels * channels)}));
  // Of equal size, and enough of them for a few threads, as long as a task's tables are used more
  // than once.
  const std::int64_t tasks =
      std::max((tiles + most - 1) / most, std::min<std::int64_t>(8, tiles / 4));
  const std::size_t last = packed.options.rank() - 1;
  const std::int64_t taps_x = packed.options.kernel[last];
  by_rows_ = pass.depthwise && pass.slices.size() == 1 && product(extents) > 0 &&
             kernels::DepthwiseRow::has(taps_x, pass.inputs[0].path.stride[last],
                                        packed.options.dilation[last],
                                        packed.options.kernel.elements() / taps_x);
  columns_ = pass.depthwise ? 1 : pass.groups * packed.kernel->blocks(pass.outputs);
  if ((product(cell) > 1 || (feed && cell[0] == 1)) && tasks > 0) {
    pool_ = pooled_cells(extents, cell, pass.groups * pass.outputs);
    // Threads share a task's output channels too, unless its input is made for it.
    by_cells_ = take_cells(most, feed ? tasks : (tasks + columns_ - 1) / columns_);
  }
  if (!by_cells_) take_tiles(tasks);
  pools_ = by_cells_ && product(cell) > 1;
  const std::int64_t macs = (pixels_ + tasks_ - 1) / std::max<std::int64_t>(1, tasks_) * depth *
                            pass.outputs * pass.groups;
  if (feed && by_cells_) take_slots(pass.inputs[0].path.columns, macs);
  const std::int64_t column_macs = macs / columns_;
  grain_ = (kLeastMacs + column_macs - 1) / std::max<std::int64_t>(1, column_macs);
}

void DirectPass::take_slots(std::int64_t channels, std::int64_t task_macs) {
  slots_ = std::clamp<std::int64_t>(task_macs * tasks_ / kLeastMacs, 1,
                                    std::min<std::int64_t>(tasks_, thread_count()));
  std::int64_t pixels = 0;  // of the largest task
  for (std::int64_t task = 0; task < tasks_; ++task) {
    const std::int64_t last = std::min((task + 1) * task_units_, units_);
    pixels = std::max(pixels, unit_begin(last) - unit_begin(task * task_units_));
  }
  constexpr std::int64_t kLine = 16;
  slot_ = (pixels * channels + kLine - 1) / kLine * kLine;
}

void DirectPass::take_tiles(std::int64_t tasks) {
  if (by_rows_) unit_pixels_ = extents_[2];
  units_ = (pixels_ + unit_pixels_ - 1) / unit_pixels_;
  task_units_ = tasks == 0 ? 1 : (units_ + tasks - 1) / tasks;
  tasks_ = (units_ + task_units_ - 1) / task_units_;
}

// So many rows of cells that their pixels fill whole tiles best.
bool DirectPass::take_cells(std::int64_t most_tiles, std::int64_t least_tasks) {
  const bool planes = cell_[0] > 1;
  units_each_ = planes ? pool_.extents[0] : extents_[0] * pool_.extents[1];
  units_ = batch_ * units_each_;
  const std::int64_t unit_pixels =
      (planes ? cell_[0] * extents_[1] : cell_[1]) * extents_[2];  // but for the last
  const std::int64_t most = std::min(most_tiles * kTilePixels / unit_pixels,
                                     std::max<std::int64_t>(1, units_ / least_tasks));
  if (most == 0) return false;
  const auto tiles = [&](std::int64_t units) {
    return units_ / units * tiles_of(units * unit_pixels) + tiles_of(units_ % units * unit_pixels);
  };
  task_units_ = most;
  for (std::int64_t units = most - 1; 2 * units >= most && units > 0; --units) {
    if (tiles(units) < tiles(task_units_)) task_units_ = units;
  }
  tasks_ = (units_ + task_units_ - 1) / task_units_;
  return true;
}

std::int64_t DirectPass::unit_begin(std::int64_t unit) const noexcept {
  if (!by_cells_) return std::min(unit * unit_pixels_, pixels_);
  const std::int64_t image = unit / units_each_;
  std::int64_t row = unit % units_each_;  // of cells, then of pixels
  if (cell_[0] > 1) {
    row *= cell_[0] * extents_[1];
  } else {
    row = row / pool_.extents[1] * extents_[1] + row % pool_.extents[1] * cell_[1];
  }
  return (image * extents_[0] * extents_[1] + row) * extents_[2];
}

void DirectPass::run(const OctConvWeights::Packed& packed, const ConvPass& pass,
                     const PassMemory& memory) const noexcept {
  const Run steps{*this, packed, pass, memory};
  if (memory.feed != nullptr) {
    parallel_tasks(tasks_, slots_, [&](std::int64_t task, std::int64_t slot) {
      steps.run_task(task, 0, columns_, memory.scratch + slot * slot_);
    });
    return;
  }
  parallel_for(tasks_ * columns_, grain_, [&](std::int64_t begin, std::int64_t end) {
    while (begin < end) {
      const std::int64_t column = begin % columns_;
      const std::int64_t count = std::min(end - begin, columns_ - column);
      steps.run_task(begin / columns_, column, column + count);
      begin += count;
    }
  });
}

void DirectPass::run_rows(const OctConvWeights::Packed& packed, const ConvPass& pass,
                          const PassMemory& memory, std::int64_t begin, std::int64_t end,
                          float* out) const noexcept {
  Run{*this, packed, pass, memory}.run_rows(begin, end, out);
}

}  // namespace octconv::octave
