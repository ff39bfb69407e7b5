// SPDX-License-Identifier: Apache-2.0
// The modules check their options once, when they are made, and hold their parameters; the work is
// done by the functions of oct_conv.h and functional.h.
#include "octconv/nn/modules.h"

#include <cmath>
#include <string>

#include <torch/nn/init.h>

#include "nn/compose.h"
#include "octconv/base/error.h"

namespace octconv::nn {
namespace {

template <std::size_t D>
Shape to_shape(const torch::ExpandingArray<D>& array) {
  return Shape(std::span<const std::int64_t>(array->data(), D));
}

ChannelSplit split_of(const char* what, std::int64_t channels, double alpha,
                      const c10::optional<std::int64_t>& low, Rounding rounding) {
  if (!low) return split_channels(channels, alpha, rounding);
  if (*low < 0 || *low > channels) {
    throw InvalidArgument(std::string(what) + ": " + std::to_string(*low) + " low channels of " +
                          std::to_string(channels) + " are not possible");
  }
  return {.high = channels - *low, .low = *low};
}

// Numbers, or as many as keep (kSame) or shrink (kValid) the extents.
template <std::size_t D>
void set_padding(const OctConvOptions<D>& options, octconv::ConvOptions& layer) {
  const std::size_t rank = D;
  if (const auto* numbers = c10::get_if<torch::ExpandingArray<D>>(&options.padding())) {
    layer.padding_begin = layer.padding_end = to_shape(*numbers);
    return;
  }
  layer.padding_begin = layer.padding_end = Shape::filled(rank, 0);
  if (c10::holds_alternative<torch::enumtype::kValid>(options.padding())) return;
  for (std::size_t axis = 0; axis < rank; ++axis) {
    if (layer.stride[axis] != 1) {
      throw InvalidArgument("octave convolution: padding 'same' needs stride 1, got " +
                            layer.stride.to_string());
    }
    const std::int64_t total = layer.dilation[axis] * (layer.kernel[axis] - 1);
    layer.padding_begin[axis] = total / 2;
    layer.padding_end[axis] = total - total / 2;
  }
}

template <std::size_t D>
octconv::ConvOptions layer_of(const OctConvOptions<D>& options) {
  octconv::ConvOptions layer;
  layer.in = split_of("in_channels", options.in_channels(), options.alpha_in(), options.low_in(),
                      options.rounding());
  layer.out = split_of("out_channels", options.out_channels(), options.alpha_out(),
                       options.low_out(), options.rounding());
  layer.kernel = to_shape(options.kernel_size());
  layer.stride = to_shape(options.stride());
  layer.dilation = to_shape(options.dilation());
  layer.groups = options.groups();
  layer.octave = to_shape(options.octave());
  layer.stride_mode = options.stride_mode();
  layer.exchange = options.exchange();
  layer.low_to_high = options.low_to_high();
  layer.downsample = options.downsample();
  layer.upsample = options.upsample();
  layer.odd_low = options.odd_low();
  layer.group_rule = options.group_rule();
  layer.padding_mode = options.padding_mode();
  set_padding(options, layer);
  check(layer);
  return layer;
}

template <std::size_t D>
ConvTransposeOptions layer_of(const OctConvTransposeOptions<D>& options) {
  ConvTransposeOptions layer{.kernel = to_shape(options.kernel_size()),
                             .stride = to_shape(options.stride()),
                             .dilation = to_shape(options.dilation()),
                             .padding = to_shape(options.padding()),
                             .output_padding = to_shape(options.output_padding()),
                             .groups = options.groups(),
                             .octave = to_shape(options.octave()),
                             .exchange = options.exchange(),
                             .low_to_high = options.low_to_high(),
                             .downsample = options.downsample(),
                             .upsample = options.upsample()};
  layer.in = split_of("in_channels", options.in_channels(), options.alpha_in(), options.low_in(),
                      options.rounding());
  layer.out = split_of("out_channels", options.out_channels(), options.alpha_out(),
                       options.low_out(), options.rounding());
  check(layer);
  return layer;
}

// What torch's convolutions do: uniform in +-1 / sqrt(fan_in), as kaiming_uniform with a = sqrt(5)
// gives.
void initialise(at::Tensor& weight, at::Tensor& bias) {
  torch::nn::init::kaiming_uniform_(weight, std::sqrt(5.0));
  if (!bias.defined()) return;
  const double fan_in = static_cast<double>(weight.numel()) / static_cast<double>(weight.size(0));
  const double bound = 1.0 / std::sqrt(fan_in);
  torch::nn::init::uniform_(bias, -bound, bound);
}

// A layer whose input is all low takes a plain tensor for its low frequency.
OctTensor as_input(const OctTensor& input, const ChannelSplit& in) {
  if (in.high == 0 && input.high.defined() && !input.low.defined())
    return {at::Tensor(), input.high, input.extents};
  return input;
}

template <class Layer>
void print_common(std::ostream& stream, const Layer& layer) {
  stream << layer.in.total() << ", " << layer.out.total() << ", low_in=" << layer.in.low
         << ", low_out=" << layer.out.low << ", kernel_size=" << layer.kernel.to_string()
         << ", stride=" << layer.stride.to_string();
  if (layer.dilation != Shape::filled(layer.rank(), 1))
    stream << ", dilation=" << layer.dilation.to_string();
  if (layer.groups != 1) stream << ", groups=" << layer.groups;
  if (layer.octave != Shape::filled(layer.rank(), 2))
    stream << ", octave=" << layer.octave.to_string();
  if (layer.exchange != Exchange::kBoth) stream << ", exchange=" << to_string(layer.exchange);
  if (layer.low_to_high != LowToHigh::kConvThenUpsample)
    stream << ", low_to_high=" << to_string(layer.low_to_high);
  if (layer.downsample != Downsample::kAverage)
    stream << ", downsample=" << to_string(layer.downsample);
  if (layer.upsample != Upsample::kNearest) stream << ", upsample=" << to_string(layer.upsample);
}

}  // namespace

// --- OctConv -----------------------------------------------------------------

template <std::size_t D, class Derived>
OctConvNdImpl<D, Derived>::OctConvNdImpl(const OctConvOptions<D>& options_)
    : options(options_), layer_(layer_of(options_)) {
  reset();
}

template <std::size_t D, class Derived>
void OctConvNdImpl<D, Derived>::reset() {
  std::vector<std::int64_t> shape{layer_.out.total(), weight_columns(layer_)};
  shape.insert(shape.end(), layer_.kernel.begin(), layer_.kernel.end());
  weight = this->register_parameter("weight", at::empty(shape));
  bias = this->register_parameter(
      "bias", options.bias() ? at::empty({layer_.out.total()}) : at::Tensor(), options.bias());
  reset_parameters();
}

template <std::size_t D, class Derived>
void OctConvNdImpl<D, Derived>::reset_parameters() {
  initialise(weight, bias);
}

template <std::size_t D, class Derived>
void OctConvNdImpl<D, Derived>::pretty_print(std::ostream& stream) const {
  stream << "octconv::nn::OctConv" << D << "d(";
  print_common(stream, layer_);
  stream << ", padding=" << layer_.padding_begin.to_string();
  if (layer_.strided()) stream << ", stride_mode=" << to_string(layer_.stride_mode);
  if (layer_.odd_low != OddLow::kCeil) stream << ", odd_low=" << to_string(layer_.odd_low);
  if (layer_.group_rule != GroupRule::kAll)
    stream << ", group_rule=" << to_string(layer_.group_rule);
  if (layer_.padding_mode != PaddingMode::kZeros)
    stream << ", padding_mode=" << to_string(layer_.padding_mode);
  if (options.bias_rule() != BiasRule::kOnce)
    stream << ", bias_rule=" << to_string(options.bias_rule());
  stream << ", bias=" << std::boolalpha << options.bias() << ")";
}

template <std::size_t D, class Derived>
OctTensor OctConvNdImpl<D, Derived>::forward(const OctTensor& input) {
  return oct_conv(as_input(input, layer_.in), weight, bias, layer_, options.bias_rule());
}

// --- OctConvTranspose --------------------------------------------------------

template <std::size_t D, class Derived>
OctConvTransposeNdImpl<D, Derived>::OctConvTransposeNdImpl(
    const OctConvTransposeOptions<D>& options_)
    : options(options_), layer_(layer_of(options_)) {
  reset();
}

template <std::size_t D, class Derived>
void OctConvTransposeNdImpl<D, Derived>::reset() {
  std::vector<std::int64_t> shape{layer_.in.total(), layer_.out.total() / layer_.groups};
  shape.insert(shape.end(), layer_.kernel.begin(), layer_.kernel.end());
  weight = this->register_parameter("weight", at::empty(shape));
  bias = this->register_parameter(
      "bias", options.bias() ? at::empty({layer_.out.total()}) : at::Tensor(), options.bias());
  reset_parameters();
}

template <std::size_t D, class Derived>
void OctConvTransposeNdImpl<D, Derived>::reset_parameters() {
  initialise(weight, bias);
}

template <std::size_t D, class Derived>
void OctConvTransposeNdImpl<D, Derived>::pretty_print(std::ostream& stream) const {
  stream << "octconv::nn::OctConvTranspose" << D << "d(";
  print_common(stream, layer_);
  stream << ", padding=" << layer_.padding.to_string()
         << ", output_padding=" << layer_.output_padding.to_string();
  if (options.bias_rule() != BiasRule::kOnce)
    stream << ", bias_rule=" << to_string(options.bias_rule());
  stream << ", bias=" << std::boolalpha << options.bias() << ")";
}

template <std::size_t D, class Derived>
OctTensor OctConvTransposeNdImpl<D, Derived>::forward(const OctTensor& input) {
  return oct_conv_transpose(as_input(input, layer_.in), weight, bias, layer_, options.bias_rule());
}

// --- OctBatchNorm ------------------------------------------------------------

template <std::size_t D, class Derived>
OctBatchNormNdImpl<D, Derived>::OctBatchNormNdImpl(const OctBatchNormOptions& options_)
    : options(options_) {
  if (options.num_features() < 1) {
    throw InvalidArgument("octave batch norm: num_features must be at least 1, got " +
                          std::to_string(options.num_features()));
  }
  if (!(options.eps() > 0)) {
    throw InvalidArgument("octave batch norm: eps must be positive, got " +
                          std::to_string(options.eps()));
  }
  if (options.momentum() && !(*options.momentum() >= 0 && *options.momentum() <= 1)) {
    throw InvalidArgument("octave batch norm: momentum must be in [0, 1], got " +
                          std::to_string(*options.momentum()));
  }
  reset();
}

template <std::size_t D, class Derived>
void OctBatchNormNdImpl<D, Derived>::reset() {
  const std::int64_t features = options.num_features();
  const bool affine = options.affine();
  const bool tracked = options.track_running_stats();
  weight = this->register_parameter("weight", affine ? at::ones({features}) : at::Tensor(), affine);
  bias = this->register_parameter("bias", affine ? at::zeros({features}) : at::Tensor(), affine);
  running_mean =
      this->register_buffer("running_mean", tracked ? at::zeros({features}) : at::Tensor());
  running_var = this->register_buffer("running_var", tracked ? at::ones({features}) : at::Tensor());
  num_batches_tracked = this->register_buffer("num_batches_tracked",
                                              tracked ? at::zeros({}, at::kLong) : at::Tensor());
}

template <std::size_t D, class Derived>
void OctBatchNormNdImpl<D, Derived>::reset_parameters() {
  const at::NoGradGuard guard;
  if (options.affine()) {
    weight.fill_(1);
    bias.zero_();
  }
  if (options.track_running_stats()) {
    running_mean.zero_();
    running_var.fill_(1);
    num_batches_tracked.zero_();
  }
}

template <std::size_t D, class Derived>
void OctBatchNormNdImpl<D, Derived>::pretty_print(std::ostream& stream) const {
  stream << "octconv::nn::OctBatchNorm" << D << "d(" << options.num_features()
         << ", eps=" << options.eps() << ", momentum=";
  if (options.momentum()) {
    stream << *options.momentum();
  } else {
    stream << "None";
  }
  stream << ", affine=" << std::boolalpha << options.affine()
         << ", track_running_stats=" << options.track_running_stats() << ")";
}

template <std::size_t D, class Derived>
OctTensor OctBatchNormNdImpl<D, Derived>::forward(const OctTensor& input) {
  std::int64_t channels = 0;
  for (const at::Tensor& x : {input.high, input.low}) {
    if (!x.defined()) continue;
    if (x.dim() != static_cast<std::int64_t>(D) + 2) {
      throw InvalidArgument("octave batch norm: an input of shape " + shape_of(x).to_string() +
                            " does not have " + std::to_string(D) + " extents");
    }
    channels += x.size(1);
  }
  if (channels != options.num_features()) {
    throw InvalidArgument("octave batch norm: an input of " + std::to_string(channels) +
                          " channels meets " + std::to_string(options.num_features()) +
                          " features");
  }
  const bool tracked = options.track_running_stats();
  double momentum = options.momentum().value_or(0.0);
  if (this->is_training() && tracked) {
    num_batches_tracked += 1;
    if (!options.momentum()) momentum = 1.0 / num_batches_tracked.template item<double>();
  }
  return batch_norm(input, weight, bias, running_mean, running_var,
                    BatchNorm{.epsilon = options.eps(), .momentum = momentum},
                    this->is_training() || !tracked);
}

// --- OctSqueezeExcite --------------------------------------------------------

OctSqueezeExciteImpl::OctSqueezeExciteImpl(const OctSqueezeExciteOptions& options_)
    : options(options_) {
  if (options.channels() < 1 || options.squeezed() < 1) {
    throw InvalidArgument("octave squeeze-excite: channels and squeezed must be at least 1, got " +
                          std::to_string(options.channels()) + " and " +
                          std::to_string(options.squeezed()));
  }
  reset();
}

void OctSqueezeExciteImpl::reset() {
  fc1 = register_module("fc1", torch::nn::Linear(options.channels(), options.squeezed()));
  fc2 = register_module("fc2", torch::nn::Linear(options.squeezed(), options.channels()));
}

void OctSqueezeExciteImpl::pretty_print(std::ostream& stream) const {
  stream << "octconv::nn::OctSqueezeExcite(" << options.channels()
         << ", squeezed=" << options.squeezed() << ")";
}

OctTensor OctSqueezeExciteImpl::forward(const OctTensor& input) {
  return scale(input, at::sigmoid(fc2->forward(at::relu(fc1->forward(global_average(input))))));
}

template class OctConvNdImpl<1, OctConv1dImpl>;
template class OctConvNdImpl<2, OctConv2dImpl>;
template class OctConvNdImpl<3, OctConv3dImpl>;
template class OctConvTransposeNdImpl<1, OctConvTranspose1dImpl>;
template class OctConvTransposeNdImpl<2, OctConvTranspose2dImpl>;
template class OctConvTransposeNdImpl<3, OctConvTranspose3dImpl>;
template class OctBatchNormNdImpl<1, OctBatchNorm1dImpl>;
template class OctBatchNormNdImpl<2, OctBatchNorm2dImpl>;
template class OctBatchNormNdImpl<3, OctBatchNorm3dImpl>;

}  // namespace octconv::nn
