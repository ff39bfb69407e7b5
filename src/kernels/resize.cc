// SPDX-License-Identifier: Apache-2.0
#include "kernels/resize.h"

#include <algorithm>
#include <array>

namespace octconv::kernels {
namespace {

// Two pixels of one axis and the share of the second.
struct Between {
  std::int64_t first = 0;
  std::int64_t second = 0;
  float share = 0;
};

Between between(std::int64_t pixel, std::int64_t in, std::int64_t factor) {
  const float place =
      (static_cast<float>(2 * pixel + 1) / static_cast<float>(factor) - 1.0F) / 2.0F;
  const float clamped = std::clamp(place, 0.0F, static_cast<float>(in - 1));
  const auto first = static_cast<std::int64_t>(clamped);
  return {first, std::min(first + 1, in - 1), clamped - static_cast<float>(first)};
}

struct Corner {
  const float* row = nullptr;  // begins with the first pixel along the last axis
  float share = 0;
};

}  // namespace

void resize(const ResizeRows& all, std::int64_t begin, std::int64_t end) noexcept {
  const std::int64_t row_floats = all.in[2] * all.channels;
  for (std::int64_t row = begin; row < end; ++row) {
    const std::int64_t y = row % all.extents[1];
    const std::int64_t z = row / all.extents[1] % all.extents[0];
    const std::int64_t image = row / all.extents[1] / all.extents[0];
    const float* map = all.src + image * all.in[0] * all.in[1] * row_floats;
    float* out = all.out + row * all.extents[2] * all.channels;
    if (all.mode == ResizeMode::kNearest) {
      const float* from = map + (z / all.factor[0] * all.in[1] + y / all.factor[1]) * row_floats;
      for (std::int64_t x = 0; x < all.extents[2]; ++x, out += all.channels)
        std::copy_n(from + x / all.factor[2] * all.channels, all.channels, out);
      continue;
    }
    const Between deep = between(z, all.in[0], all.factor[0]);
    const Between high = between(y, all.in[1], all.factor[1]);
    const auto row_at = [&](std::int64_t plane, std::int64_t line) {
      return map + (plane * all.in[1] + line) * row_floats;
    };
    const std::array<Corner, 4> corners{{
        {row_at(deep.first, high.first), (1 - deep.share) * (1 - high.share)},
        {row_at(deep.first, high.second), (1 - deep.share) * high.share},
        {row_at(deep.second, high.first), deep.share * (1 - high.share)},
        {row_at(deep.second, high.second), deep.share * high.share},
    }};
    for (std::int64_t x = 0; x < all.extents[2]; ++x, out += all.channels) {
      const Between wide = between(x, all.in[2], all.factor[2]);
      std::fill_n(out, all.channels, 0.0F);
      for (const Corner& corner : corners) {
        if (corner.share == 0) continue;
        const float* a = corner.row + wide.first * all.channels;
        const float* b = corner.row + wide.second * all.channels;
        const float share_b = corner.share * wide.share;
        const float share_a = corner.share - share_b;
        for (std::int64_t c = 0; c < all.channels; ++c) out[c] += share_a * a[c] + share_b * b[c];
      }
    }
  }
}

}  // namespace octconv::kernels
