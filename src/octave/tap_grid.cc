// SPDX-License-Identifier: Apache-2.0
#include "octave/tap_grid.h"

#include <algorithm>

#include "kernels/correlation.h"

namespace octconv::octave {

using kernels::Extents3;
using kernels::product;
using kernels::to_three;

TapGrid::TapGrid(const ConvOptions& options, const ConvPath& path, const Shape& map,
                 std::int64_t channels)
    : in_(to_three(map, 1)),
      stride_(to_three(path.stride, 1)),
      channels_(channels),
      row_taps_(options.kernel[options.rank() - 1]) {
  const Extents3 kernel = to_three(options.kernel, 1);
  const Extents3 dilation = to_three(options.dilation, 1);
  const Extents3 padding = to_three(options.padding_begin, 0);
  for (std::int64_t tap = 0; tap < product(kernel); ++tap) {
    const Position at(kernel, tap);
    const std::int64_t x = at.x * dilation[2] - padding[2];
    const auto first_from = [&](std::int64_t input) {
      return input <= x ? 0 : (input - x + stride_[2] - 1) / stride_[2];
    };
    taps_.push_back({.z = at.z * dilation[0] - padding[0],
                     .y = at.y * dilation[1] - padding[1],
                     .x = x,
                     .begin = first_from(0),
                     .end = first_from(in_[2])});
    const Tap& own = taps_.back();
    offsets_.push_back(((own.z * in_[1] + own.y) * in_[2] + own.x) * channels);
  }
}

template <class Value, class Inside>
void TapGrid::fill_run(const Position& at, std::int64_t count, Range taps, std::int64_t pitch,
                       const Inside& inside, Value outside, Value* rows) const noexcept {
  const std::int64_t step = stride_[2] * channels_;
  for (std::int64_t i = taps.begin; i < taps.end; ++i, rows += pitch) {
    const Tap& tap = taps_[static_cast<std::size_t>(i)];
    const std::int64_t z = at.z * stride_[0] + tap.z;
    const std::int64_t y = at.y * stride_[1] + tap.y;
    Value* row = rows;
    if (z >= 0 && z < in_[0] && y >= 0 && y < in_[1]) {
      Value* const begin = rows + std::clamp<std::int64_t>(tap.begin - at.x, 0, count);
      Value* const end = rows + std::clamp<std::int64_t>(tap.end - at.x, 0, count);
      while (row < begin) *row++ = outside;
      const std::int64_t x = (at.x + (row - rows)) * stride_[2] + tap.x;
      // A tap that is never inside has one beyond the map.
      std::int64_t offset = (((at.image * in_[0] + z) * in_[1] + y) * in_[2] + x) * channels_;
      for (; row < end; offset += step) *row++ = inside(offset);
    }
    while (row < rows + count) *row++ = outside;
  }
}

template <class Value, class Inside>
void TapGrid::fill_runs(const Extents3& extents, std::int64_t begin, std::int64_t end, Range taps,
                        std::int64_t pitch, const Inside& inside, Value outside,
                        Value* rows) const noexcept {
  for (std::int64_t pixel = begin; pixel < end;) {
    const Position at(extents, pixel);
    const std::int64_t count = std::min(extents[2] - at.x, end - pixel);
    fill_run(at, count, taps, pitch, inside, outside, rows + (pixel - begin));
    pixel += count;
  }
}

void TapGrid::fill(const float* src, const float* zeros, const Extents3& extents,
                   std::int64_t begin, std::int64_t end, Range taps, std::int64_t pitch,
                   const float** rows) const noexcept {
  fill_runs(
      extents, begin, end, taps, pitch, [src](std::int64_t offset) { return src + offset; }, zeros,
      rows);
  for (std::int64_t tap = 0; tap < taps.size(); ++tap) {
    const float** row = rows + tap * pitch;
    std::fill(row + (end - begin), row + pitch, row[end - begin - 1]);
  }
}

void TapGrid::fill_windows(const float* src, const float* zeros, const Extents3& extents,
                           std::int64_t begin, std::int64_t end, Range taps,
                           const float** rows) const noexcept {
  const auto tap = [this](std::int64_t i) -> const Tap& {
    return taps_[static_cast<std::size_t>(i)];
  };
  const std::int64_t* const offsets = offsets_.data();
  Position at(extents, begin);
  for (std::int64_t pixel = begin; pixel < end; ++pixel, at.advance(extents)) {
    const std::int64_t z = at.z * stride_[0];
    const std::int64_t y = at.y * stride_[1];
    const std::int64_t first =
        (((at.image * in_[0] + z) * in_[1] + y) * in_[2] + at.x * stride_[2]) * channels_;
    const auto on_map = [&](const Tap& t) {
      return z + t.z >= 0 && z + t.z < in_[0] && y + t.y >= 0 && y + t.y < in_[1];
    };
    const Tap& last = tap(taps.end - 1);
    const bool all_columns = at.x >= tap(taps.begin).begin && at.x < last.end;
    if (all_columns && on_map(tap(taps.begin)) && on_map(last)) {
      for (std::int64_t i = taps.begin; i < taps.end; ++i) *rows++ = src + (first + offsets[i]);
      continue;
    }
    for (std::int64_t i = taps.begin; i < taps.end; i += row_taps_) {
      if (!on_map(tap(i))) {
        rows = std::fill_n(rows, row_taps_, zeros);
        continue;
      }
      for (std::int64_t t = i; t < i + row_taps_; ++t) {
        const bool inside = at.x >= tap(t).begin && at.x < tap(t).end;
        *rows++ = inside ? src + (first + offsets[t]) : zeros;
      }
    }
  }
}

void TapGrid::fill_rows(const float* src, const Position& at, const float** rows) const noexcept {
  for (std::size_t i = 0; i < taps_.size(); i += static_cast<std::size_t>(row_taps_)) {
    const std::int64_t z = at.z * stride_[0] + taps_[i].z;
    const std::int64_t y = at.y * stride_[1] + taps_[i].y;
    const bool inside = z >= 0 && z < in_[0] && y >= 0 && y < in_[1];
    const std::int64_t row = (at.image * in_[0] + z) * in_[1] + y;
    *rows++ = inside ? src + row * in_[2] * channels_ : nullptr;
  }
}

std::vector<std::int64_t> TapGrid::offsets(const Extents3& extents, std::int64_t images) const {
  const std::int64_t pixels = images * product(extents);
  const auto taps = static_cast<std::int64_t>(taps_.size());
  std::vector<std::int64_t> result(static_cast<std::size_t>(taps * pixels));
  fill_runs(
      extents, 0, pixels, {0, taps}, pixels, [](std::int64_t offset) { return offset; },
      kernels::kOutside, result.data());
  return result;
}

}  // namespace octconv::octave
