// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution: one filter per channel, channels last.
#pragma once

#include <cstdint>

#include "octconv/kernels/activation.h"

namespace octconv::kernels {

/// out[p][c] = activation( bias[c] + sum over tap: rows[tap][p][c] * weights[tap][c] +
/// residual[p][c] )
struct DepthwisePixels {
  const float* const* rows = nullptr;  ///< [tap][pitch], as for the dense convolution
  std::int64_t taps = 0;
  std::int64_t pitch = 0;
  const float* weights = nullptr;  ///< [tap][channel]
  const float* bias = nullptr;
  std::int64_t channels = 0;
  std::int64_t pixels = 0;
  const float* residual = nullptr;  ///< as `out`, may be `out` itself; may be null
  float* out = nullptr;             ///< pixels are `channels` apart
  Activation activation{ActivationKind::kNone};
};

void depthwise(const DepthwisePixels& pixels) noexcept;

}  // namespace octconv::kernels
