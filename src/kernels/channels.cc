// SPDX-License-Identifier: Apache-2.0
#include "kernels/channels.h"

#include <algorithm>
#include <cmath>

namespace octconv::kernels {

void select(const float* src, std::int64_t pixels, std::int64_t src_channels,
            const std::int64_t* channels, std::int64_t count, float* out) noexcept {
  for (std::int64_t p = 0; p < pixels; ++p, src += src_channels, out += count) {
    for (std::int64_t i = 0; i < count; ++i) out[i] = src[channels[i]];
  }
}

void softmax(const float* src, std::int64_t pixels, std::int64_t channels, float* out) noexcept {
  for (std::int64_t p = 0; p < pixels; ++p, src += channels, out += channels) {
    const float most = *std::max_element(src, src + channels);
    float sum = 0;
    for (std::int64_t c = 0; c < channels; ++c) {
      out[c] = std::exp(src[c] - most);
      sum += out[c];
    }
    for (std::int64_t c = 0; c < channels; ++c) out[c] /= sum;
  }
}

void spread_cells(const CellsRows& all, std::int64_t begin, std::int64_t end) noexcept {
  const std::int64_t cell_pixels = all.cell[0] * all.cell[1] * all.cell[2];
  const std::int64_t group = all.channels / all.groups;
  for (std::int64_t row = begin; row < end; ++row) {
    const std::int64_t y = row % all.extents[1] + all.first[1];
    const std::int64_t z = row / all.extents[1] % all.extents[0] + all.first[0];
    const std::int64_t image = row / all.extents[1] / all.extents[0];
    const std::int64_t line =
        ((image * all.grid[0] + z / all.cell[0]) * all.grid[1] + y / all.cell[1]) * all.grid[2];
    const std::int64_t phase = (z % all.cell[0] * all.cell[1] + y % all.cell[1]) * all.cell[2];
    float* out = all.out + row * all.extents[2] * all.channels;
    for (std::int64_t i = 0; i < all.extents[2]; ++i) {
      const std::int64_t x = i + all.first[2];
      const float* from = all.src + (line + x / all.cell[2]) * cell_pixels * all.channels +
                          (phase + x % all.cell[2]) * group;
      for (std::int64_t g = 0; g < all.groups; ++g, out += group)
        std::copy_n(from + g * cell_pixels * group, group, out);
    }
  }
}

}  // namespace octconv::kernels
