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

/// The same for a whole row of pixels, whose neighbours share what they read. Its sums have the
/// same order.
struct DepthwiseRow {
  /// [row of the kernel]: the first pixel of the input row that it reads; null outside of the map.
  const float* const* rows = nullptr;
  std::int64_t kernel_rows = 0;
  std::int64_t taps = 0;    ///< along x, dense: 3 or 5
  std::int64_t stride = 0;  ///< along x: 1, or 2 with 3 taps
  std::int64_t padding =
      0;  ///< pixels left of the input row that the first tap of the first pixel reads
  std::int64_t in_width = 0;
  std::int64_t width = 0;          ///< of the output
  const float* weights = nullptr;  ///< [row of the kernel][tap][channel]
  const float* bias = nullptr;
  const float* zeros = nullptr;  ///< `channels` of them
  std::int64_t channels = 0;
  const float* residual = nullptr;  ///< as `out`, may be `out` itself; may be null
  float* out = nullptr;
  Activation activation{ActivationKind::kNone};

  /// Kernels that this serves.
  [[nodiscard]] static constexpr bool has(std::int64_t taps, std::int64_t stride,
                                          std::int64_t dilation, std::int64_t kernel_rows) {
    return (taps == 3 ? stride <= 2 : taps == 5 && stride == 1) && dilation == 1 &&
           kernel_rows <= kMostRows;
  }
  static constexpr std::int64_t kMostRows = 25;
};

void depthwise(const DepthwiseRow& row) noexcept;

}  // namespace octconv::kernels
