// SPDX-License-Identifier: Apache-2.0
// Between a grid and a coarser one whose pixels are cells of the first: cells at the far edges have
// the real pixels only. Channels last.
#pragma once

#include <array>
#include <cstdint>

namespace octconv::nn {

/// A map of [n, extents..., channels] whose pixels are `stride` floats apart: all of a tensor, or
/// some of its channels. An axis that does not exist has extent 1.
template <class Float>
struct PixelMap {
  Float* data = nullptr;
  std::int64_t stride = 0;
};

struct CellGrid {
  std::int64_t batch = 0;
  std::array<std::int64_t, 3> fine{};  ///< extents, outermost first
  std::array<std::int64_t, 3> cell{};  ///< pixels of a whole cell along each axis
  std::int64_t channels = 0;
};

/// coarse = sum over each cell of fine, divided by its real pixels if `mean`.
void gather_cells(const CellGrid& grid, PixelMap<const float> fine, bool mean,
                  PixelMap<float> coarse);

/// Each pixel of fine = its cell of coarse, divided by the cell's real pixels if `mean`; added to
/// what fine holds if `accumulate`.
void spread_cells(const CellGrid& grid, PixelMap<const float> coarse, bool mean, bool accumulate,
                  PixelMap<float> fine);

}  // namespace octconv::nn
