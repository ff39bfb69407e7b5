// SPDX-License-Identifier: Apache-2.0
#include "nn/fused_conv.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include "nn/cells.h"
#include "nn/path_groups.h"
#include "nn/spatial.h"
#include "octconv/base/error.h"

namespace octconv::nn {
namespace {

// What a convolution is made of; travels to the backward pass.
struct Layer : torch::CustomClassHolder {
  Layer(ConvOptions options, Shape extents)
      : options(std::move(options)), extents(extents), groups(group_paths(this->options)) {}

  ConvOptions options;
  Shape extents;  // of the input's full grid
  std::vector<PathGroup> groups;

  /// Extents of what a path reads after its first `pools` pools.
  Shape source_extents(Frequency src, const std::vector<Shape>& pools) const {
    Shape grid = src == Frequency::kLow ? low_extents(extents, options.octave) : extents;
    for (const Shape& window : pools) grid = low_extents(grid, window);
    return grid;
  }
  std::int64_t channels(Frequency src) const {
    return src == Frequency::kLow ? options.in.low : options.in.high;
  }
};

at::MemoryFormat channels_last_format(const at::Tensor& x) {
  return x.dim() == 4 ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::ChannelsLast3d;
}

at::Tensor dense(const at::Tensor& x) {
  return x.contiguous(channels_last_format(x));
}

at::Tensor make_map(std::int64_t batch, std::int64_t channels, const Shape& extents) {
  std::vector<std::int64_t> shape{batch, channels};
  shape.insert(shape.end(), extents.begin(), extents.end());
  const at::MemoryFormat format =
      extents.rank() == 2 ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::ChannelsLast3d;
  return at::empty(shape, at::TensorOptions(at::kFloat).memory_format(format));
}

std::array<std::int64_t, 3> three(const Shape& shape) {
  std::array<std::int64_t, 3> all{1, 1, 1};
  std::copy(shape.begin(), shape.end(), all.end() - static_cast<std::ptrdiff_t>(shape.rank()));
  return all;
}

CellGrid grid_of(const at::Tensor& fine, const Shape& cell, std::int64_t channels) {
  return {.batch = fine.size(0),
          .fine = three(spatial_extents(fine)),
          .cell = three(cell),
          .channels = channels};
}

// Some channels of a channels-last tensor.
PixelMap<float> pixels_of(const at::Tensor& x, std::int64_t first_channel = 0) {
  return {x.data_ptr<float>() + first_channel, x.size(1)};
}
PixelMap<const float> read(const PixelMap<float>& map) {
  return {map.data, map.stride};
}

at::Tensor block_of(const at::Tensor& weight, const PathGroup& group) {
  return weight.narrow(0, group.first().row, group.first().rows)
      .narrow(1, group.first().column, group.columns());
}

// Tensors that belong to a frequency after some pools.
struct Pooled {
  Frequency src = Frequency::kHigh;
  std::vector<Shape> pools;
  at::Tensor tensor;
};

class Sources {
 public:
  Sources(const Layer& layer, const at::Tensor& high, const at::Tensor& low) : layer_(layer) {
    if (high.defined()) made_.push_back({Frequency::kHigh, {}, high});
    if (low.defined()) made_.push_back({Frequency::kLow, {}, low});
  }

  /// What a group's convolution reads.
  at::Tensor input_of(const PathGroup& group) {
    if (group.paths.size() == 1) return get(group.first().src, group.first().pools);
    const ConvPath& first = group.first();
    at::Tensor joined = make_map(made_.front().tensor.size(0), group.columns(),
                                 layer_.source_extents(first.src, first.pools));
    std::int64_t channel = 0;
    for (const ConvPath& path : group.paths) {
      pool_into(path.src, path.pools, pixels_of(joined, channel));
      channel += path.columns;
    }
    return joined;
  }

 private:
  at::Tensor get(Frequency src, const std::vector<Shape>& pools) {
    for (const Pooled& known : made_) {
      if (known.src == src && known.pools == pools) return known.tensor;
    }
    at::Tensor tensor = make_map(made_.front().tensor.size(0), layer_.channels(src),
                                 layer_.source_extents(src, pools));
    pool_into(src, pools, pixels_of(tensor));
    made_.push_back({src, pools, tensor});
    return tensor;
  }

  void pool_into(Frequency src, std::vector<Shape> pools, PixelMap<float> to) {
    Shape window = Shape::filled(layer_.options.rank(), 1);
    if (!pools.empty()) {
      window = pools.back();
      pools.pop_back();
    }
    const at::Tensor from = get(src, pools);
    gather_cells(grid_of(from, window, layer_.channels(src)), read(pixels_of(from)), /*mean=*/true,
                 to);
  }

  const Layer& layer_;
  std::vector<Pooled> made_;
};

// Gradients of what the paths read, added up on their way back to the layer's input.
class SourceGradients {
 public:
  SourceGradients(const Layer& layer, std::int64_t batch) : layer_(layer), batch_(batch) {}

  void add(const PathGroup& group, const at::Tensor& diff_input) {
    if (group.paths.size() == 1 && find(group.first().src, group.first().pools) == nullptr) {
      made_.push_back({group.first().src, group.first().pools, diff_input});
      return;
    }
    std::int64_t channel = 0;
    for (const ConvPath& path : group.paths) {
      // A slice that belongs to a pool of its own goes through it at once.
      std::vector<Shape> pools = path.pools;
      Shape window = Shape::filled(layer_.options.rank(), 1);
      if (!pools.empty() && group.paths.size() > 1) {
        window = pools.back();
        pools.pop_back();
      }
      spread(pixels_of(diff_input, channel), window, path.src, pools);
      channel += path.columns;
    }
  }

  /// Takes what is still pooled back to the layer's input. Undefined where no path reads it.
  at::Tensor take(Frequency src) {
    for (std::size_t length = 2; length > 0; --length) {
      for (std::size_t i = 0; i < made_.size(); ++i) {
        if (made_[i].src != src || made_[i].pools.size() != length) continue;
        std::vector<Shape> pools = made_[i].pools;
        const Shape window = pools.back();
        pools.pop_back();
        const at::Tensor from = made_[i].tensor;
        spread(pixels_of(from), window, src, pools);
      }
    }
    const Pooled* whole = find(src, {});
    return whole != nullptr ? whole->tensor : at::Tensor();
  }

 private:
  const Pooled* find(Frequency src, const std::vector<Shape>& pools) const {
    const auto at = std::find_if(made_.begin(), made_.end(), [&](const Pooled& known) {
      return known.src == src && known.pools == pools;
    });
    return at == made_.end() ? nullptr : &*at;
  }

  void spread(PixelMap<float> from, const Shape& window, Frequency src,
              const std::vector<Shape>& pools) {
    const Pooled* known = find(src, pools);
    const bool accumulate = known != nullptr;
    if (!accumulate) {
      made_.push_back(
          {src, pools, make_map(batch_, layer_.channels(src), layer_.source_extents(src, pools))});
      known = &made_.back();
    }
    spread_cells(grid_of(known->tensor, window, layer_.channels(src)), read(from), /*mean=*/true,
                 accumulate, pixels_of(known->tensor));
  }

  const Layer& layer_;
  std::int64_t batch_;
  std::vector<Pooled> made_;
};

class FusedConv : public torch::autograd::Function<FusedConv> {
 public:
  using Context = torch::autograd::AutogradContext;
  using Variables = torch::autograd::variable_list;
  using Maybe = c10::optional<at::Tensor>;

  static Variables forward(Context* context, const Maybe& high, const Maybe& low,
                           const at::Tensor& weight, const Maybe& bias,
                           const c10::intrusive_ptr<Layer>& layer) {
    const ConvOptions& options = layer->options;
    const Shape none = Shape::filled(options.rank(), 0);
    Sources sources(*layer, high.value_or(at::Tensor()), low.value_or(at::Tensor()));
    std::array<at::Tensor, 2> out;  // high, low
    Variables saved{weight};
    for (const PathGroup& group : layer->groups) {
      const ConvPath& first = group.first();
      const at::Tensor input = sources.input_of(group);
      saved.push_back(input);
      at::Tensor& dst = out[first.dst == Frequency::kHigh ? 0 : 1];
      const bool add_bias = bias.has_value() && !dst.defined();
      const at::Tensor y = dense(at::convolution(
          input, block_of(weight, group),
          add_bias ? bias->narrow(0, first.row, first.rows) : at::Tensor(), as_ints(first.stride),
          as_ints(options.padding_begin), as_ints(options.dilation), /*transposed=*/false,
          as_ints(none), first.groups));
      if (!first.upsampled()) {
        dst = y;  // each destination has one such group, and it comes first
        continue;
      }
      const bool accumulate = dst.defined();
      if (!accumulate) {
        dst = make_map(y.size(0), y.size(1), output_extents(options, layer->extents));
      }
      spread_cells(grid_of(dst, first.upsample, y.size(1)), read(pixels_of(y)), /*mean=*/false,
                   accumulate, pixels_of(dst));
    }
    context->save_for_backward(saved);
    context->saved_data["layer"] = c10::IValue::make_capsule(layer);
    context->saved_data["inputs"] =
        std::vector<bool>{high.has_value(), low.has_value(), bias.has_value()};
    Variables results;
    for (const at::Tensor& tensor : out) {
      if (tensor.defined()) results.push_back(tensor);
    }
    return results;
  }

  static Variables backward(Context* context, const Variables& gradients) {
    if (at::GradMode::is_enabled()) {
      throw Unsupported("octave convolution: second derivatives need tensors of type double");
    }
    const Variables saved = context->get_saved_variables();
    const at::Tensor& weight = saved[0];
    const auto layer =
        c10::static_intrusive_pointer_cast<Layer>(context->saved_data["layer"].toCapsule());
    const std::vector<bool> given = context->saved_data["inputs"].toBoolList().vec();
    const ConvOptions& options = layer->options;
    const Shape none = Shape::filled(options.rank(), 0);
    // Edges are numbered through the inputs that were given.
    std::size_t edges = 0;
    const bool high_wanted = given[0] && context->needs_input_grad(edges++);
    const bool low_wanted = given[1] && context->needs_input_grad(edges++);
    const bool weight_wanted = context->needs_input_grad(edges++);
    const bool bias_wanted = given[2] && context->needs_input_grad(edges++);

    std::array<at::Tensor, 2> diff_out;
    std::size_t next = 0;
    if (options.out.high > 0) diff_out[0] = dense(gradients[next++]);
    if (options.out.low > 0) diff_out[1] = dense(gradients[next++]);

    SourceGradients sources(*layer, gradients[0].size(0));
    const bool covered = weight_elements(options) == weight.numel();
    at::Tensor diff_weight;
    if (weight_wanted) diff_weight = covered ? at::empty_like(weight) : at::zeros_like(weight);
    at::Tensor diff_bias;
    if (bias_wanted) diff_bias = at::empty({options.out.total()}, weight.options());
    std::array<bool, 2> biased{false, false};
    for (std::size_t i = 0; i < layer->groups.size(); ++i) {
      const PathGroup& group = layer->groups[i];
      const ConvPath& first = group.first();
      const std::size_t to = first.dst == Frequency::kHigh ? 0 : 1;
      const bool input_wanted =
          std::any_of(group.paths.begin(), group.paths.end(), [&](const ConvPath& path) {
            return path.src == Frequency::kHigh ? high_wanted : low_wanted;
          });
      const bool adds_bias = bias_wanted && !std::exchange(biased[to], true);
      at::Tensor diff = diff_out[to];
      if (first.upsampled()) {
        diff = make_map(diff.size(0), diff.size(1), path_extents(options, first, layer->extents));
        gather_cells(grid_of(diff_out[to], first.upsample, diff.size(1)),
                     read(pixels_of(diff_out[to])),
                     /*mean=*/false, pixels_of(diff));
      }
      const auto [diff_input, diff_block, diff_rows] = at::convolution_backward(
          diff, saved[i + 1], block_of(weight, group), at::IntArrayRef{first.rows},
          as_ints(first.stride), as_ints(options.padding_begin), as_ints(options.dilation),
          /*transposed=*/false, as_ints(none), first.groups,
          {input_wanted, weight_wanted, adds_bias});
      if (weight_wanted) block_of(diff_weight, group).copy_(diff_block);
      if (adds_bias) diff_bias.narrow(0, first.row, first.rows).copy_(diff_rows);
      if (input_wanted) sources.add(group, dense(diff_input));
    }
    return {high_wanted ? sources.take(Frequency::kHigh) : at::Tensor(),
            low_wanted ? sources.take(Frequency::kLow) : at::Tensor(), diff_weight, diff_bias,
            at::Tensor()};
  }
};

bool plain(const at::Tensor& x) {
  return !x.defined() || (x.is_cpu() && x.scalar_type() == at::kFloat && x.numel() > 0);
}

bool channels_last(const at::Tensor& x) {
  return !x.defined() || x.is_contiguous(channels_last_format(x));
}

}  // namespace

bool fused_conv_takes(const OctTensor& input, const at::Tensor& weight, const at::Tensor& bias,
                      const ConvOptions& options) {
  const bool pooled = options.strided() && options.stride_mode != StrideMode::kStrided;
  return (options.octave_valued() || pooled) && options.rank() > 1 && options.groups == 1 &&
         plain(input.high) && plain(input.low) && plain(weight) && plain(bias) &&
         channels_last(input.high) && channels_last(input.low);
}

OctTensor fused_conv(const OctTensor& input, const at::Tensor& weight, const at::Tensor& bias,
                     const ConvOptions& options, const Shape& extents) {
  const auto maybe = [](const at::Tensor& x) {
    return x.defined() ? c10::optional<at::Tensor>(x) : c10::nullopt;
  };
  const auto results = FusedConv::apply(maybe(input.high), maybe(input.low), weight, maybe(bias),
                                        c10::make_intrusive<Layer>(options, extents));
  OctTensor result;
  std::size_t next = 0;
  if (options.out.high > 0) result.high = results[next++];
  if (options.out.low > 0) result.low = results[next++];
  return result;
}

}  // namespace octconv::nn
