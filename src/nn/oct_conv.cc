// SPDX-License-Identifier: Apache-2.0
// The octave convolution from LibTorch's operations, as few and as large ones as the paths allow:
// once composed of differentiable ones, for every option, and once as a single function that saves
// only its inputs.
#include "octconv/nn/oct_conv.h"

#include <algorithm>
#include <array>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <ATen/ATen.h>

#include "nn/cells.h"
#include "nn/compose.h"
#include "nn/memory.h"
#include "nn/oct_conv_of.h"
#include "nn/planned_conv.h"
#include "nn/spatial.h"
#include "nn/upsampled_conv.h"
#include "nn/work_timer.h"
#include "octconv/base/error.h"

namespace octconv::nn {
namespace {

// Paths that are one convolution: those of one destination that compute on its grid with the same
// stride.
using Group = std::vector<ConvPath>;

bool joins(const ConvPath& a, const ConvPath& b) {
  return a.dst == b.dst && a.stride == b.stride && !a.upsampled() && !b.upsampled() &&
         a.groups == 1 && b.groups == 1;
}

std::vector<Group> group_paths(const ConvOptions& options) {
  std::vector<Group> groups;
  for (ConvPath& path : conv_paths(options)) {
    const auto home = std::find_if(groups.begin(), groups.end(),
                                   [&](const Group& group) { return joins(group.front(), path); });
    if (home != groups.end()) {
      home->push_back(std::move(path));
    } else {
      groups.push_back({std::move(path)});
    }
  }
  for (Group& group : groups) {
    // The order of the weight's columns.
    std::sort(group.begin(), group.end(),
              [](const ConvPath& a, const ConvPath& b) { return a.column < b.column; });
  }
  return groups;
}

// A convolution for each path.
std::vector<Group> separate_paths(const ConvOptions& options) {
  std::vector<Group> groups;
  for (ConvPath& path : conv_paths(options)) groups.push_back({std::move(path)});
  return groups;
}

at::Tensor input_of(const Group& group, PathSources& sources) {
  if (group.size() == 1) return sources.get(group.front());
  std::vector<at::Tensor> inputs;
  for (const ConvPath& path : group) inputs.push_back(sources.get(path));
  return at::cat(inputs, 1);
}

// Of a group of the convolution, if it has some.
std::int64_t columns_of(const Group& group) {
  std::int64_t columns = 0;
  for (const ConvPath& path : group) columns += path.columns;
  return columns;
}

at::Tensor block_of(const Group& group, at::Tensor weight) {
  const ConvPath& first = group.front();
  const std::int64_t columns = columns_of(group);
  if (first.rows != weight.size(0)) weight = weight.narrow(0, first.row, first.rows);
  if (columns != weight.size(1)) weight = weight.narrow(1, first.column, columns);
  return weight;
}

// How many times a group adds the bias to its rows.
double bias_count(const Group& group, bool first_of_its_rows, BiasRule rule) {
  if (rule == BiasRule::kPerPath) return static_cast<double>(group.size());
  return first_of_its_rows ? 1 : 0;
}

at::Tensor bias_of(const Group& group, const at::Tensor& bias, double count) {
  if (!bias.defined() || count == 0) return {};
  const at::Tensor rows = bias.narrow(0, group.front().row, group.front().rows);
  return count == 1 ? rows : rows * count;
}

// What the layer does to one input, fixed before anything is computed.
struct Call {
  ConvOptions options;
  BiasRule rule = BiasRule::kOnce;
  Shape extents;  // of the input's high grid
  Shape out;      // of the output's
  std::vector<Group> groups;
};

// @throws InvalidArgument if the tensors do not fit the options
Call call_of(const OctTensor& input, const at::Tensor& weight, const at::Tensor& bias,
             const ConvOptions& options, BiasRule rule, std::vector<Group> groups) {
  Shape weight_shape{options.out.total(), weight_columns(options)};
  for (const std::int64_t extent : options.kernel) weight_shape.push_back(extent);
  check_operands("oct_conv", input, options.in, options.rank(), weight, weight_shape, bias,
                 options.out.total());
  const Shape extents = full_extents(input, options.octave, options.odd_low);
  return {options, rule, extents, output_extents(options, extents), std::move(groups)};
}

OctTensor compose(const Call& call, const OctTensor& input, const at::Tensor& weight,
                  const at::Tensor& bias) {
  const ConvOptions& o = call.options;
  PathSources sources(input, o.odd_low);
  OctTensor result;
  for (const Group& group : call.groups) {
    const ConvPath& path = group.front();
    at::Tensor& dst = path.dst == Frequency::kHigh ? result.high : result.low;
    const at::Tensor added = bias_of(group, bias, bias_count(group, !dst.defined(), call.rule));
    const at::Tensor x = input_of(group, sources);
    at::Tensor y;
    if (path.upsample_first) {
      const bool pooled = o.strided() && o.stride_mode != StrideMode::kStrided;
      const Shape grid = pooled ? low_extents(call.extents, o.stride, o.odd_low) : call.extents;
      y = conv_of_upsampled(x, block_of(group, weight), path, o, grid);
      if (added.defined()) y = y + added.view(as_ints(bias_shape(o.rank(), path.rows)));
    } else {
      y = padded_conv(x, block_of(group, weight), added, path, o);
      if (path.upsampled()) y = upsample(y, path.upsample, call.out, o.upsample);
    }
    if (dst.defined() && dst.sizes() != y.sizes()) {
      throw InvalidArgument("oct_conv: an input of " + call.extents.to_string() +
                            " gives paths of " + spatial_extents(dst).to_string() + " and " +
                            spatial_extents(y).to_string() + " pixels, which cannot be added");
    }
    dst = dst.defined() ? dst + y : y;
  }
  if (!result.high.defined()) result.extents = call.out;
  return result;
}

// Options for which the backward pass can make again all that it needs from the input and the
// weight.
bool is_common(const ConvOptions& o) {
  return o.padding_mode == PaddingMode::kZeros && o.padding_begin == o.padding_end &&
         o.downsample != Downsample::kMax && o.upsample == Upsample::kNearest &&
         o.low_to_high == LowToHigh::kConvThenUpsample && o.odd_low == OddLow::kCeil;
}

OctTensor run_common(const Call& call, const OctTensor& input, const at::Tensor& averages,
                     const at::Tensor& weight, const at::Tensor& bias) {
  if ((call.rule == BiasRule::kOnce || !bias.defined()) &&
      has_planned_conv(call.options, input, weight)) {
    return planned_conv(call.options, input, averages, weight, bias);
  }
  PathSources sources(input, OddLow::kCeil);
  OctTensor result;
  for (const Group& group : call.groups) {
    const ConvPath& path = group.front();
    at::Tensor& dst = path.dst == Frequency::kHigh ? result.high : result.low;
    const bool first = !dst.defined();
    const at::Tensor y =
        padded_conv(input_of(group, sources), block_of(group, weight),
                    bias_of(group, bias, bias_count(group, first, call.rule)), path, call.options);
    if (first) {
      dst = path.upsampled() ? upsample(y, path.upsample, call.out) : y;
    } else {
      add_to_cells(dst, y, path.upsample);
    }
  }
  return result;
}

// The grids of a path's source and of what each of its pools makes.
std::vector<Shape> pooled_grids(const ConvPath& path, const Shape& source) {
  std::vector<Shape> grids{source};
  for (const PathPool& pool : path.pools) grids.push_back(low_extents(grids.back(), pool.window));
  return grids;
}

// [batch, channels, grid...], its values yet unwritten.
at::Tensor unwritten(const at::Tensor& like, std::int64_t channels, const Shape& grid) {
  std::vector<std::int64_t> sizes{like.size(0), channels};
  sizes.insert(sizes.end(), grid.begin(), grid.end());
  return at::empty(sizes, like.options(), like.suggest_memory_format());
}

// The gradient of an average-pooled source, brought back through its pools and added to the
// source's.
void add_to_source(at::Tensor& sum, at::Tensor gradient, const ConvPath& path, const Shape& extents,
                   const at::Tensor& source) {
  const std::vector<Shape> grids = pooled_grids(path, extents);
  for (std::size_t i = path.pools.size(); i-- > 1;) {
    const at::Tensor finer = unwritten(gradient, gradient.size(1), grids[i]);
    spread_shares(finer, gradient, path.pools[i].window, /*adds=*/false);
    gradient = finer;
  }
  if (path.pools.empty()) {
    sum = sum.defined() ? sum.add_(gradient) : gradient;
    return;
  }
  const bool adds = sum.defined();
  if (!adds) sum = at::empty_like(source);
  spread_shares(sum, gradient, path.pools.front().window, adds);
}

// A map of a backward pass: what was kept of it, and what is done to that.
struct KeptMap {
  at::Tensor source;
  const Remade::Recipe* recipe = nullptr;  // null: the source is the map

  // Sums with residuals are made; what a batch norm alone makes, convolutions make as they read.
  static KeptMap of(const Remade::Recipe& recipe, std::span<const at::Tensor> saved) {
    if (!recipe.residual.empty()) return {recipe.make(saved), nullptr};
    return {saved[0], recipe.scale.empty() ? nullptr : &recipe};
  }

  // As a convolution reads it.
  [[nodiscard]] Prologue prologue() const {
    if (recipe == nullptr) return {};
    return {recipe->scale.data(), recipe->shift.data(), recipe->rectified};
  }

  // As a value.
  [[nodiscard]] at::Tensor make() const {
    return recipe == nullptr ? source : recipe->make(std::span(&source, 1));
  }
};

// Its input.
struct KeptInput {
  KeptMap high;
  KeptMap low;
  at::Tensor averages;  // of the high frequency's cells, where they were given
  Shape extents;

  [[nodiscard]] OctTensor source() const { return {high.source, low.source, extents}; }
  [[nodiscard]] PlannedInput planned() const {
    return {extents, source(), {high.prologue(), low.prologue()}, averages};
  }
  [[nodiscard]] OctTensor make() const { return {high.make(), low.make(), extents}; }
};

struct Gradients {
  OctTensor input;
  at::Tensor weight;
  at::Tensor bias;
};

// Of each channel, over images and pixels.
at::Tensor channel_sums(const at::Tensor& x) {
  std::vector<std::int64_t> others{0};
  for (std::int64_t axis = 2; axis < x.dim(); ++axis) others.push_back(axis);
  return x.sum(others);
}

at::Tensor bias_gradient(const OctTensor& diff, const ConvOptions& options,
                         const at::Tensor& weight) {
  const at::Tensor gradient = at::zeros({options.out.total()}, weight.options());
  std::int64_t row = 0;
  for (const auto& [dy, channels] :
       {std::pair{diff.low, options.out.low}, std::pair{diff.high, options.out.high}}) {
    if (dy.defined()) gradient.narrow(0, row, channels).copy_(channel_sums(dy));
    row += channels;
  }
  return gradient;
}

// `wanted`: gradients of the input, the weight, the bias.
Gradients run_planned_backward(const Call& call, const KeptInput& input, const at::Tensor& weight,
                               PlannedDiff diff, std::array<bool, 3> wanted) {
  Gradients gradients;
  if (wanted[2]) gradients.bias = bias_gradient(diff.diff, call.options, weight);
  std::tie(gradients.input, gradients.weight) = planned_gradients(
      call.options, input.planned(), std::move(diff), weight, {wanted[0], wanted[1]});
  return gradients;
}

// The same, path by path where the whole has no plan.
Gradients run_backward(const Call& call, const KeptInput& input, const at::Tensor& weight,
                       bool has_bias, PlannedDiff known, std::array<bool, 3> wanted) {
  const ConvOptions& o = call.options;
  const OctTensor diff = known.diff;
  wanted[2] = wanted[2] && has_bias;
  if ((call.rule == BiasRule::kOnce || !wanted[2]) && (diff.high.defined() || diff.low.defined()) &&
      has_planned_conv_gradients(o, input.source(), weight)) {
    return run_planned_backward(call, input, weight, std::move(known), wanted);
  }
  Gradients gradients;
  if (wanted[1] && (diff.high.defined() || diff.low.defined()) &&
      has_planned_weight_gradient(o, input.source(), weight)) {
    gradients.weight =
        planned_gradients(o, input.planned(), {diff, known.sums}, weight, {false, true}).second;
    wanted[1] = false;
  }
  const OctTensor made = wanted[1] ? input.make() : OctTensor();
  PathSources sources(made, OddLow::kCeil);
  const auto grid_of = [&](Frequency src) {
    return src == Frequency::kLow ? low_extents(call.extents, o.octave) : call.extents;
  };
  if (wanted[2]) gradients.bias = at::zeros({o.out.total()}, weight.options());

  // high_to_high comes first and makes the high gradient; the pooled paths add to it.
  bool high_seen = false;
  bool low_seen = false;
  at::Tensor high_sums;  // of the cells of diff.high, made once
  for (const Group& group : call.groups) {
    const ConvPath& path = group.front();
    const bool to_high = path.dst == Frequency::kHigh;
    const bool first = !std::exchange(to_high ? high_seen : low_seen, true);
    at::Tensor dy = to_high ? diff.high : diff.low;
    if (!dy.defined()) continue;
    if (path.upsampled()) {
      if (!high_sums.defined()) high_sums = sum_cells(dy, path.upsample);
      dy = high_sums;
    }
    // The gradient of the input alone depends on its shape only.
    const at::Tensor x = wanted[1] ? input_of(group, sources)
                                   : unwritten(dy, columns_of(group) * path.groups,
                                               pooled_grids(path, grid_of(path.src)).back());
    at::Tensor block = block_of(group, weight);
    if (x.numel() == 0) block = block.contiguous();  // as in `convolution`
    const bool picks = picks_pixels(o.kernel, path.stride, o.padding_begin);
    at::Tensor read = x;
    if (picks) {
      read = wanted[1] ? every(x, path.stride).contiguous(x.suggest_memory_format())
                       : unwritten(dy, x.size(1), spatial_extents(dy));
    }
    const Shape stride = picks ? Shape::filled(o.rank(), 1) : path.stride;
    auto [dx, dw] = ordinary_gradients(dy, read, block, stride, o.padding_begin, o.dilation,
                                       path.groups, {wanted[0], wanted[1]});
    if (picks && wanted[0]) {
      const at::Tensor picked = std::exchange(dx, at::zeros_like(x));
      every(dx, path.stride).copy_(picked);
    }
    std::int64_t channel = 0;
    for (const ConvPath& part : group) {
      const std::int64_t channels = part.columns * part.groups;
      if (wanted[0]) {
        const bool from_low = part.src == Frequency::kLow;
        const at::Tensor piece = group.size() == 1 ? dx : dx.narrow(1, channel, channels);
        at::Tensor& sum = from_low ? gradients.input.low : gradients.input.high;
        add_to_source(sum, piece, part, grid_of(part.src),
                      from_low ? input.low.source : input.high.source);
      }
      if (wanted[1] && dw.sizes() == weight.sizes()) {
        gradients.weight = dw;
      } else if (wanted[1]) {
        if (!gradients.weight.defined()) gradients.weight = at::zeros_like(weight);
        gradients.weight.narrow(0, part.row, part.rows)
            .narrow(1, part.column, part.columns)
            .copy_(dw.narrow(1, part.column - path.column, part.columns));
      }
      channel += channels;
    }
    const double count = bias_count(group, first, call.rule);
    if (gradients.bias.defined() && count > 0) {
      gradients.bias.narrow(0, path.row, path.rows).add_(channel_sums(dy), count);
    }
  }
  if (wanted[0]) {
    add_to(gradients.input.high, known.added.high);
    add_to(gradients.input.low, known.added.low);
  }
  return gradients;
}

// The common options as one differentiable function. Its backward pass, itself differentiated
// (create_graph), runs on the composed form.
class CommonOctConv : public torch::autograd::Function<CommonOctConv> {
 public:
  using Context = torch::autograd::AutogradContext;
  using Tensors = torch::autograd::variable_list;

  // LibTorch takes what may be absent as an optional.
  using MaybeTensor = c10::optional<at::Tensor>;

  static Tensors forward(Context* context, const MaybeTensor& high, const MaybeTensor& low,
                         const at::Tensor& weight, const MaybeTensor& bias, const Call& call,
                         const ConvAside& aside) {
    const OctTensor x{high.value_or(at::Tensor()), low.value_or(at::Tensor()), call.extents};
    const at::Tensor added = bias.value_or(at::Tensor());
    const OctTensor y = run_common(call, x, aside.averages, weight, added);
    auto kept = c10::make_intrusive<Kept>();
    kept->call = call;
    kept->diff_sums = aside.diff_sums;
    kept->other_gradient = aside.other_gradient;
    Tensors saved{weight, added, aside.averages};
    const auto save = [&](const Remade& how) {
      saved.insert(saved.end(), how.sources().begin(), how.sources().end());
      return how.recipe();
    };
    const OctRemade& remade = aside.remade;
    kept->high = save(remade.high.or_kept(x.high));
    kept->low_begin = saved.size();
    kept->low = save(remade.low.or_kept(x.low));
    context->save_for_backward(std::move(saved));
    kept->remade = remade.high.possible() || remade.low.possible();
    kept->input_wanted = wants_gradient(x.high) || wants_gradient(x.low);
    context->saved_data["kept"] = c10::IValue::make_capsule(std::move(kept));
    Tensors outputs;
    for (const at::Tensor& output : {y.high, y.low}) {
      if (output.defined()) outputs.push_back(output);
    }
    return outputs;
  }

  static Tensors backward(Context* context, const Tensors& diffs) {
    const WorkTimer timer(Work::kConvGradients);
    const Tensors saved = context->get_saved_variables();
    const auto capsule = context->saved_data["kept"].toCapsule();
    const auto& kept = static_cast<const Kept&>(*capsule);
    const Call& call = kept.call;
    const at::Tensor& weight = saved[0];
    const at::Tensor& bias = saved[1];
    const KeptInput input = kept.input(saved);
    const bool has_high = call.options.out.high > 0;
    const OctTensor diff{has_high ? diffs[0] : at::Tensor(),
                         call.options.out.low > 0 ? diffs.back() : at::Tensor()};
    if (at::GradMode::is_enabled()) {
      if (kept.remade)
        throw Unsupported("octave convolution: second derivatives need tensors of type double");
      return backward_of_composed(call, input.make(), weight, bias, diff);
    }
    PlannedDiff known{.diff = diff};
    if (kept.diff_sums && has_high) known.sums = kept.diff_sums->take(diff.high);
    if (kept.other_gradient) {
      known.added = {kept.other_gradient->high.take(), kept.other_gradient->low.take()};
    }
    const Gradients gradients =
        run_backward(call, input, weight, bias.defined(), std::move(known),
                     {kept.input_wanted, wants_gradient(weight), wants_gradient(bias)});
    return {gradients.input.high, gradients.input.low, gradients.weight,
            gradients.bias,       at::Tensor(),        at::Tensor()};
  }

 private:
  static bool wants_gradient(const at::Tensor& x) { return x.defined() && x.requires_grad(); }

  // What is kept for the backward pass beside tensors.
  struct Kept : torch::CustomClassHolder {
    Call call;
    std::shared_ptr<DiffSums> diff_sums;
    std::shared_ptr<OctOtherGradient> other_gradient;
    // The input, from what is saved after the weight, the bias and the averages.
    static constexpr std::size_t kHighBegin = 3;
    Remade::Recipe high;
    Remade::Recipe low;
    std::size_t low_begin = 0;  // where the sources of `low` begin
    bool remade = false;        // is a frequency of the input made again?
    bool input_wanted = false;

    [[nodiscard]] KeptInput input(std::span<const at::Tensor> saved) const {
      return {KeptMap::of(high, saved.subspan(kHighBegin, low_begin - kHighBegin)),
              KeptMap::of(low, saved.subspan(low_begin)), saved[kHighBegin - 1], call.extents};
    }
  };

  static Tensors backward_of_composed(const Call& call, const OctTensor& input,
                                      const at::Tensor& weight, const at::Tensor& bias,
                                      const OctTensor& diff) {
    const OctTensor y = compose(call, input, weight, bias);
    Tensors outputs;
    Tensors diffs;
    for (const auto& [output, gradient] :
         {std::pair{y.high, diff.high}, std::pair{y.low, diff.low}}) {
      if (!output.defined() || !gradient.defined()) continue;
      outputs.push_back(output);
      diffs.push_back(gradient);
    }
    Tensors inputs;
    std::vector<std::size_t> places;
    const std::array<at::Tensor, 4> all{input.high, input.low, weight, bias};
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (!all[i].defined() || !all[i].requires_grad()) continue;
      inputs.push_back(all[i]);
      places.push_back(i);
    }
    Tensors gradients(6);
    if (outputs.empty() || inputs.empty()) return gradients;
    const Tensors made =
        torch::autograd::grad(outputs, inputs, diffs, /*retain_graph=*/true, /*create_graph=*/true,
                              /*allow_unused=*/true);
    for (std::size_t i = 0; i < places.size(); ++i) gradients[places[i]] = made[i];
    return gradients;
  }
};

}  // namespace

bool takes_other_gradient(const ConvOptions& options) {
  return is_common(options);
}

OctTensor oct_conv(const OctTensor& input, const at::Tensor& weight, const at::Tensor& bias,
                   const ConvOptions& options, BiasRule rule) {
  return oct_conv_of(input, {}, weight, bias, options, rule);
}

OctTensor oct_conv_of(const OctTensor& input, const ConvAside& aside, const at::Tensor& weight,
                      const at::Tensor& bias, const ConvOptions& options, BiasRule rule) {
  check(options);
  if (is_unbatched(input, options.rank())) {
    return without_batch(oct_conv(with_batch(input), weight, bias, options, rule));
  }
  const Call call = call_of(input, weight, bias, options, rule, group_paths(options));
  const auto maybe = [](const at::Tensor& x) {
    return x.defined() ? CommonOctConv::MaybeTensor(x) : c10::nullopt;
  };
  if (at::GradMode::is_enabled() && weight.is_cpu()) keep_freed_memory_unless_told();
  const WorkTimer timer(Work::kConv);
  if (!is_common(options)) return compose(call, input, weight, bias);
  OctTensor result;
  if (!at::GradMode::is_enabled()) {
    result = run_common(call, input, aside.averages, weight, bias);
  } else {
    const std::vector<at::Tensor> outputs =
        CommonOctConv::apply(maybe(input.high), maybe(input.low), weight, maybe(bias), call, aside);
    if (options.out.high > 0) result.high = outputs.front();
    if (options.out.low > 0) result.low = outputs.back();
  }
  if (!result.high.defined()) result.extents = call.out;
  return result;
}

OctTensor oct_conv_composed(const OctTensor& input, const at::Tensor& weight,
                            const at::Tensor& bias, const ConvOptions& options, BiasRule rule) {
  check(options);
  if (is_unbatched(input, options.rank())) {
    return without_batch(oct_conv_composed(with_batch(input), weight, bias, options, rule));
  }
  const Call call = call_of(input, weight, bias, options, rule, separate_paths(options));
  if (at::GradMode::is_enabled() && weight.is_cpu()) keep_freed_memory_unless_told();
  const WorkTimer timer(Work::kConv);
  return compose(call, input, weight, bias);
}

}  // namespace octconv::nn
