// SPDX-License-Identifier: Apache-2.0
// How loops over a float map in channels-last order are divided: into blocks, or into rows of cells
// where these are wanted too.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "nn/spatial.h"
#include "octconv/base/executor.h"
#include "octconv/base/parallel.h"
#include "octconv/octave/cell_rows.h"
#include "octconv/octave/conv.h"

namespace octconv::nn {

using Floats = std::vector<float>;
using Doubles = std::vector<double>;

/// Averages or sums of the cells of a map, and where they are put.
struct Cells {
  CellRows rows;
  at::Tensor values;
  float* out = nullptr;

  Cells(const at::Tensor& map, const Shape& cell, CellValue value)
      : rows(cell, map.size(0), spatial_extents(map), map.size(1), value),
        values(empty_last(map.size(0), map.size(1), low_extents(spatial_extents(map), cell))),
        out(values.data_ptr<float>()) {}
};

/// A map in channels-last order as rows of one or more pixels, in blocks.
class MapRows {
 public:
  explicit MapRows(const at::Tensor& x) : channels_(x.size(1)), pixels_(x.numel() / x.size(1)) {
    // Whole vectors of the widest instruction set, and enough of them to fill a loop.
    constexpr std::int64_t kLanes = 16;
    constexpr std::int64_t kEnough = 64;
    if (channels_ < kEnough) {
      columns_ = std::lcm(channels_, kLanes);
      columns_ *= (kEnough + columns_ - 1) / columns_;
    } else {
      columns_ = channels_;
    }
    // A block stays in a second-level cache, and its sums are longer than what adds them up; how a
    // sum is divided depends on the shape alone, never on threads.
    constexpr std::int64_t kBlockRows = 64;
    block_ = kBlockRows * columns_;
  }

  std::int64_t channels() const noexcept { return channels_; }
  std::int64_t pixels() const noexcept { return pixels_; }
  std::int64_t columns() const noexcept { return columns_; }
  std::int64_t blocks() const noexcept { return (elements() + block_ - 1) / block_; }

  /// What belongs to a channel, for each column.
  template <class Number>
  Floats spread(const std::vector<Number>& values) const {
    Floats all(static_cast<std::size_t>(columns_));
    for (std::size_t first = 0; first < all.size(); first += values.size()) {
      for (std::size_t c = 0; c < values.size(); ++c) {
        all[first + c] = static_cast<float>(values[c]);
      }
    }
    return all;
  }

  /// body(first element, rows, columns) for the parts of a block: rows of several pixels, then
  /// the pixels that are left.
  template <class Body>
  void for_parts(std::int64_t block, const Body& body) const {
    const std::int64_t begin = block * block_;
    for_parts(begin, std::min(begin + block_, elements()), body);
  }

  /// The same for the pixels of elements [begin, end).
  template <class Body>
  void for_parts(std::int64_t begin, std::int64_t end, const Body& body) const {
    const std::int64_t rows = (end - begin) / columns_;
    if (rows > 0) body(begin, rows, columns_);
    begin += rows * columns_;
    if (begin < end) body(begin, (end - begin) / channels_, channels_);
  }

  /// body(block) on several threads.
  template <class Body>
  void for_blocks(const Body& body) const {
    // LibTorch's own loop runs on one thread where its headers are compiled without OpenMP.
    const ParallelScope threads(at::get_num_threads());
    parallel_for(blocks(), kGrainElements / block_ + 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t block = begin; block < end; ++block) body(block);
    });
  }

  /// body(first element, rows, columns) for all parts, on several threads; after those of a row of
  /// cells, where `cells` are wanted of `map`, which the body makes, makes these.
  template <class Body>
  void for_map(const Cells* cells, const float* map, const Body& body) const {
    if (cells == nullptr) {
      for_blocks([&](std::int64_t block) { for_parts(block, body); });
      return;
    }
    const CellRows& rows = cells->rows;
    const ParallelScope threads(at::get_num_threads());
    parallel_for(rows.count(), kGrainElements / rows.begin(1) + 1,
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t row = begin; row < end; ++row) {
                     for_parts(rows.begin(row), rows.begin(row + 1), body);
                     rows.make(row, row + 1, map, cells->out);
                   }
                 });
  }

  /// Adds sums of columns to those of their channels.
  void fold(const Floats& sums, std::int64_t columns, double* channels) const {
    for (std::int64_t first = 0; first < columns; first += channels_) {
      const float* from = sums.data() + first;
      for (std::int64_t c = 0; c < channels_; ++c) channels[c] += static_cast<double>(from[c]);
    }
  }

 private:
  // For which waking another thread is worth its time.
  static constexpr std::int64_t kGrainElements = 32 * 1024;

  std::int64_t elements() const noexcept { return pixels_ * channels_; }

  std::int64_t channels_;
  std::int64_t pixels_;
  std::int64_t columns_;
  std::int64_t block_;
};

}  // namespace octconv::nn
