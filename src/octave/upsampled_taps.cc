// SPDX-License-Identifier: Apache-2.0
// Which taps of a kernel fall into the same cell of the low grid.
#include "octconv/octave/upsampled_taps.h"

namespace octconv {

std::vector<UpsampledTap> upsampled_taps(std::int64_t kernel, std::int64_t dilation,
                                         std::int64_t padding, std::int64_t phase) {
  std::vector<UpsampledTap> small;
  for (std::int64_t tap = 0; tap < kernel; ++tap) {
    const std::int64_t at = phase + tap * dilation - padding;
    const std::int64_t offset = (at - (at < 0 ? 1 : 0)) / 2;  // floor, also of negative numbers
    if (small.empty() || small.back().offset != offset)
      small.push_back({.offset = offset, .taps = {}});
    small.back().taps.push_back(tap);
  }
  return small;
}

}  // namespace octconv
