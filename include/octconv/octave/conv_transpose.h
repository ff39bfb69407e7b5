// SPDX-License-Identifier: Apache-2.0
// The transposed octave convolution as data. With convT the transposed convolution of the layer's
// options,
//
//   Y_high = convT(X_high; W_hh) + upsample( convT(X_low; W_lh) )
//   Y_low  = convT(X_low;  W_ll) + convT( pool(X_high); W_hl )
//
// the octave convolution's equations with another convolution in them. The article defines none;
// this is the form of fkodom/octconv-pytorch and of the TensorFlow proposals (tensorflow/addons,
// pull request 1782).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "octconv/base/api.h"
#include "octconv/octave/conv.h"

namespace octconv {

/// Options of one transposed convolution. PyTorch's conventions: the weight is [in, out / groups,
/// kernel...].
struct ConvTransposeOptions {
  ChannelSplit in;          ///< channels of the input
  ChannelSplit out;         ///< channels of the output
  Shape kernel;             ///< one extent per spatial axis, >= 1
  Shape stride;             ///< >= 1
  Shape dilation;           ///< >= 1; 1 is dense
  Shape padding;            ///< taken off both ends of the result
  Shape output_padding;     ///< added at the far end; smaller than the stride or the dilation
  std::int64_t groups = 1;  ///< of every path, >= 1
  Shape octave;             ///< how much coarser the low grid is along each axis: 2 or 1
  /// The choices on which implementations differ, as for `ConvOptions`.
  /// @{
  Exchange exchange = Exchange::kBoth;
  LowToHigh low_to_high = LowToHigh::kConvThenUpsample;
  Downsample downsample = Downsample::kAverage;
  Upsample upsample = Upsample::kNearest;
  OddLow odd_low = OddLow::kCeil;
  /// @}

  /// Spatial axes.
  [[nodiscard]] std::size_t rank() const noexcept { return kernel.rank(); }
  /// Whether the input or the output has low channels.
  [[nodiscard]] bool octave_valued() const noexcept { return in.octave() || out.octave(); }
  /// One filter per channel: the frequencies exchange nothing.
  [[nodiscard]] OCTCONV_API bool depthwise() const noexcept;
};

/// Why these options cannot be an octave layer, or "": the result must have the input's extents at
/// stride 1, and twice them (or one less) at stride 2, so that the low grid can follow.
[[nodiscard]] OCTCONV_API std::string octave_obstacle(const ConvTransposeOptions& options);

/// @throws InvalidArgument if the options contradict each other; Unsupported if they are
/// octave-valued and
///         `octave_obstacle` names a reason, or for Downsample::kStridedConv
OCTCONV_API void check(const ConvTransposeOptions& options);

/// The paths, in the order of `conv_paths`. `row` and `rows` count input channels, `column` and
/// `columns` output channels within each group. Requires checked options.
[[nodiscard]] OCTCONV_API std::vector<ConvPath> conv_paths(const ConvTransposeOptions& options);

/// High-grid extents of the output: (in - 1) stride - 2 padding + dilation (kernel - 1) +
/// output_padding + 1.
/// @throws InvalidArgument if that is less than 1
[[nodiscard]] OCTCONV_API Shape output_extents(const ConvTransposeOptions& options,
                                               const Shape& extents);

}  // namespace octconv
