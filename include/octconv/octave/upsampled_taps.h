// SPDX-License-Identifier: Apache-2.0
// A convolution of a nearest-upsampled map, computed on the small map.
#pragma once

#include <cstdint>
#include <vector>

#include "octconv/base/api.h"

namespace octconv {

/// One tap of the small convolution: it reads the low pixel at distance `offset` and its weight is
/// the sum of the weights of some taps of the large one.
struct UpsampledTap {
  std::int64_t offset = 0;         ///< in low pixels
  std::vector<std::int64_t> taps;  ///< indices into the large kernel
};

/// The taps with which output pixels i = 2 q + phase read the low map around pixel q, by rising
/// offset.
///
/// With U[j] = x[floor(j / 2)], tap t of the large kernel reads U[i + t * dilation - padding],
/// which is x[q + floor((phase + t * dilation - padding) / 2)]: taps that fall into the same cell
/// are summed. A 3-tap kernel becomes 2 taps in either phase, so 3 x 3 costs 16 multiplies per low
/// pixel instead of 36.
///
/// @param phase  0 or 1
[[nodiscard]] OCTCONV_API std::vector<UpsampledTap> upsampled_taps(std::int64_t kernel,
                                                                   std::int64_t dilation,
                                                                   std::int64_t padding,
                                                                   std::int64_t phase);

}  // namespace octconv
