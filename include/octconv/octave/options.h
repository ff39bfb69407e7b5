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
enum class Exchange {
  kBoth,       ///< high_to_low and low_to_high (the article)
  kHighToLow,  ///< high_to_low only
  kLowToHigh,  ///< low_to_high only
  kNone,       ///< neither: two networks side by side
};

/// In which order low_to_high convolves and upsamples.
enum class LowToHigh {
  kConvThenUpsample,  ///< the article's equation 4, the authors' code
  kUpsampleThenConv,  ///< the article's listing
};

/// How high_to_low comes to the low grid.
enum class Downsample {
  kAverage,      ///< average of each cell (the article)
  kMax,          ///< maximum of each cell (MG-Conv, octave-yolo)
  kStridedConv,  ///< a strided convolution; half a pixel off (the article's table 3)
};

/// How low_to_high comes to the high grid.
enum class Upsample {
  kNearest,   ///< each low pixel fills its cell (the article)
  kBilinear,  ///< linear along each axis, half-pixel centres (gOctConv)
};

/// Which part of `alpha * channels` is rounded down.
enum class Rounding {
  kFloorLow,   ///< the low one (the authors)
  kFloorHigh,  ///< the high one (braincreators, terrychenism)
};

/// How often a bias is added.
enum class BiasRule {
  kOnce,     ///< once per output channel (the authors)
  kPerPath,  ///< by every path that ends in the channel (the article's listing, d-li14)
};

/// Extent of the low grid where the high one is odd.
enum class OddLow {
  kCeil,   ///< the last cell has fewer pixels (the authors' Gluon code)
  kFloor,  ///< the last high pixels have no cell; upsampling repeats the last low pixel (d-li14)
};

/// How the groups of a convolution are shared among its paths.
enum class GroupRule {
  kAll,  ///< every path has all the groups; depthwise layers exchange nothing (authors' Gluon code)
  kMinimum,  ///< min(output channels of the path, groups), depthwise too (authors' Symbol code)
  kProportional,  ///< within a frequency its share, rounded up; across, all of them (d-li14)
};

/// What lies beyond the edge of a map (torch's padding modes).
enum class PaddingMode {
  kZeros,      ///< 0
  kReflect,    ///< the map mirrored at its last pixel
  kReplicate,  ///< the last pixel
  kCircular,   ///< the other end of the map
};

/// Each option value's name in command lines and messages: "pool_twice", "conv_then_upsample", ...
/// @{
[[nodiscard]] OCTCONV_API std::string_view to_string(StrideMode value) noexcept;
[[nodiscard]] OCTCONV_API std::string_view to_string(Exchange value) noexcept;
[[nodiscard]] OCTCONV_API std::string_view to_string(LowToHigh value) noexcept;
[[nodiscard]] OCTCONV_API std::string_view to_string(Downsample value) noexcept;
[[nodiscard]] OCTCONV_API std::string_view to_string(Upsample value) noexcept;
[[nodiscard]] OCTCONV_API std::string_view to_string(Rounding value) noexcept;
[[nodiscard]] OCTCONV_API std::string_view to_string(BiasRule value) noexcept;
[[nodiscard]] OCTCONV_API std::string_view to_string(OddLow value) noexcept;
[[nodiscard]] OCTCONV_API std::string_view to_string(GroupRule value) noexcept;
[[nodiscard]] OCTCONV_API std::string_view to_string(PaddingMode value) noexcept;
/// @}

/// @throws InvalidArgument naming the text and the known values
[[nodiscard]] OCTCONV_API StrideMode parse_stride_mode(std::string_view text);
/// @throws InvalidArgument naming the text and the known values
[[nodiscard]] OCTCONV_API Exchange parse_exchange(std::string_view text);
/// @throws InvalidArgument naming the text and the known values
[[nodiscard]] OCTCONV_API Downsample parse_downsample(std::string_view text);
/// @throws InvalidArgument naming the text and the known values
[[nodiscard]] OCTCONV_API LowToHigh parse_low_to_high(std::string_view text);
/// @throws InvalidArgument naming the text and the known values
[[nodiscard]] OCTCONV_API Upsample parse_upsample(std::string_view text);

}  // namespace octconv
