// SPDX-License-Identifier: Apache-2.0
// Operations along the channels of a pixel, channels last.
#pragma once

#include <cstdint>

#include "kernels/extents3.h"

namespace octconv::kernels {

/// out[p][i] = src[p][channels[i]], for `count` of them.
void select(const float* src, std::int64_t pixels, std::int64_t src_channels,
            const std::int64_t* channels, std::int64_t count, float* out) noexcept;

/// out[p][c] = exp(src[p][c]) / sum over c: exp(src[p][c]). `out` may be `src`.
void softmax(const float* src, std::int64_t pixels, std::int64_t channels, float* out) noexcept;

/// Pixels of a grid behind a convolution with one channel per output pixel of a cell, into cells.
struct CellsRows {
  const float* src = nullptr;  ///< [n][grid...][groups][cell pixels][channels / groups]
  float* out = nullptr;        ///< [n][extents...][channels]
  std::int64_t channels = 0;
  std::int64_t groups = 1;
  Extents3 grid{};     ///< extents of src
  Extents3 extents{};  ///< of out
  Extents3 cell{};     ///< pixels of a cell along each axis
  Extents3 first{};    ///< output pixel 0 is pixel `first` of the cells in a row
};

/// Rows [begin, end) of all the output's rows: there are batch * extents[0] * extents[1] of them.
/// Output pixels beyond the grid's cells must not exist.
void spread_cells(const CellsRows& rows, std::int64_t begin, std::int64_t end) noexcept;

}  // namespace octconv::kernels
