// SPDX-License-Identifier: Apache-2.0
// The gradients of an octave convolution. That of its input is an octave convolution again
// (`OctConvWeights::adjoint`); that of its weight is a correlation for each path.
#pragma once

#include <cstdint>
#include <span>

#include "octconv/base/api.h"
#include "octconv/kernels/prologue.h"
#include "octconv/octave/conv.h"
#include "octconv/octave/conv_plan.h"
#include "octconv/tensor/shape.h"

namespace octconv {

/// Whether the gradient of the input of such a convolution has a plan: stride 1, no rare option,
/// padding of no more than the kernel reaches, `low` upsampled after its convolution.
[[nodiscard]] OCTCONV_API bool has_planned_gradient(const ConvOptions& options);

/// Options of the convolution that takes the gradient of the output to that of the input. Requires
/// such a plan.
[[nodiscard]] OCTCONV_API ConvOptions adjoint_options(const ConvOptions& options);

/// Whether that of its weight has one: no rare option, `low` upsampled after its convolution, not
/// depthwise.
[[nodiscard]] OCTCONV_API bool has_weight_gradient(const ConvOptions& options);

/// Ways to compute the gradient of a weight.
enum class WeightGradientMethod {
  kFastest,   ///< of each path the one that is likely the faster, by a model of the costs
  kDirect,    ///< tap by tap: any
  kWinograd,  ///< where a path has it (`has_winograd`): tiles of 4 outputs along an axis, which
              ///< need 4 times fewer multiplies in 2-D and round a little more
};

/// That of each frequency.
struct OctavePrologue {
  Prologue high;  ///< of the high channels
  Prologue low;   ///< of the low channels
};

/// Floats of scratch memory that `weight_gradient` needs with the threads that there are, whether
/// or not sums of cells are given.
[[nodiscard]] OCTCONV_API std::int64_t weight_gradient_scratch(
    const ConvOptions& options, std::int64_t batch, const Shape& extents,
    WeightGradientMethod method = WeightGradientMethod::kFastest);

/// The gradient of the weight: for each path the correlation of what it reads with the gradient of
/// what it makes, where that was upsampled with the sums of its cells.
///
/// The result has the same bits for any number of threads.
///
/// @param extents  high-grid extents of the input
/// @param src      the input; its averages, if there are any, are those of the cells of the high
///                 input (`CellRows`), and are made if not
/// @param diff     the gradient of the output; its averages, if there are any, are the sums of the
///                 cells of its high grid (a plan of `OctConvWeights::adjoint` may be given the
///                 same), and are made if not
/// @param weight   [out, in / groups, kernel...]: overwritten; 0 where no path reads
/// @param scratch  `weight_gradient_scratch(options, batch, extents, method)` floats or more,
///                 overwritten
/// @param prologue what the convolution's input is made of `src` by, if `src` is not itself the
///                 input: to the bit as if that had been given
/// @throws InvalidArgument if a size does not fit; Unsupported unless
/// `has_weight_gradient(options)`
OCTCONV_API void weight_gradient(const ConvOptions& options, std::int64_t batch,
                                 const Shape& extents, OctaveView<const float> src,
                                 OctaveView<const float> diff, std::span<float> weight,
                                 std::span<float> scratch,
                                 WeightGradientMethod method = WeightGradientMethod::kFastest,
                                 const OctavePrologue& prologue = {});

}  // namespace octconv
