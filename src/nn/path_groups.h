// SPDX-License-Identifier: Apache-2.0
// Which paths of an octave convolution are one convolution.
#pragma once

#include <vector>

#include "octconv/octave/conv.h"

namespace octconv::nn {

/// Paths of one destination that compute on the same grid with the same stride: one convolution
/// over their concatenated inputs. In the order of the weight's columns.
struct PathGroup {
  std::vector<ConvPath> paths;

  [[nodiscard]] const ConvPath& first() const { return paths.front(); }
  [[nodiscard]] std::int64_t columns() const {
    std::int64_t sum = 0;
    for (const ConvPath& path : paths) sum += path.columns;
    return sum;
  }
};

/// Groups in the order of `conv_paths`: a destination's upsampled group comes after the other.
[[nodiscard]] std::vector<PathGroup> group_paths(const ConvOptions& options);

}  // namespace octconv::nn
