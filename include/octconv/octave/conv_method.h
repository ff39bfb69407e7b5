// SPDX-License-Identifier: Apache-2.0
// How the engine computes a convolution: tap by tap, or by Winograd's method.
#pragma once

#include <cstdint>
#include <string_view>

#include "octconv/base/api.h"
#include "octconv/octave/conv.h"
#include "octconv/tensor/shape.h"

namespace octconv {

/// Ways to compute a convolution. Winograd's need fewer multiplies and round a little more.
enum class ConvMethod {
  kDirect,     ///< tap by tap: any convolution
  kWinograd2,  ///< tiles of 2 outputs along an axis: 2.25 times fewer multiplies in 2-D
  kWinograd4,  ///< tiles of 4 outputs along an axis: 4 times fewer multiplies in 2-D
};

/// One for each sum that an octave convolution computes.
struct ConvMethods {
  ConvMethod high = ConvMethod::kDirect;         ///< what goes to the high grid from its own
  ConvMethod low_to_high = ConvMethod::kDirect;  ///< what is upsampled
  ConvMethod low = ConvMethod::kDirect;          ///< all that goes to the low grid, together
  friend bool operator==(const ConvMethods&, const ConvMethods&) = default;
};

/// Whether Winograd's methods can compute a path: three dense taps along the last two axes (of one
/// axis: along it), no more than 64 along the first of three, its own stride 1, one group.
[[nodiscard]] OCTCONV_API bool has_winograd(const ConvOptions& options, const ConvPath& path);

/// Whether Winograd's methods can compute one of the sums, `&ConvMethods::high` or another: the
/// convolution has it, and they can compute all of its paths.
[[nodiscard]] OCTCONV_API bool can_use_winograd(const ConvOptions& options,
                                                ConvMethod ConvMethods::*sum);

/// The methods that are likely the fastest for so many inputs of these high-grid extents, by a
/// model of their costs: a batch reads its weights less often than its images alone would.
[[nodiscard]] OCTCONV_API ConvMethods choose_methods(const ConvOptions& options,
                                                     const Shape& extents, std::int64_t batch = 1);

/// "direct", "winograd2", "winograd4".
[[nodiscard]] OCTCONV_API std::string_view to_string(ConvMethod method) noexcept;

}  // namespace octconv
