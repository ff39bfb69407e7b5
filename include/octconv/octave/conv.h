// SPDX-License-Identifier: Apache-2.0
// The octave convolution as data: its options, its geometry, and the paths it is made of.
//
//   Y_high = conv(X_high; W_hh) + upsample( conv(X_low; W_lh) )
//   Y_low  = conv(X_low;  W_ll) + conv( pool(X_high); W_hl )
//
// Source: Chen et al., "Drop an Octave", ICCV 2019, equation 4 (https://arxiv.org/abs/1904.05049).
// An ordinary convolution is the one whose input and output have `low == 0`: it has the first path
// only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "octconv/base/api.h"
#include "octconv/octave/channel_split.h"
#include "octconv/octave/options.h"
#include "octconv/tensor/shape.h"

namespace octconv {

/// Options of one convolution of any rank. PyTorch's conventions: dilation 1 is dense, the weight
/// is [out, in / groups, kernel...].
struct ConvOptions {
  ChannelSplit in;          ///< channels of the input
  ChannelSplit out;         ///< channels of the output
  Shape kernel;             ///< one extent per spatial axis, >= 1
  Shape stride;             ///< >= 1
  Shape dilation;           ///< >= 1
  Shape padding_begin;      ///< zeros before the first pixel, >= 0
  Shape padding_end;        ///< zeros after the last pixel, >= 0
  std::int64_t groups = 1;  ///< of every path, unless `group_rule` says otherwise; >= 1
  Shape
      octave;  ///< how much coarser the low grid is along each axis: 2, or 1 where it is not halved
  /// The choices on which implementations differ; each value says whose it is.
  /// @{
  StrideMode stride_mode = StrideMode::kStrided;
  Exchange exchange = Exchange::kBoth;
  LowToHigh low_to_high = LowToHigh::kConvThenUpsample;
  Downsample downsample = Downsample::kAverage;
  Upsample upsample = Upsample::kNearest;
  OddLow odd_low = OddLow::kCeil;
  GroupRule group_rule = GroupRule::kAll;
  PaddingMode padding_mode = PaddingMode::kZeros;
  /// @}

  /// Spatial axes.
  [[nodiscard]] std::size_t rank() const noexcept { return kernel.rank(); }
  /// Whether the input or the output has low channels.
  [[nodiscard]] bool octave_valued() const noexcept { return in.octave() || out.octave(); }
  /// Whether a stride is not 1.
  [[nodiscard]] bool strided() const noexcept;
  /// One filter per channel: the frequencies exchange nothing.
  [[nodiscard]] bool depthwise() const noexcept;
};

/// One of the two grids of a value.
enum class Frequency {
  kHigh,  ///< the full grid
  kLow,   ///< the grid half as large
};

/// One pool of a path: window and stride are the same. Windows at the far edge take the real pixels
/// only.
struct PathPool {
  Shape window;          ///< extent and step along each axis
  bool maximum = false;  ///< of the window; otherwise its average
  friend bool operator==(const PathPool&, const PathPool&) = default;
};

/// One of the convolutions that an octave convolution is the sum of: pools, then the convolution
/// and the upsampling in the order that `upsample_first` says.
struct ConvPath {
  Frequency src = Frequency::kHigh;  ///< what it reads
  Frequency dst = Frequency::kHigh;  ///< what it adds to
  std::vector<PathPool> pools;       ///< of what it reads, in this order
  Shape stride;                      ///< of the convolution itself
  Shape
      upsample;  ///< factor per axis, cropped to the destination; all 1 where nothing is upsampled
  bool upsample_first = false;  ///< before the convolution instead of after it
  std::int64_t groups = 1;      ///< of this path's convolution
  // The block of the weight [out, columns, kernel...].
  std::int64_t row = 0;      ///< first output channel
  std::int64_t rows = 0;     ///< output channels
  std::int64_t column = 0;   ///< first input channel within each group
  std::int64_t columns = 0;  ///< input channels within each group

  /// "high_to_low".
  [[nodiscard]] OCTCONV_API std::string_view name() const noexcept;
  /// Whether a factor of `upsample` is not 1.
  [[nodiscard]] OCTCONV_API bool upsampled() const noexcept;
};

/// Why these options cannot be an octave convolution, or "" if they can: a sentence part for
/// messages.
///
/// The two grids keep corresponding only for stride 1 or 2 and symmetric padding of dilation *
/// (kernel - 1) in total; groups must divide every frequency's channels.
[[nodiscard]] OCTCONV_API std::string octave_obstacle(const ConvOptions& options);

/// @throws InvalidArgument if the options contradict each other; Unsupported if they are
/// octave-valued and
///         `octave_obstacle` names a reason
OCTCONV_API void check(const ConvOptions& options);

/// The first option with a value that the engine does not have, e.g. "upsample bilinear", or "": it
/// has every stride mode, exchange and order of low_to_high. Graphs and ONNX files hold the
/// downsampling beside these;
/// the LibTorch operator has all options.
[[nodiscard]] OCTCONV_API std::string rare_option(const ConvOptions& options);

/// Whether it makes a difference if low_to_high convolves or upsamples first: it does not for
/// kernels of one pixel without a stride. Requires checked options.
[[nodiscard]] OCTCONV_API bool order_matters(const ConvOptions& options);

/// The paths, sorted: high_to_high, low_to_high, low_to_low, high_to_low; those that exist.
/// Requires checked options.
[[nodiscard]] OCTCONV_API std::vector<ConvPath> conv_paths(const ConvOptions& options);

/// Output extent of a convolution along one axis: floor((in + padding - dilation (k - 1) - 1) /
/// stride) + 1.
/// @throws InvalidArgument if the padded input is smaller than the dilated kernel, or a size does
/// not fit in 63 bits
[[nodiscard]] OCTCONV_API std::int64_t conv_extent(std::int64_t in, std::int64_t kernel,
                                                   std::int64_t stride, std::int64_t dilation,
                                                   std::int64_t padding);

/// Extents of the low grid: ceil(extent / octave) along each axis, or the floor.
[[nodiscard]] OCTCONV_API Shape low_extents(const Shape& extents, const Shape& octave,
                                            OddLow odd_low = OddLow::kCeil);

/// High-grid extents of the output for high-grid extents of the input. In the pool modes a stride s
/// takes an extent to ceil(extent / s), like a strided convolution with the padding that octave
/// convolution needs.
[[nodiscard]] OCTCONV_API Shape output_extents(const ConvOptions& options, const Shape& extents);

/// Extents on which a path's convolution computes, for high-grid extents of the layer's input.
[[nodiscard]] OCTCONV_API Shape path_extents(const ConvOptions& options, const ConvPath& path,
                                             const Shape& extents);

/// Multiply-adds of one path for one image: output pixels * rows * columns * taps. Bias is not
/// counted. A convolution after nearest upsampling counts its summed taps
/// (octave/upsampled_taps.h).
/// @throws InvalidArgument if the count does not fit in 63 bits
[[nodiscard]] OCTCONV_API std::int64_t path_macs(const ConvOptions& options, const ConvPath& path,
                                                 const Shape& extents);

/// Second extent of the weight: in / groups where every path has all the groups. Under the other
/// group rules the rows of the two frequencies may need different numbers of columns: the larger
/// one; the paths say which columns are read.
[[nodiscard]] OCTCONV_API std::int64_t weight_columns(const ConvOptions& options);

/// Weight elements that some path reads: all of them unless `exchange` switches a path off.
[[nodiscard]] OCTCONV_API std::int64_t weight_elements(const ConvOptions& options);

}  // namespace octconv
