// SPDX-License-Identifier: Apache-2.0
// Octave layers as LibTorch modules: what torch::nn::Conv2d and its kin are for ordinary values.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <ostream>

#include <torch/arg.h>
#include <torch/expanding_array.h>
#include <torch/nn/cloneable.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/options/conv.h>
#include <torch/nn/pimpl.h>

#include "octconv/base/api.h"
#include "octconv/nn/functional.h"
#include "octconv/octave/channel_split.h"

namespace octconv::nn {

/// Options of `OctConv1d/2d/3d`: those of torch::nn::Conv2d, and which channels are low.
template <std::size_t D>
struct OctConvOptions {
  /// Numbers, torch::kSame or torch::kValid.
  using padding_t = torch::nn::detail::conv_padding_t<D>;

  /// What has no default; channels are those of both frequencies together.
  OctConvOptions(std::int64_t in_channels, std::int64_t out_channels,
                 torch::ExpandingArray<D> kernel_size)
      : in_channels_(in_channels), out_channels_(out_channels), kernel_size_(kernel_size) {}

  /// Both alphas at once.
  OctConvOptions& alpha(double value) { return alpha_in(value).alpha_out(value); }
  /// `low` channels of the input and of the output at once, instead of alphas.
  OctConvOptions& low(std::int64_t in, std::int64_t out) { return low_in(in).low_out(out); }

  /// As in torch's convolutions.
  /// @{
  TORCH_ARG(std::int64_t, in_channels);
  TORCH_ARG(std::int64_t, out_channels);
  TORCH_ARG(torch::ExpandingArray<D>, kernel_size);
  /// @}
  /// Fraction of the input's and the output's channels at half resolution, in [0, 1].
  /// @{
  TORCH_ARG(double, alpha_in) = 0.5;
  TORCH_ARG(double, alpha_out) = 0.5;
  /// @}
  /// The number of low channels itself; then alpha is not read.
  /// @{
  TORCH_ARG(c10::optional<std::int64_t>, low_in) = c10::nullopt;
  TORCH_ARG(c10::optional<std::int64_t>, low_out) = c10::nullopt;
  /// @}
  /// As in torch's convolutions.
  TORCH_ARG(torch::ExpandingArray<D>, stride) = 1;
  /// Numbers, torch::kSame or torch::kValid.
  TORCH_ARG(padding_t, padding) = 0;

 public:
  /// Numbers, one per axis.
  OctConvOptions& padding(std::initializer_list<std::int64_t> numbers) {
    return padding(padding_t(torch::ExpandingArray<D>(numbers)));
  }
  /// As in torch's convolutions.
  /// @{
  TORCH_ARG(torch::ExpandingArray<D>, dilation) = 1;
  TORCH_ARG(std::int64_t, groups) = 1;
  TORCH_ARG(bool, bias) = true;
  /// @}
  /// How much coarser the low grid is along each axis: 2, or 1 where it is not halved.
  TORCH_ARG(torch::ExpandingArray<D>, octave) = 2;
  /// The choices on which implementations differ (octconv/octave/options.h).
  /// @{
  TORCH_ARG(StrideMode, stride_mode) = StrideMode::kPool;
  TORCH_ARG(Exchange, exchange) = Exchange::kBoth;
  TORCH_ARG(LowToHigh, low_to_high) = LowToHigh::kConvThenUpsample;
  TORCH_ARG(Downsample, downsample) = Downsample::kAverage;
  TORCH_ARG(Upsample, upsample) = Upsample::kNearest;
  TORCH_ARG(Rounding, rounding) = Rounding::kFloorLow;
  TORCH_ARG(BiasRule, bias_rule) = BiasRule::kOnce;
  TORCH_ARG(OddLow, odd_low) = OddLow::kCeil;
  TORCH_ARG(GroupRule, group_rule) = GroupRule::kAll;
  TORCH_ARG(PaddingMode, padding_mode) = PaddingMode::kZeros;
  /// @}
};

/// Options of one rank.
/// @{
using OctConv1dOptions = OctConvOptions<1>;
using OctConv2dOptions = OctConvOptions<2>;
using OctConv3dOptions = OctConvOptions<3>;
/// @}

/// Octave convolution. Parameters `weight` [out, in / groups, kernel...] and `bias` [out], shaped
/// and initialised like torch's convolution; low channels first.
template <std::size_t D, class Derived>
class OCTCONV_API OctConvNdImpl : public torch::nn::Cloneable<Derived> {
 public:
  /// With the default options.
  OctConvNdImpl(std::int64_t in_channels, std::int64_t out_channels,
                torch::ExpandingArray<D> kernel_size)
      : OctConvNdImpl(OctConvOptions<D>(in_channels, out_channels, kernel_size)) {}
  /// @throws InvalidArgument or Unsupported as `check(ConvOptions)`; for alpha or low counts out of
  /// range
  explicit OctConvNdImpl(const OctConvOptions<D>& options_);

  /// Makes the parameters anew.
  void reset() override;
  /// Initialises them as torch's layer does.
  void reset_parameters();
  /// One line with the options.
  void pretty_print(std::ostream& stream) const override;

  /// @param input  a pair, or one tensor where alpha_in is 0 or 1
  [[nodiscard]] OctTensor forward(const OctTensor& input);

  OctConvOptions<D> options;  ///< fixed once the module is made
  at::Tensor weight;          ///< [out, in / groups, kernel...]
  at::Tensor bias;            ///< [out]; undefined without one

 private:
  octconv::ConvOptions layer_;
};

/// Options of `OctConvTranspose1d/2d/3d`: those of torch::nn::ConvTranspose2d, and which channels
/// are low.
template <std::size_t D>
struct OctConvTransposeOptions {
  /// What has no default; channels are those of both frequencies together.
  OctConvTransposeOptions(std::int64_t in_channels, std::int64_t out_channels,
                          torch::ExpandingArray<D> kernel_size)
      : in_channels_(in_channels), out_channels_(out_channels), kernel_size_(kernel_size) {}

  /// Both alphas at once.
  OctConvTransposeOptions& alpha(double value) { return alpha_in(value).alpha_out(value); }
  /// `low` channels of the input and of the output at once, instead of alphas.
  OctConvTransposeOptions& low(std::int64_t in, std::int64_t out) {
    return low_in(in).low_out(out);
  }

  /// As in torch's transposed convolutions.
  /// @{
  TORCH_ARG(std::int64_t, in_channels);
  TORCH_ARG(std::int64_t, out_channels);
  TORCH_ARG(torch::ExpandingArray<D>, kernel_size);
  /// @}
  /// Fraction of the input's and the output's channels at half resolution, in [0, 1].
  /// @{
  TORCH_ARG(double, alpha_in) = 0.5;
  TORCH_ARG(double, alpha_out) = 0.5;
  /// @}
  /// The number of low channels itself; then alpha is not read.
  /// @{
  TORCH_ARG(c10::optional<std::int64_t>, low_in) = c10::nullopt;
  TORCH_ARG(c10::optional<std::int64_t>, low_out) = c10::nullopt;
  /// @}
  /// As in torch's transposed convolutions.
  /// @{
  TORCH_ARG(torch::ExpandingArray<D>, stride) = 1;
  TORCH_ARG(torch::ExpandingArray<D>, padding) = 0;
  TORCH_ARG(torch::ExpandingArray<D>, output_padding) = 0;
  TORCH_ARG(torch::ExpandingArray<D>, dilation) = 1;
  TORCH_ARG(std::int64_t, groups) = 1;
  TORCH_ARG(bool, bias) = true;
  /// @}
  /// How much coarser the low grid is along each axis: 2, or 1 where it is not halved.
  TORCH_ARG(torch::ExpandingArray<D>, octave) = 2;
  /// The choices on which implementations differ (octconv/octave/options.h).
  /// @{
  TORCH_ARG(Exchange, exchange) = Exchange::kBoth;
  TORCH_ARG(LowToHigh, low_to_high) = LowToHigh::kConvThenUpsample;
  TORCH_ARG(Downsample, downsample) = Downsample::kAverage;
  TORCH_ARG(Upsample, upsample) = Upsample::kNearest;
  TORCH_ARG(Rounding, rounding) = Rounding::kFloorLow;
  TORCH_ARG(BiasRule, bias_rule) = BiasRule::kOnce;
  /// @}
};

/// Options of one rank.
/// @{
using OctConvTranspose1dOptions = OctConvTransposeOptions<1>;
using OctConvTranspose2dOptions = OctConvTransposeOptions<2>;
using OctConvTranspose3dOptions = OctConvTransposeOptions<3>;
/// @}

/// Transposed octave convolution. Parameters `weight` [in, out / groups, kernel...] and `bias`
/// [out].
template <std::size_t D, class Derived>
class OCTCONV_API OctConvTransposeNdImpl : public torch::nn::Cloneable<Derived> {
 public:
  /// With the default options.
  OctConvTransposeNdImpl(std::int64_t in_channels, std::int64_t out_channels,
                         torch::ExpandingArray<D> kernel_size)
      : OctConvTransposeNdImpl(OctConvTransposeOptions<D>(in_channels, out_channels, kernel_size)) {
  }
  /// @throws InvalidArgument or Unsupported as `check(ConvTransposeOptions)`
  explicit OctConvTransposeNdImpl(const OctConvTransposeOptions<D>& options_);

  /// Makes the parameters anew.
  void reset() override;
  /// Initialises them as torch's layer does.
  void reset_parameters();
  /// One line with the options.
  void pretty_print(std::ostream& stream) const override;

  /// @param input  a pair, or one tensor where alpha_in is 0 or 1
  [[nodiscard]] OctTensor forward(const OctTensor& input);

  OctConvTransposeOptions<D> options;  ///< fixed once the module is made
  at::Tensor weight;                   ///< [in, out / groups, kernel...]
  at::Tensor bias;                     ///< [out]; undefined without one

 private:
  ConvTransposeOptions layer_;
};

/// Options of `OctBatchNorm1d/2d/3d`: those of torch::nn::BatchNorm2d. Which channels are low, the
/// input tells.
struct OctBatchNormOptions {
  /// For values of so many channels, of both frequencies together.
  explicit OctBatchNormOptions(std::int64_t num_features) : num_features_(num_features) {}

  /// As in torch's batch norm.
  /// @{
  TORCH_ARG(std::int64_t, num_features);
  TORCH_ARG(double, eps) = 1e-5;
  /// @}
  /// Weight of the new batch in the running statistics; unset: their mean over all batches.
  TORCH_ARG(c10::optional<double>, momentum) = 0.1;
  /// As in torch's batch norm.
  /// @{
  TORCH_ARG(bool, affine) = true;
  TORCH_ARG(bool, track_running_stats) = true;
  /// @}
};

/// Batch normalisation of each channel, low ones first: `weight`, `bias`, `running_mean`,
/// `running_var` are [num_features], as in the ordinary network.
template <std::size_t D, class Derived>
class OCTCONV_API OctBatchNormNdImpl : public torch::nn::Cloneable<Derived> {
 public:
  /// With the default options.
  explicit OctBatchNormNdImpl(std::int64_t num_features)
      : OctBatchNormNdImpl(OctBatchNormOptions(num_features)) {}
  /// @throws InvalidArgument for fewer than one feature, eps <= 0 or a momentum outside [0, 1]
  explicit OctBatchNormNdImpl(const OctBatchNormOptions& options_);

  /// Makes the parameters anew.
  void reset() override;
  /// Initialises them as torch's layer does.
  void reset_parameters();
  /// One line with the options.
  void pretty_print(std::ostream& stream) const override;

  /// @throws InvalidArgument if the input does not have `num_features` channels and D extents
  [[nodiscard]] OctTensor forward(const OctTensor& input);

  OctBatchNormOptions options;  ///< fixed once the module is made
  /// [num_features], low channels first; undefined where the options leave them out.
  /// @{
  at::Tensor weight;
  at::Tensor bias;
  at::Tensor running_mean;
  at::Tensor running_var;
  /// @}
  at::Tensor num_batches_tracked;  ///< batches seen while training; undefined without statistics
};

#define OCTCONV_NN_MODULE(Name, Base, Rank)                      \
  class OCTCONV_API Name##Impl : public Base<Rank, Name##Impl> { \
   public:                                                       \
    using Base<Rank, Name##Impl>::Base;                          \
  };                                                             \
  TORCH_MODULE(Name)

/// Modules of each rank, held as torch's are: a copy shares the parameters.
/// @{
OCTCONV_NN_MODULE(OctConv1d, OctConvNdImpl, 1);
OCTCONV_NN_MODULE(OctConv2d, OctConvNdImpl, 2);
OCTCONV_NN_MODULE(OctConv3d, OctConvNdImpl, 3);
OCTCONV_NN_MODULE(OctConvTranspose1d, OctConvTransposeNdImpl, 1);
OCTCONV_NN_MODULE(OctConvTranspose2d, OctConvTransposeNdImpl, 2);
OCTCONV_NN_MODULE(OctConvTranspose3d, OctConvTransposeNdImpl, 3);
OCTCONV_NN_MODULE(OctBatchNorm1d, OctBatchNormNdImpl, 1);
OCTCONV_NN_MODULE(OctBatchNorm2d, OctBatchNormNdImpl, 2);
OCTCONV_NN_MODULE(OctBatchNorm3d, OctBatchNormNdImpl, 3);
/// @}

#undef OCTCONV_NN_MODULE

/// Options of `OctSqueezeExcite`.
struct OctSqueezeExciteOptions {
  /// Channels of the value, and of the layer between.
  OctSqueezeExciteOptions(std::int64_t channels, std::int64_t squeezed)
      : channels_(channels), squeezed_(squeezed) {}

  /// >= 1.
  /// @{
  TORCH_ARG(std::int64_t, channels);
  TORCH_ARG(std::int64_t, squeezed);
  /// @}
};

/// Squeeze and excite over both frequencies: one gate per channel from the means of all of them.
///
/// gate = sigmoid(W2 relu(W1 mean + b1) + b2); parameters `fc1.weight` [squeezed, channels] and so
/// on, as in the ordinary network. Source: facebookresearch/OctConv, utils/gluon/utils/resnetv1.py.
class OCTCONV_API OctSqueezeExciteImpl : public torch::nn::Cloneable<OctSqueezeExciteImpl> {
 public:
  /// For values of so many channels, with so many between the two linear layers.
  OctSqueezeExciteImpl(std::int64_t channels, std::int64_t squeezed)
      : OctSqueezeExciteImpl(OctSqueezeExciteOptions(channels, squeezed)) {}
  /// The same from options.
  explicit OctSqueezeExciteImpl(const OctSqueezeExciteOptions& options_);

  /// Makes the parameters anew.
  void reset() override;
  /// One line with the options.
  void pretty_print(std::ostream& stream) const override;
  /// The value, each channel times its gate.
  /// @throws c10::Error if the input has another number of channels
  [[nodiscard]] OctTensor forward(const OctTensor& input);

  OctSqueezeExciteOptions options;  ///< fixed once the module is made
  torch::nn::Linear fc1 = nullptr;  ///< weight [squeezed, channels]
  torch::nn::Linear fc2 = nullptr;  ///< weight [channels, squeezed]
};
/// The module, held as torch's are.
TORCH_MODULE(OctSqueezeExcite);

}  // namespace octconv::nn
