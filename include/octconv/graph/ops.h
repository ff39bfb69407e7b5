// SPDX-License-Identifier: Apache-2.0
// The operations a network is made of: one closed variant. Whoever handles an Op visits it
// exhaustively, so that a new operation does not compile until every layer knows it.
#pragma once

#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include "octconv/base/api.h"
#include "octconv/kernels/activation.h"
#include "octconv/octave/options.h"
#include "octconv/tensor/shape.h"

namespace octconv {

/// A tensor from outside: [batch, channels, extents...].
struct Input {
  std::int64_t channels = 0;  ///< >= 1
  /// Its own, where it does not have the extents of the network's first input; else empty.
  Shape extents = {};
  friend bool operator==(const Input&, const Input&) = default;
};

/// Convolution; parameters `weight` [out, in / groups, kernel...] and, with `bias`, `bias` [out].
struct Conv {
  std::int64_t out_channels = 0;                  ///< of both frequencies together
  Shape kernel;                                   ///< one extent per spatial axis, >= 1
  Shape stride;                                   ///< >= 1
  Shape dilation;                                 ///< >= 1; 1 is dense
  Shape padding_begin;                            ///< zeros before the first pixel, >= 0
  Shape padding_end;                              ///< zeros after the last pixel, >= 0
  std::int64_t groups = 1;                        ///< divides the channels of every frequency
  bool bias = false;                              ///< one per output channel
  StrideMode stride_mode = StrideMode::kStrided;  ///< what the stride does to an octave value
  Exchange exchange = Exchange::kBoth;            ///< paths between the frequencies
  Downsample downsample = Downsample::kAverage;   ///< how high comes to the low grid
  LowToHigh low_to_high = LowToHigh::kConvThenUpsample;  ///< how low comes to the high grid
  friend bool operator==(const Conv&, const Conv&) = default;
};

/// Batch normalisation per channel; parameters `weight`, `bias` (both only if `affine`),
/// `running_mean`, `running_var`, all [channels]. An octave value has separate channels, so each
/// frequency has its own parameters and statistics.
struct BatchNorm {
  double epsilon = 1e-5;  ///< added to the variance, > 0
  double momentum =
      0.1;             ///< weight of the new batch in the running statistics (PyTorch's convention)
  bool affine = true;  ///< false: scale 1 and shift 0, not trained
  double initial_scale = 1;  ///< what `weight` is in a new network
  friend bool operator==(const BatchNorm&, const BatchNorm&) = default;
};

/// Element-wise sum of two values of the same channels and extents.
struct Add {
  friend bool operator==(const Add&, const Add&) = default;
};

/// Element-wise product of two values of the same channels and extents.
struct Multiply {
  friend bool operator==(const Multiply&, const Multiply&) = default;
};

/// Values of the same extents behind one another along channels, in the order of the inputs: of
/// octave values the low channels of all, then the high channels of all. Any number of inputs; an
/// ordinary one gives high channels only.
struct Concat {
  friend bool operator==(const Concat&, const Concat&) = default;
};

/// Channels of an ordinary value, in any order and as often as they are named: slices, splits and
/// shuffles.
struct Select {
  std::vector<std::int64_t> channels;  ///< of the input, one per output channel, at least one
  friend bool operator==(const Select&, const Select&) = default;
};

/// A gate: every channel of the first input, a value with extents, times its own number of the
/// second, [batch, channels]. The gate of an octave value is divided as the value is, low channels
/// first.
struct Scale {
  friend bool operator==(const Scale&, const Scale&) = default;
};

/// Attention between all positions, of three ordinary values: queries [c, extents...], keys [c,
/// others...], values [d, others...]. The result is [d, extents...]:
///
///   y[:, q] = sum over p: softmax over p (factor * dot(queries[:, q], keys[:, p])) * values[:, p]
///
/// Source: Wang et al., "Non-local Neural Networks", CVPR 2018, section 3.2 (embedded Gaussian).
struct Attention {
  double factor = 1;  ///< of the dot products
  friend bool operator==(const Attention&, const Attention&) = default;
};

/// How an enlarged map is filled.
enum class ResizeMode {
  kNearest,  ///< output pixel i is input pixel floor(i / factor)
  kLinear,   ///< between the two nearest pixel centres along each axis, edges repeated
};

/// Enlarges maps by whole factors. Output pixel i lies at (i + 1/2) / factor - 1/2 of the input's.
struct Resize {
  ResizeMode mode = ResizeMode::kNearest;  ///< how
  Shape factor;                            ///< one per spatial axis, >= 1
  Shape crop;  ///< pixels that are cut off at the far end, >= 0 and less than the factor
  friend bool operator==(const Resize&, const Resize&) = default;
};

/// Transposed convolution of an ordinary value: input pixel i adds weight[:, :, t] times its
/// channels to output pixel stride * i + dilation * t - padding_begin. Parameters `weight` [in, out
/// / groups, kernel...] and, with `bias`, `bias` [out]. PyTorch's `output_padding` is taken off
/// `padding_end`.
struct ConvTranspose {
  std::int64_t out_channels = 0;  ///< >= 1
  Shape kernel;                   ///< one extent per spatial axis, >= 1
  Shape stride;                   ///< >= 1
  Shape dilation;                 ///< >= 1
  Shape padding_begin;            ///< cut off before the first pixel, >= 0
  Shape padding_end;              ///< cut off after the last pixel; added if negative; > -stride
  std::int64_t groups = 1;        ///< divides both channels
  bool bias = false;              ///< one per output channel
  friend bool operator==(const ConvTranspose&, const ConvTranspose&) = default;
};

/// Softmax over the channels of each pixel of an ordinary value.
struct Softmax {
  friend bool operator==(const Softmax&, const Softmax&) = default;
};

/// What a pool makes of its window.
enum class PoolKind {
  kMax,      ///< the largest value
  kAverage,  ///< the mean of the real pixels
};

/// Pooling window. Padding counts neither in the maximum nor in the average.
struct Pool {
  PoolKind kind = PoolKind::kMax;  ///< what is taken of the window
  Shape kernel;                    ///< one extent per spatial axis, >= 1
  Shape stride;                    ///< >= 1
  Shape padding_begin;             ///< before the first pixel, >= 0
  Shape padding_end;               ///< after the last pixel, >= 0
  friend bool operator==(const Pool&, const Pool&) = default;
};

/// Mean over all pixels of each channel: [batch, channels], a value without extents or frequency.
/// That of an octave value has the means of its low channels first.
struct GlobalPool {
  friend bool operator==(const GlobalPool&, const GlobalPool&) = default;
};

/// Fully connected layer on [batch, channels]; parameters `weight` [out, in] and `bias` [out].
struct Linear {
  std::int64_t out_channels = 0;  ///< >= 1
  bool bias = true;               ///< one per output channel
  friend bool operator==(const Linear&, const Linear&) = default;
};

/// Any operation.
using Op = std::variant<Input, Conv, ConvTranspose, BatchNorm, Activation, Add, Multiply, Concat,
                        Select, Scale, Attention, Softmax, Pool, Resize, GlobalPool, Linear>;

/// "conv", "batch_norm", ...
[[nodiscard]] OCTCONV_API std::string_view op_name(const Op& op) noexcept;
/// "relu", "relu6", "sigmoid", ...; "none".
[[nodiscard]] OCTCONV_API std::string_view to_string(ActivationKind kind) noexcept;
/// "max", "average".
[[nodiscard]] OCTCONV_API std::string_view to_string(PoolKind kind) noexcept;
/// "nearest", "linear".
[[nodiscard]] OCTCONV_API std::string_view to_string(ResizeMode mode) noexcept;

/// Makes a visitor of lambdas: `std::visit(Overloaded{[](const Conv&) {...}, ...}, op)`.
template <class... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
/// Deduces the lambdas' types.
template <class... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

}  // namespace octconv
