// SPDX-License-Identifier: Apache-2.0
// Where the taps of a convolution fall on its input: what makes any rank, stride, dilation and
// padding one loop.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/extents3.h"
#include "octave/packed_conv.h"
#include "octconv/octave/conv.h"
#include "octconv/tensor/shape.h"

namespace octconv::octave {

/// A pixel of a batch of maps, last axis fastest.
struct Position {
  Position(const kernels::Extents3& extents, std::int64_t pixel)
      : image(pixel / extents[2] / extents[1] / extents[0]),
        z(pixel / extents[2] / extents[1] % extents[0]),
        y(pixel / extents[2] % extents[1]),
        x(pixel % extents[2]) {}

  /// To the next pixel.
  void advance(const kernels::Extents3& extents) noexcept {
    if (++x < extents[2]) return;
    x = 0;
    if (++y < extents[1]) return;
    y = 0;
    if (++z < extents[0]) return;
    z = 0;
    ++image;
  }

  std::int64_t image;
  std::int64_t z;
  std::int64_t y;
  std::int64_t x;
};

class TapGrid {
 public:
  /// @param map       extents of the path's input, after its pools
  /// @param channels  floats from one of its pixels to the next
  TapGrid(const ConvOptions& options, const ConvPath& path, const Shape& map,
          std::int64_t channels);

  /// Extents of the map.
  [[nodiscard]] const kernels::Extents3& map() const noexcept { return in_; }

  /// Where the map's row begins that each row of the kernel reads for the output pixel; null
  /// outside of the map.
  void fill_rows(const float* src, const Position& at, const float** rows) const noexcept;

  /// Row pointers [tap][pitch] of pixels [begin, end) of an output of these extents; `zeros`
  /// outside of the map. From `end - begin` to `pitch` they repeat the last pixel's. Requires begin
  /// < end.
  void fill(const float* src, const float* zeros, const kernels::Extents3& extents,
            std::int64_t begin, std::int64_t end, Range taps, std::int64_t pitch,
            const float** rows) const noexcept;

  /// The same pointers [pixel][tap], without any after the last pixel's: for windows of many taps.
  /// `taps` are whole rows of the kernel.
  void fill_windows(const float* src, const float* zeros, const kernels::Extents3& extents,
                    std::int64_t begin, std::int64_t end, Range taps,
                    const float** rows) const noexcept;

  /// Offsets [tap][pixel] from the first pixel of a map to what the pixels of so many images'
  /// outputs read, or kernels::kOutside.
  [[nodiscard]] std::vector<std::int64_t> offsets(const kernels::Extents3& extents,
                                                  std::int64_t images) const;

 private:
  /// Position on the map minus that of the output times the stride.
  struct Tap {
    std::int64_t z;
    std::int64_t y;
    std::int64_t x;
    std::int64_t begin;  ///< output x from which on it is right of the map's left edge
    std::int64_t end;    ///< and that from which on it is outside of the right one
  };

  // What `count` pixels of one row of the output read: inside(offset) on the map, else `outside`.
  template <class Value, class Inside>
  void fill_run(const Position& at, std::int64_t count, Range taps, std::int64_t pitch,
                const Inside& inside, Value outside, Value* rows) const noexcept;
  // The same for the runs of pixels [begin, end).
  template <class Value, class Inside>
  void fill_runs(const kernels::Extents3& extents, std::int64_t begin, std::int64_t end, Range taps,
                 std::int64_t pitch, const Inside& inside, Value outside,
                 Value* rows) const noexcept;

  kernels::Extents3 in_;
  kernels::Extents3 stride_;
  std::int64_t channels_;
  std::int64_t row_taps_;  // along x
  std::vector<Tap> taps_;
  std::vector<std::int64_t> offsets_;  // of taps from the output's own pixel, in floats
};

}  // namespace octconv::octave
