// SPDX-License-Identifier: Apache-2.0
// An octave value as LibTorch tensors, and what acts on each frequency alone.
#pragma once

#include <utility>

#include <ATen/core/Tensor.h>

#include "octconv/base/api.h"
#include "octconv/graph/ops.h"
#include "octconv/octave/options.h"
#include "octconv/tensor/shape.h"

namespace octconv::nn {

/// A feature map in two frequencies: `high` [n, c_high, extents...] and `low` [n, c_low,
/// ceil(extents / octave)...].
///
/// An absent frequency is an undefined tensor (`tensor.defined()` is false), never one without
/// channels. An ordinary value has `high` only.
///
/// A tensor converts to an ordinary value; `tensor()` gives back a value's only one.
struct OctTensor {
  at::Tensor high;  ///< [n, c_high, extents...], or undefined
  at::Tensor low;   ///< [n, c_low, ceil(extents / octave)...], or undefined
  /// Extents of the full grid, read only where `high` is absent; empty there means twice those of
  /// `low` (along each halved axis). Results without high channels carry it, so that odd extents
  /// are not lost.
  Shape extents;

  /// Neither frequency.
  OctTensor() = default;
  /// An ordinary value.
  OctTensor(at::Tensor ordinary)
      : high(std::move(ordinary)) {}  // NOLINT(google-explicit-constructor)
  /// Both frequencies, or one if the other is undefined.
  OctTensor(at::Tensor high_part, at::Tensor low_part, Shape full_grid = {})
      : high(std::move(high_part)), low(std::move(low_part)), extents(full_grid) {}

  /// The one frequency that there is.
  /// @throws InvalidArgument if there are two, or none
  [[nodiscard]] OCTCONV_API const at::Tensor& tensor() const;
};

/// Extents of the value's full grid.
/// @throws InvalidArgument if neither frequency is there, or they do not belong together
[[nodiscard]] OCTCONV_API Shape full_extents(const OctTensor& value, const Shape& octave,
                                             OddLow odd_low = OddLow::kCeil);

/// The activation of each frequency.
[[nodiscard]] OCTCONV_API OctTensor activate(const OctTensor& value, const Activation& activation);

/// The element-wise sum of two values that have the same frequencies.
/// @throws InvalidArgument if one has a frequency that the other has not
[[nodiscard]] OCTCONV_API OctTensor add(const OctTensor& a, const OctTensor& b);

/// The element-wise product of two values that have the same frequencies.
/// @throws InvalidArgument if one has a frequency that the other has not
[[nodiscard]] OCTCONV_API OctTensor multiply(const OctTensor& a, const OctTensor& b);

/// Batch normalisation; the parameters hold the low channels first, then the high ones.
///
/// @param weight, bias, running_mean, running_var  [c_low + c_high]; the running ones are updated
/// if `training`; each may be undefined
OCTCONV_API OctTensor batch_norm(const OctTensor& value, const at::Tensor& weight,
                                 const at::Tensor& bias, const at::Tensor& running_mean,
                                 const at::Tensor& running_var, const BatchNorm& options,
                                 bool training);

/// Pools each frequency. The windows of the low grid are those of `options` too, as many as the
/// result's low grid has: ceil(result / octave). Pixels outside a grid count neither in a maximum
/// nor in an average.
[[nodiscard]] OCTCONV_API OctTensor pool(const OctTensor& value, const Pool& options,
                                         const Shape& octave);

}  // namespace octconv::nn
