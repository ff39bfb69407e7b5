// SPDX-License-Identifier: Apache-2.0
// The choices on which implementations of octave convolution differ.
#pragma once

#include <string_view>

#include "octconv/base/api.h"

namespace octconv {

/// What a stride does in an octave network.
enum class StrideMode {
  kPool,       ///< average-pool, then convolve at stride 1; high_to_low by one pool (authors' Gluon
               ///< code)
  kPoolTwice,  ///< the same, but high_to_low by two pools (authors' Symbol code, d-li14,
               ///< braincreators)
  kPoolLow,    ///< low pooled too, and low_to_high upsampled (lxtGH)
  kStrided,    ///< every path a strided convolution (the article's code, Keras ports)
};

/// Which of the two paths between the frequencies exist (the article's table 3).
enum class Exchange { kBoth, kHighToLow, kLowToHigh, kNone };

[[nodiscard]] OCTCONV_API std::string_view to_string(StrideMode mode) noexcept;
[[nodiscard]] OCTCONV_API std::string_view to_string(Exchange exchange) noexcept;
/// @throws InvalidArgument naming the text and the known values
[[nodiscard]] OCTCONV_API StrideMode parse_stride_mode(std::string_view text);
/// @throws InvalidArgument naming the text and the known values
[[nodiscard]] OCTCONV_API Exchange parse_exchange(std::string_view text);

}  // namespace octconv
