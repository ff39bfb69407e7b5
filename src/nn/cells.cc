// SPDX-License-Identifier: Apache-2.0
#include "nn/cells.h"

#include <algorithm>
#include <cstddef>

#include "kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "nn/cells.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h, which chooses the target.
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

#ifndef OCTCONV_NN_CELLS_ONCE
#define OCTCONV_NN_CELLS_ONCE
namespace octconv::nn {

// A row of cells: which pixels of the fine map they have.
struct CellRow {
  std::int64_t first = 0;              // index of the first cell in the coarse map
  std::int64_t fine_first = 0;         // index of the first pixel in the fine map
  std::array<std::int64_t, 2> real{};  // fine pixels of a cell along the two outer axes
};

inline std::array<std::int64_t, 3> coarse_extents(const CellGrid& grid) {
  std::array<std::int64_t, 3> coarse{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    coarse[axis] = (grid.fine[axis] + grid.cell[axis] - 1) / grid.cell[axis];
  }
  return coarse;
}

// Rows are numbered through batch and the two outer axes of the coarse map.
inline CellRow cell_row(const CellGrid& grid, std::int64_t row) {
  const std::array<std::int64_t, 3> coarse = coarse_extents(grid);
  const std::int64_t y = row % coarse[1];
  const std::int64_t z = row / coarse[1] % coarse[0];
  const std::int64_t n = row / coarse[1] / coarse[0];
  return {.first = row * coarse[2],
          .fine_first = ((n * grid.fine[0] + z * grid.cell[0]) * grid.fine[1] + y * grid.cell[1]) *
                        grid.fine[2],
          .real = {std::min(grid.cell[0], grid.fine[0] - z * grid.cell[0]),
                   std::min(grid.cell[1], grid.fine[1] - y * grid.cell[1])}};
}

}  // namespace octconv::nn
#endif

HWY_BEFORE_NAMESPACE();
namespace octconv::nn {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
namespace simd = octconv::kernels::HWY_NAMESPACE;

using simd::Tag;
using simd::Vector;

// body(channel, load, store) for all channels of a pixel, in vectors.
template <class Body>
HWY_INLINE void ForChannels(std::int64_t channels, const Body& body) {
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(Tag()));
  const Tag d;
  std::int64_t c = 0;
  for (; c + kLanes <= channels; c += kLanes) {
    body(
        c, [&](const float* from) HWY_ATTR { return hn::LoadU(d, from); },
        [&](Vector value, float* to) HWY_ATTR { hn::StoreU(value, d, to); });
  }
  if (c < channels) {
    const auto left = static_cast<std::size_t>(channels - c);
    body(
        c, [&](const float* from) HWY_ATTR { return simd::LoadPart(d, from, left); },
        [&](Vector value, float* to) HWY_ATTR { simd::StorePart(d, value, to, left); });
  }
}

// body(pixel) for the fine pixels of a cell of a row.
template <class Body>
HWY_INLINE void ForPixels(const CellGrid& grid, const CellRow& row, std::int64_t x,
                          std::int64_t real_x, const Body& body) {
  for (std::int64_t i = 0; i < row.real[0]; ++i) {
    for (std::int64_t j = 0; j < row.real[1]; ++j) {
      const std::int64_t pixel =
          row.fine_first + (i * grid.fine[1] + j) * grid.fine[2] + x * grid.cell[2];
      for (std::int64_t k = 0; k < real_x; ++k) body(pixel + k);
    }
  }
}

void GatherRows(const CellGrid& grid, PixelMap<const float> fine, bool mean, PixelMap<float> coarse,
                std::int64_t begin, std::int64_t end) {
  const Tag d;
  const std::int64_t cells = coarse_extents(grid)[2];
  for (std::int64_t r = begin; r < end; ++r) {
    const CellRow row = cell_row(grid, r);
    for (std::int64_t x = 0; x < cells; ++x) {
      const std::int64_t real_x = std::min(grid.cell[2], grid.fine[2] - x * grid.cell[2]);
      const auto count = static_cast<float>(row.real[0] * row.real[1] * real_x);
      const Vector scale = hn::Set(d, mean ? 1.0F / count : 1.0F);
      float* to = coarse.data + (row.first + x) * coarse.stride;
      ForChannels(grid.channels, [&](std::int64_t c, auto load, auto store) HWY_ATTR {
        Vector sum = hn::Zero(d);
        ForPixels(grid, row, x, real_x, [&](std::int64_t pixel) HWY_ATTR {
          sum = hn::Add(sum, load(fine.data + pixel * fine.stride + c));
        });
        store(hn::Mul(sum, scale), to + c);
      });
    }
  }
}

void SpreadRows(const CellGrid& grid, PixelMap<const float> coarse, bool mean, bool accumulate,
                PixelMap<float> fine, std::int64_t begin, std::int64_t end) {
  const Tag d;
  const std::int64_t cells = coarse_extents(grid)[2];
  for (std::int64_t r = begin; r < end; ++r) {
    const CellRow row = cell_row(grid, r);
    for (std::int64_t x = 0; x < cells; ++x) {
      const std::int64_t real_x = std::min(grid.cell[2], grid.fine[2] - x * grid.cell[2]);
      const auto count = static_cast<float>(row.real[0] * row.real[1] * real_x);
      const Vector scale = hn::Set(d, mean ? 1.0F / count : 1.0F);
      const float* from = coarse.data + (row.first + x) * coarse.stride;
      ForChannels(grid.channels, [&](std::int64_t c, auto load, auto store) HWY_ATTR {
        const Vector value = hn::Mul(load(from + c), scale);
        ForPixels(grid, row, x, real_x, [&](std::int64_t pixel) HWY_ATTR {
          float* to = fine.data + pixel * fine.stride + c;
          store(accumulate ? hn::Add(load(to), value) : value, to);
        });
      });
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace octconv::nn
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <ATen/Parallel.h>

namespace octconv::nn {
namespace {

HWY_EXPORT(GatherRows);
HWY_EXPORT(SpreadRows);

template <class Body>
void for_rows(const CellGrid& grid, const Body& body) {
  const std::array<std::int64_t, 3> coarse = coarse_extents(grid);
  // Some ten thousand additions pay for waking a thread.
  constexpr std::int64_t kGrainFloats = 16384;
  const std::int64_t row_floats = grid.channels * grid.fine[2] * grid.cell[0] * grid.cell[1];
  at::parallel_for(0, grid.batch * coarse[0] * coarse[1],
                   1 + kGrainFloats / std::max<std::int64_t>(1, row_floats), body);
}

}  // namespace

void gather_cells(const CellGrid& grid, PixelMap<const float> fine, bool mean,
                  PixelMap<float> coarse) {
  for_rows(grid, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(GatherRows)(grid, fine, mean, coarse, begin, end);
  });
}

void spread_cells(const CellGrid& grid, PixelMap<const float> coarse, bool mean, bool accumulate,
                  PixelMap<float> fine) {
  for_rows(grid, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(SpreadRows)(grid, coarse, mean, accumulate, fine, begin, end);
  });
}

}  // namespace octconv::nn
#endif
