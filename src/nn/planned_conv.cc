// SPDX-License-Identifier: Apache-2.0
#include "nn/planned_conv.h"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "nn/other_gradient.h"
#include "nn/spatial.h"
#include "nn/work_timer.h"
#include "octconv/base/executor.h"
#include "octconv/octave/cell_rows.h"
#include "octconv/octave/conv_gradient.h"
#include "octconv/octave/conv_plan.h"

namespace octconv::nn {
namespace {

bool is_float(const at::Tensor& x) {
  return !x.defined() || (x.is_cpu() && x.scalar_type() == at::kFloat);
}

// The memory of a map, channels last. Of one axis LibTorch knows no such format: there it is a
// transposed tensor.
at::Tensor to_last(const at::Tensor& x) {
  if (!x.defined()) return x;
  return x.dim() == 3 ? x.transpose(1, 2).contiguous()
                      : x.contiguous(channels_last_format(x.dim()));
}

OctTensor to_last(const OctTensor& x) {
  return {to_last(x.high), to_last(x.low)};
}

// As a tensor of the usual axes, in the order of memory that the operand had.
at::Tensor from_last(const at::Tensor& x, const at::Tensor& like) {
  if (!x.defined()) return x;
  if (x.dim() == 3) return x.transpose(1, 2).contiguous();
  return like.suggest_memory_format() == channels_last_format(x.dim()) ? x : x.contiguous();
}

const float* data(const at::Tensor& x) {
  return x.defined() ? x.data_ptr<float>() : nullptr;
}

std::span<const float> values(const at::Tensor& x) {
  if (!x.defined()) return {};
  return {x.data_ptr<float>(), static_cast<std::size_t>(x.numel())};
}

// How many times as large weights become that a method transforms: its points over their taps.
double growth(ConvMethod method, std::size_t rank) {
  if (method == ConvMethod::kDirect) return 1;
  const double along = method == ConvMethod::kWinograd2 ? 4.0 / 3.0 : 6.0 / 3.0;
  return rank == 1 ? along : along * along;
}

// Memory for packed weights from LibTorch's allocator, which may keep it from step to step. A pool
// that is too small takes fresh pages for the rest.
TensorPool pool_for(const at::Tensor& weight, const ConvMethods& methods) {
  constexpr std::int64_t kPadding = 32 * 1024;
  constexpr double kWholeVectors = 1.25;
  const auto rank = static_cast<std::size_t>(weight.dim() - 2);
  const double times = std::max(
      {growth(methods.high, rank), growth(methods.low, rank), growth(methods.low_to_high, rank)});
  const auto floats =
      static_cast<std::int64_t>(kWholeVectors * times * static_cast<double>(weight.numel()));
  const at::Tensor piece = at::empty({floats + kPadding}, at::kFloat);
  return {std::shared_ptr<float[]>(piece.data_ptr<float>(), [piece](float*) {}),
          static_cast<std::size_t>(piece.numel())};
}

std::int64_t batch_of(const OctTensor& x) {
  return (x.high.defined() ? x.high : x.low).size(0);
}

// Winograd's, where there are enough pixels for the weights' transform to cost little.
ConvMethods methods_for(const ConvOptions& options, const Shape& extents, std::int64_t batch) {
  constexpr std::int64_t kPixels = 1024;
  if (batch * extents.elements() < kPixels) return {};
  return choose_methods(options, extents, batch);
}

OctaveView<const float> view(const OctTensor& x, const at::Tensor& averages) {
  return {data(x.high), data(x.low), data(averages)};
}

// Whether nobody else knows the tensor.
bool is_own(const at::Tensor& x) {
  return x.use_count() == 1 && x.storage().use_count() == 1;
}

// Of an input in channels-last order; the result is in the order of `like`.
// @param averages  of the input's cells, or undefined
// @param added     to the result, in channels-last order: of each of its frequencies, or of none
OctTensor run(const OctConvWeights& weights, const OctTensor& input, const at::Tensor& averages,
              const Shape& extents, const OctTensor& like, OctTensor added = {}) {
  const std::int64_t batch = batch_of(input);
  const bool given = averages.defined() && weights.reads_averages();
  const bool adds = added.high.defined() || added.low.defined();
  const OctConvPlan plan(weights, batch, extents, {.residual = adds}, given);
  const ConvOptions& options = plan.options();
  const OctaveView<const float> residual = view(added, {});
  const auto result = [&](at::Tensor& place, std::int64_t channels, const Shape& grid) {
    return place.defined() && is_own(place) ? std::move(place) : empty_last(batch, channels, grid);
  };
  const at::Tensor out_high = result(added.high, options.out.high, plan.extents());
  const at::Tensor out_low =
      result(added.low, options.out.low, low_extents(plan.extents(), options.octave));
  const at::Tensor scratch = at::empty({plan.scratch_elements()}, at::kFloat);
  plan.run(view(input, given ? averages : at::Tensor()), residual,
           {out_high.defined() ? out_high.data_ptr<float>() : nullptr,
            out_low.defined() ? out_low.data_ptr<float>() : nullptr},
           scratch.data_ptr<float>());
  const at::Tensor& order = like.high.defined() ? like.high : like.low;
  return {from_last(out_high, order), from_last(out_low, order)};
}

// The gradient in channels-last order, with zeros for a frequency that nothing depends on.
OctTensor whole_diff(const ConvOptions& options, const Shape& extents, const OctTensor& diff) {
  OctTensor whole = to_last(diff);
  const std::int64_t batch = batch_of(diff);
  const Shape out = output_extents(options, extents);
  const auto fill = [&](at::Tensor& x, std::int64_t channels, const Shape& grid) {
    if (channels > 0 && !x.defined()) x = empty_last(batch, channels, grid).zero_();
  };
  fill(whole.high, options.out.high, out);
  fill(whole.low, options.out.low, low_extents(out, options.octave));
  return whole;
}

// The sums of the cells of the output's gradient, where both other gradients read them.
at::Tensor sums_of(const ConvOptions& options, const Shape& extents, const OctTensor& diff) {
  if (!reads_diff_sums(options)) return {};
  const WorkTimer timer(Work::kConvInputGradient);
  const std::int64_t batch = batch_of(diff);
  const Shape out = output_extents(options, extents);
  const at::Tensor sums = empty_last(batch, options.out.high, low_extents(out, options.octave));
  CellRows(options.octave, batch, out, options.out.high, CellValue::kSum)
      .make_all(data(diff.high), sums.data_ptr<float>());
  return sums;
}

at::Tensor weight_gradient_of(const ConvOptions& options, const PlannedInput& input,
                              const OctTensor& diff, const at::Tensor& sums,
                              const at::Tensor& weight) {
  const WorkTimer timer(Work::kConvWeightGradient);
  const at::Tensor gradient = at::empty(weight.sizes(), at::kFloat);
  const std::int64_t batch = batch_of(input.source);
  const at::Tensor scratch =
      at::empty({weight_gradient_scratch(options, batch, input.extents)}, at::kFloat);
  const OctTensor source = to_last(input.source);
  weight_gradient(options, batch, input.extents, view(source, input.averages), view(diff, sums),
                  {gradient.data_ptr<float>(), static_cast<std::size_t>(gradient.numel())},
                  {scratch.data_ptr<float>(), static_cast<std::size_t>(scratch.numel())},
                  WeightGradientMethod::kFastest, input.prologue);
  return gradient.contiguous(weight.suggest_memory_format());
}

OctTensor input_gradient_of(const ConvOptions& options, const Shape& extents, const OctTensor& diff,
                            const at::Tensor& sums, OctTensor added, const at::Tensor& weight,
                            const OctTensor& like) {
  const WorkTimer timer(Work::kConvInputGradient);
  const at::Tensor dense = weight.contiguous();
  const Shape out = output_extents(options, extents);
  const ConvMethods methods = methods_for(adjoint_options(options), out, batch_of(diff));
  TensorPool pool = pool_for(dense, methods);
  return run(OctConvWeights::adjoint(options, values(dense), methods, &pool), diff, sums, out, like,
             std::move(added));
}

// Whether a convolution's epilogue can add this to the gradient of its input: it is float, in
// channels-last order, and there for each frequency.
bool can_be_added(const ConvOptions& options, const OctTensor& added) {
  const auto suits = [](const at::Tensor& x, std::int64_t channels) {
    return channels == 0 ? !x.defined() : x.defined() && is_float(x) && to_last(x).is_same(x);
  };
  return suits(added.high, options.in.high) && suits(added.low, options.in.low);
}

}  // namespace

bool reads_averages(const ConvOptions& options) {
  if (!rare_option(options).empty()) return false;
  const std::vector<ConvPath> paths = conv_paths(options);
  return std::any_of(paths.begin(), paths.end(), [&](const ConvPath& path) {
    return path.src == Frequency::kHigh && !path.pools.empty() &&
           path.pools[0].window == options.octave;
  });
}

bool reads_diff_sums(const ConvOptions& options) {
  if (!rare_option(options).empty()) return false;
  const std::vector<ConvPath> paths = conv_paths(options);
  return std::any_of(paths.begin(), paths.end(), [&](const ConvPath& path) {
    return path.upsampled() && path.upsample == options.octave;
  });
}

bool has_planned_conv(const ConvOptions& options, const OctTensor& input,
                      const at::Tensor& weight) {
  return rare_option(options).empty() && is_float(input.high) && is_float(input.low) &&
         is_float(weight) && batch_of(input) > 0;
}

OctTensor planned_conv(const ConvOptions& options, const OctTensor& input,
                       const at::Tensor& averages, const at::Tensor& weight,
                       const at::Tensor& bias) {
  const ParallelScope threads(at::get_num_threads());
  const at::Tensor dense = weight.contiguous();
  const at::Tensor added = bias.defined() ? bias.contiguous() : bias;
  const Shape extents = full_extents(input, options.octave, options.odd_low);
  const ConvMethods methods = methods_for(options, extents, batch_of(input));
  TensorPool pool = pool_for(dense, methods);
  return run(OctConvWeights(options, values(dense), values(added), methods, &pool), to_last(input),
             averages, extents, input);
}

bool has_planned_weight_gradient(const ConvOptions& options, const OctTensor& input,
                                 const at::Tensor& weight) {
  return has_planned_conv(options, input, weight) && has_weight_gradient(options);
}

bool has_planned_conv_gradients(const ConvOptions& options, const OctTensor& input,
                                const at::Tensor& weight) {
  return has_planned_weight_gradient(options, input, weight) && has_planned_gradient(options);
}

std::pair<OctTensor, at::Tensor> planned_gradients(const ConvOptions& options,
                                                   const PlannedInput& input, PlannedDiff diff,
                                                   const at::Tensor& weight,
                                                   std::array<bool, 2> wanted) {
  if (!wanted[0] && !wanted[1]) return {};
  const ParallelScope threads(at::get_num_threads());
  const OctTensor whole = whole_diff(options, input.extents, diff.diff);
  at::Tensor sums = diff.sums;
  if (!sums.defined() && wanted[0] && wanted[1]) sums = sums_of(options, input.extents, whole);
  std::pair<OctTensor, at::Tensor> gradients;
  if (wanted[0]) {
    const bool together = can_be_added(options, diff.added);
    gradients.first = input_gradient_of(
        options, input.extents, whole, sums,
        together ? std::exchange(diff.added, OctTensor()) : OctTensor(), weight, diff.diff);
    add_to(gradients.first.high, diff.added.high);
    add_to(gradients.first.low, diff.added.low);
  }
  if (wanted[1]) gradients.second = weight_gradient_of(options, input, whole, sums, weight);
  return gradients;
}

std::pair<at::Tensor, at::Tensor> ordinary_gradients(
    const at::Tensor& diff, const at::Tensor& input, const at::Tensor& weight, const Shape& stride,
    const Shape& padding, const Shape& dilation, std::int64_t groups, std::array<bool, 2> wanted) {
  const ConvOptions options{.in = {.high = input.size(1)},
                            .out = {.high = weight.size(0)},
                            .kernel = spatial_extents(weight),
                            .stride = stride,
                            .dilation = dilation,
                            .padding_begin = padding,
                            .padding_end = padding,
                            .groups = groups,
                            .octave = Shape::filled(stride.rank(), 1)};
  std::pair<at::Tensor, at::Tensor> gradients;
  if (has_planned_conv(options, OctTensor(input), weight)) {
    const std::array<bool, 2> planned{wanted[0] && has_planned_gradient(options),
                                      wanted[1] && has_weight_gradient(options)};
    auto [dx, dw] = planned_gradients(options, {.extents = spatial_extents(input), .source = input},
                                      {.diff = diff}, weight, planned);
    gradients = {dx.high, dw};
    wanted = {wanted[0] && !planned[0], wanted[1] && !planned[1]};
  }
  if (!wanted[0] && !wanted[1]) return gradients;
  const Shape none = Shape::filled(stride.rank(), 0);
  auto [dx, dw, unused] = at::convolution_backward(
      diff, input, weight, c10::nullopt, as_ints(stride), as_ints(padding), as_ints(dilation),
      /*transposed=*/false, as_ints(none), groups, {wanted[0], wanted[1], false});
  if (wanted[0]) gradients.first = dx;
  if (wanted[1]) gradients.second = dw;
  return gradients;
}

}  // namespace octconv::nn
