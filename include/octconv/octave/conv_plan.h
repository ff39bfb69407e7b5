// SPDX-License-Identifier: Apache-2.0
// Running an octave convolution: weights are packed once, a plan is made per input shape, and runs
// allocate nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "octconv/base/api.h"
#include "octconv/kernels/activation.h"
#include "octconv/octave/conv.h"
#include "octconv/octave/conv_method.h"
#include "octconv/tensor/shape.h"
#include "octconv/tensor/tensor.h"

namespace octconv {

/// The two grids of a value, channels last: [batch, extents..., channels]. A frequency without
/// channels is never touched and may be null.
template <class T>
struct OctaveView {
  T* high = nullptr;  ///< [batch, extents..., high channels]
  T* low = nullptr;   ///< [batch, ceil(extents / octave)..., low channels]
  /// [batch, ceil(extents / octave)..., high channels]: the average of each cell of the high grid,
  /// for what reads it at half resolution; of an adjoint's input, the sum. Touched only where a
  /// plan says so.
  T* averages = nullptr;
};

/// A second result of a plan: activation(scale * result + shift), channel by channel.
/// Pre-activation networks read a sum as it is and after its batch norm.
struct SecondResult {
  Tensor scale;                                  ///< [out], low channels first
  Tensor shift;                                  ///< [out]
  Activation activation{ActivationKind::kNone};  ///< comes last
};

/// What a plan does to its result before it stores it.
struct ConvEpilogue {
  bool residual = false;  ///< adds a value of the output's shape, before the activation
  Activation activation{ActivationKind::kNone};  ///< comes last; NaN stays NaN
  std::shared_ptr<const SecondResult> second;    ///< of what was stored, beside it; may be null
  bool averages = false;  ///< also averages the cells of the result, the second if there is one
};

/// Whether the second convolution may be planned with the first as its `DepthwiseFeed`: it reads
/// what a depthwise one makes pixel by pixel, with kernel 1, stride 1, no padding and one group.
/// Requires checked options.
[[nodiscard]] OCTCONV_API bool can_feed(const ConvOptions& depthwise, const ConvOptions& pointwise);

/// The weights of one convolution, packed for this processor. Immutable; a copy shares the memory.
class OCTCONV_API OctConvWeights {
 public:
  /// @param weight  [out, in / groups, kernel...]; rows and columns of low channels first
  /// @param bias    [out], or empty
  /// @param methods how the sums are computed
  /// @param pool    holds what is packed; null: memory of its own
  /// @throws InvalidArgument or Unsupported as `check(options)` does; InvalidArgument if a size
  /// does not fit; Unsupported if a method cannot compute its paths
  OctConvWeights(const ConvOptions& options, std::span<const float> weight,
                 std::span<const float> bias, const ConvMethods& methods = {},
                 TensorPool* pool = nullptr);

  /// Those of the adjoint: the octave convolution that takes the gradient of the output to that of
  /// the input.
  ///
  ///   dX_high = conv'(dY_high; W_hh) + upsample( conv'(dY_low; W_hl) / pixels of a cell )
  ///   dX_low  = conv'(dY_low;  W_ll) + conv'( sum of cells of dY_high; W_lh )
  ///
  /// conv' exchanges inputs and outputs and turns the taps around. A plan of these weights takes
  /// the output's extents; its own are the input's.
  ///
  /// @param options  of the convolution itself
  /// @throws as the constructor; Unsupported unless `has_planned_gradient(options)`
  [[nodiscard]] static OctConvWeights adjoint(const ConvOptions& options,
                                              std::span<const float> weight,
                                              const ConvMethods& methods = {},
                                              TensorPool* pool = nullptr);

  /// The options that the weights were packed for.
  [[nodiscard]] const ConvOptions& options() const noexcept;

  /// Whether a path begins with the averages of the high input's cells; an adjoint's, with their
  /// sums.
  [[nodiscard]] bool reads_averages() const noexcept;

  /// How its sums are computed, one for each: 1 to 3.
  [[nodiscard]] std::vector<ConvMethod> methods() const;
  /// Floats that the packed form holds.
  [[nodiscard]] std::int64_t elements() const noexcept;

  /// The packed form; private to the operator.
  struct Packed;
  /// For plans alone.
  [[nodiscard]] const Packed& packed() const noexcept { return *packed_; }

 private:
  explicit OctConvWeights(std::shared_ptr<const Packed> packed) noexcept;

  std::shared_ptr<const Packed> packed_;
};

/// A depthwise convolution whose result only the convolution after it reads: it is made some rows
/// at a time, which are used while they are near.
struct DepthwiseFeed {
  OctConvWeights weights;                        ///< of a depthwise convolution (`can_feed`)
  Activation activation{ActivationKind::kNone};  ///< comes last
};

/// An octave convolution (or an ordinary one: `low == 0`) for one input shape.
///
/// Every path is accumulated in registers: low_to_low and high_to_low in one pass over both inputs;
/// the half-size low_to_high result is added while the high output is stored, so that no upsampled
/// map exists.
class OCTCONV_API OctConvPlan {
 public:
  /// @param batch    images, >= 0
  /// @param extents  high-grid extents of the input, >= 1
  /// @param src_averages  whether the input comes with the averages of its cells; otherwise a run
  ///                      makes those that it reads
  /// @param feed     a convolution before it, whose input is then the plan's: extents and averages
  ///                 are those of the feed's input
  /// @throws InvalidArgument if the extents do not fit the kernel, the second result's channels
  /// are not those of the output, averages are given that the weights do not read, or the feed
  /// cannot feed it
  OctConvPlan(OctConvWeights weights, std::int64_t batch, const Shape& extents,
              ConvEpilogue epilogue = {}, bool src_averages = false,
              const std::optional<DepthwiseFeed>& feed = std::nullopt);
  ~OctConvPlan();
  /// What was moved from may only be assigned to or destroyed.
  /// @{
  OctConvPlan(OctConvPlan&&) noexcept;
  OctConvPlan& operator=(OctConvPlan&&) noexcept;
  /// @}

  /// Those of the weights.
  [[nodiscard]] const ConvOptions& options() const noexcept;
  /// High-grid extents of the output; the low grid is `low_extents` of them.
  [[nodiscard]] const Shape& extents() const noexcept;
  /// Floats of working memory that a run needs.
  [[nodiscard]] std::int64_t scratch_elements() const noexcept;

  /// Says whose weights are wanted after a run, so that their first are near by then. They must
  /// live as long as the plan.
  void set_next(const OctConvWeights& weights) noexcept;

  /// Convolves. Allocates nothing; runs of one plan may overlap in time if their memory does not.
  /// The result has the same bits for any number of threads.
  ///
  /// @param residual  read if the epilogue says so; may be `dst` itself
  /// @param dst       must not overlap `src` or `scratch`
  /// @param scratch   `scratch_elements()` floats, for this run alone
  /// @param second    written if the epilogue says so; must not overlap anything else
  void run(OctaveView<const float> src, OctaveView<const float> residual, OctaveView<float> dst,
           float* scratch, OctaveView<float> second = {}) const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace octconv
