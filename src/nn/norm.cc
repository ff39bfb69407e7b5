// SPDX-License-Identifier: Apache-2.0
#include "nn/norm.h"

#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "nn/map_rows.h"
#include "nn/norm_kernels.h"
#include "nn/work_timer.h"
#include "octconv/base/error.h"

namespace octconv::nn {
namespace {

struct Moments {
  Doubles mean;
  Doubles variance;  // biased
};

// Mean and variance of each block about its own mean, then combined (Chan, Golub, LeVeque 1979): no
// large squares cancel.
Moments moments(const MapRows& rows, const float* x) {
  const auto channels = static_cast<std::size_t>(rows.channels());
  const auto blocks = static_cast<std::size_t>(rows.blocks());
  std::vector<double> sums(blocks * channels);
  std::vector<double> squares(blocks * channels);
  std::vector<double> counts(blocks);
  rows.for_blocks([&](std::int64_t block) {
    const auto at = static_cast<std::size_t>(block);
    double* sum = sums.data() + at * channels;
    Floats columns(static_cast<std::size_t>(rows.columns()));
    rows.for_parts(block, [&](std::int64_t first, std::int64_t count, std::int64_t width) {
      kernels::column_sums(x + first, count, width, columns.data());
      rows.fold(columns, width, sum);
      counts[at] += static_cast<double>(count * width / rows.channels());
    });
    Doubles mean(sum, sum + channels);
    for (double& value : mean) value /= counts[at];
    const Floats centre = rows.spread(mean);
    rows.for_parts(block, [&](std::int64_t first, std::int64_t count, std::int64_t width) {
      kernels::column_squares(x + first, count, width, centre.data(), columns.data());
      rows.fold(columns, width, squares.data() + at * channels);
    });
    // The squares are about the rounded mean: corrected, they are about the mean itself.
    for (std::size_t c = 0; c < channels; ++c) {
      const double off = mean[c] - static_cast<double>(centre[c]);
      squares[at * channels + c] -= counts[at] * off * off;
    }
  });
  const auto pixels = static_cast<double>(rows.pixels());
  Moments all{.mean = Doubles(channels), .variance = Doubles(channels)};
  for (std::size_t block = 0; block < blocks; ++block) {
    for (std::size_t c = 0; c < channels; ++c) {
      all.mean[c] += sums[block * channels + c] / pixels;
    }
  }
  for (std::size_t block = 0; block < blocks; ++block) {
    const double count = counts[block];
    for (std::size_t c = 0; c < channels; ++c) {
      const std::size_t i = block * channels + c;
      const double off = sums[i] / count - all.mean[c];
      all.variance[c] += (squares[i] + count * off * off) / pixels;
    }
  }
  return all;
}

// The moments over the pixels of all processes, in place of this one's; returns how many pixels
// these are.
double combine(const SumOverProcesses& sum, Moments& own, double pixels) {
  const std::size_t channels = own.mean.size();
  Doubles sums = own.mean;
  for (double& value : sums) value *= pixels;
  sums.push_back(pixels);
  sum(sums);
  const double all = sums.back();
  if (!(all > 1)) {
    throw InvalidArgument("batch norm: one value of each channel has no variance");
  }
  Doubles squares(channels);
  for (std::size_t c = 0; c < channels; ++c) {
    const double mean = sums[c] / all;
    const double off = own.mean[c] - mean;
    squares[c] = (own.variance[c] + off * off) * pixels;
    own.mean[c] = mean;
  }
  sum(squares);
  for (std::size_t c = 0; c < channels; ++c) own.variance[c] = squares[c] / all;
  return all;
}

void update_running(const NormTensors& tensors, const Moments& batch, double pixels,
                    double momentum) {
  float* mean = tensors.running_mean.data_ptr<float>();
  float* variance = tensors.running_var.data_ptr<float>();
  const auto move = [&](float& running, double now) {
    running = static_cast<float>((1 - momentum) * static_cast<double>(running) + momentum * now);
  };
  for (std::size_t c = 0; c < batch.mean.size(); ++c) {
    move(mean[c], batch.mean[c]);
    move(variance[c], batch.variance[c] * pixels / (pixels - 1));
  }
}

Doubles numbers(const at::Tensor& x) {
  return {x.data_ptr<float>(), x.data_ptr<float>() + x.numel()};
}

// relu(x * scale + shift + residual)
// @param cell  of the averages that are wanted; empty: none are
std::pair<at::Tensor, at::Tensor> scale_shift_add(const at::Tensor& x, const Floats& scale,
                                                  const Floats& shift, const at::Tensor& residual,
                                                  bool rectified, const Shape& cell = {}) {
  const MapRows rows(x);
  const Floats scales = rows.spread(scale);
  const Floats shifts = rows.spread(shift);
  at::Tensor out = at::empty_like(x);
  const float* from = x.data_ptr<float>();
  const float* added = residual.defined() ? residual.data_ptr<float>() : nullptr;
  float* to = out.data_ptr<float>();
  std::optional<Cells> cells;
  if (!cell.empty()) cells.emplace(out, cell, CellValue::kAverage);
  rows.for_map(cells ? &*cells : nullptr, to,
               [&](std::int64_t first, std::int64_t count, std::int64_t width) {
                 kernels::scale_shift_add(from + first, count, width, scales.data(), shifts.data(),
                                          added != nullptr ? added + first : nullptr, rectified,
                                          to + first);
               });
  return {out, cells ? cells->values : at::Tensor()};
}

struct ScaleShift {
  Floats scale;
  Floats shift;
};

// (x - mean) / deviation * weight + bias as x * scale + shift.
ScaleShift scale_shift(const Doubles& mean, const Doubles& deviation, const at::Tensor& weight,
                       const at::Tensor& bias) {
  const Doubles weights = numbers(weight);
  const Doubles biases = numbers(bias);
  ScaleShift result;
  for (std::size_t c = 0; c < weights.size(); ++c) {
    const double scale = weights[c] / deviation[c];
    result.scale.push_back(static_cast<float>(scale));
    result.shift.push_back(static_cast<float>(biases[c] - mean[c] * scale));
  }
  return result;
}

Doubles deviation_of(const Doubles& variance, double epsilon) {
  Doubles deviation = variance;
  for (double& value : deviation) value = std::sqrt(value + epsilon);
  return deviation;
}

at::Tensor to_tensor(const Doubles& values) {
  at::Tensor result = at::empty({static_cast<std::int64_t>(values.size())}, at::kFloat);
  for (std::size_t i = 0; i < values.size(); ++i) {
    result.data_ptr<float>()[i] = static_cast<float>(values[i]);
  }
  return result;
}

// A value is made again with at most so many residuals added on the way: one more pass over memory
// each. So in a chain of residual blocks every third sum is kept.
constexpr int kMostSums = 2;

// How the result of a batch norm is made again; or, if that takes too much, that it cannot be.
Remade remade_result(const at::Tensor& x, const ScaleShift& map, const NormTail& tail) {
  std::vector<at::Tensor> sources{x};
  Remade::Recipe recipe{map.scale, map.shift, tail.rectified, {}};
  if (tail.residual.defined()) {
    const Remade added = tail.residual_remade.or_kept(tail.residual);
    sources.insert(sources.end(), added.sources().begin(), added.sources().end());
    recipe.residual.push_back(added.recipe());
    // The backward pass of such a batch norm reads its result, after all others.
    if (tail.rectified) recipe.shared = std::make_shared<Remade::Shared>();
  }
  if (recipe.sums() > kMostSums) return {};
  return {std::move(sources), std::move(recipe)};
}

// Those of the batch, of which running statistics are told; or those of the pass that is run again.
NormStatistics statistics(const MapRows& rows, const at::Tensor& x, const NormTail& tail,
                          const NormTensors& tensors, const BatchNorm& options) {
  if (tail.memory != nullptr && *tail.memory) return **tail.memory;
  Moments batch = moments(rows, x.data_ptr<float>());
  auto pixels = static_cast<double>(rows.pixels());
  if (tail.sum) pixels = combine(*tail.sum, batch, pixels);
  update_running(tensors, batch, pixels, options.momentum);
  NormStatistics found{batch.mean, deviation_of(batch.variance, options.epsilon), pixels};
  if (tail.memory != nullptr) *tail.memory = found;
  return found;
}

class NormAddRelu : public torch::autograd::Function<NormAddRelu> {
 public:
  using Context = torch::autograd::AutogradContext;
  using Variables = torch::autograd::variable_list;

  static at::Tensor forward(Context* context, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& bias, const c10::optional<at::Tensor>& added,
                            const NormTail& tail, const NormTensors& tensors,
                            const BatchNorm& options, NormAside* aside) {
    // What `tail` and `tensors` hold is read here; `added`, `weight` and `bias` are the same
    // tensors, for LibTorch to see.
    const MapRows rows(x);
    auto kept = c10::make_intrusive<Kept>();
    kept->found = statistics(rows, x, tail, tensors, options);
    kept->sum = tail.sum;
    kept->diff_sums = tail.diff_sums;
    kept->other_gradient = tail.other_gradient;
    kept->frequency = tail.frequency;
    kept->residual = added.has_value();
    kept->rectified = tail.rectified;
    const ScaleShift map = scale_shift(kept->found.mean, kept->found.deviation, weight, bias);
    const auto [out, averages] =
        scale_shift_add(x, map.scale, map.shift, tail.residual, tail.rectified,
                        aside != nullptr ? tail.cell : Shape());

    const Remade how = remade_result(x, map, tail);
    Variables saved{x, weight, bias};
    // Where the rectifier passes is told by x, unless something was added to it.
    if (kept->rectified && kept->residual) {
      const Remade result = how.or_kept(out);
      kept->out = result.recipe();
      saved.insert(saved.end(), result.sources().begin(), result.sources().end());
    }
    context->save_for_backward(std::move(saved));
    context->saved_data["kept"] = c10::IValue::make_capsule(std::move(kept));
    if (aside != nullptr) *aside = {how, averages};
    return out;
  }

  // With h = (x - mean) / deviation and means over the pixels of a channel, of all processes,
  // diff_x = weight / deviation * (g - mean(g) - h * mean(g h)). The gradients of weight and bias
  // are this process's part.
  static Variables backward(Context* context, const Variables& gradients) {
    const WorkTimer timer(Work::kNormGradient);
    if (at::GradMode::is_enabled()) {
      throw Unsupported("batch norm: second derivatives need tensors of type double");
    }
    const Variables saved = context->get_saved_variables();
    const auto capsule = context->saved_data["kept"].toCapsule();
    const auto& kept = static_cast<const Kept&>(*capsule);
    const at::Tensor& x = saved[0];
    constexpr std::size_t kOperands = 3;  // x, weight, bias; then what `out` is made from
    const at::Tensor out = saved.size() > kOperands
                               ? kept.out.make(std::span(saved).subspan(kOperands))
                               : at::Tensor();
    if (kept.out.shared) kept.out.shared->forget();
    const at::Tensor diff_out = gradients[0].contiguous(x.suggest_memory_format());
    const Doubles& mean = kept.found.mean;
    const Doubles& deviation = kept.found.deviation;
    const MapRows rows(x);
    Floats scales;
    Floats shifts;
    if (kept.rectified && !out.defined()) {
      const ScaleShift map = scale_shift(mean, deviation, saved[1], saved[2]);
      scales = rows.spread(map.scale);
      shifts = rows.spread(map.shift);
    }
    const kernels::NormGradient gradient{.diff_out = diff_out.data_ptr<float>(),
                                         .out = out.defined() ? out.data_ptr<float>() : nullptr,
                                         .x = x.data_ptr<float>(),
                                         .scale = scales.empty() ? nullptr : scales.data(),
                                         .shift = shifts.empty() ? nullptr : shifts.data()};
    const auto part = [](kernels::NormGradient all, std::int64_t first) {
      all.diff_out += first;
      if (all.out != nullptr) all.out += first;
      all.x += first;
      return all;
    };
    const auto channels = static_cast<std::size_t>(rows.channels());
    const Floats centre = rows.spread(mean);
    std::vector<double> partial(static_cast<std::size_t>(rows.blocks()) * channels * 2);
    rows.for_blocks([&](std::int64_t block) {
      double* sum = partial.data() + static_cast<std::size_t>(block) * channels * 2;
      Floats sums(static_cast<std::size_t>(rows.columns()));
      Floats products(static_cast<std::size_t>(rows.columns()));
      rows.for_parts(block, [&](std::int64_t first, std::int64_t count, std::int64_t width) {
        kernels::gradient_sums(part(gradient, first), count, width, centre.data(), sums.data(),
                               products.data());
        rows.fold(sums, width, sum);
        rows.fold(products, width, sum + channels);
      });
    });
    Doubles diff_bias(channels);
    Doubles diff_weight(channels);
    for (std::size_t first = 0; first < partial.size(); first += 2 * channels) {
      for (std::size_t c = 0; c < channels; ++c) {
        diff_bias[c] += partial[first + c];
        diff_weight[c] += partial[first + channels + c];
      }
    }
    // The sums are about the rounded mean.
    const auto off = [&](std::size_t i) { return mean[i] - static_cast<double>(centre[i]); };
    for (std::size_t i = 0; i < channels; ++i) {
      diff_weight[i] = (diff_weight[i] - off(i) * diff_bias[i]) / deviation[i];
    }
    Doubles sums = diff_bias;
    sums.insert(sums.end(), diff_weight.begin(), diff_weight.end());
    if (kept.sum) (*kept.sum)(sums);
    Doubles a = numbers(saved[1]);
    Doubles b(channels);
    Doubles c(channels);
    for (std::size_t i = 0; i < channels; ++i) {
      a[i] /= deviation[i];
      b[i] = -a[i] * sums[channels + i] / kept.found.pixels / deviation[i];
      c[i] = -a[i] * sums[i] / kept.found.pixels - b[i] * off(i);
    }
    const Floats as = rows.spread(a);
    const Floats bs = rows.spread(b);
    const Floats cs = rows.spread(c);
    at::Tensor diff_x = at::empty_like(x);
    // Without a rectifier the gradient passes on as it came.
    at::Tensor diff_residual;
    if (kept.residual) diff_residual = out.defined() ? at::empty_like(x) : diff_out;
    float* to = diff_x.data_ptr<float>();
    float* passed = kept.residual && out.defined() ? diff_residual.data_ptr<float>() : nullptr;
    std::optional<Cells> cells;
    if (kept.diff_sums) cells.emplace(diff_x, kept.diff_sums->cell(), CellValue::kSum);
    rows.for_map(cells ? &*cells : nullptr, to,
                 [&](std::int64_t first, std::int64_t count, std::int64_t width) {
                   kernels::gradient_map(part(gradient, first), count, width, centre.data(),
                                         as.data(), bs.data(), cs.data(), to + first,
                                         passed != nullptr ? passed + first : nullptr);
                 });
    if (cells) kept.diff_sums->set(diff_x, cells->values);
    if (kept.other_gradient && kept.residual) {
      ((*kept.other_gradient).*kept.frequency).leave(std::exchange(diff_residual, at::Tensor()));
    }
    return {diff_x,       to_tensor(diff_weight), to_tensor(diff_bias), diff_residual,
            at::Tensor(), at::Tensor(),           at::Tensor(),         at::Tensor()};
  }

 private:
  // What is kept for the backward pass beside tensors.
  struct Kept : torch::CustomClassHolder {
    NormStatistics found;
    NormSum sum;
    std::shared_ptr<DiffSums> diff_sums;
    std::shared_ptr<OctOtherGradient> other_gradient;
    OtherGradient OctOtherGradient::*frequency = nullptr;
    bool residual = false;
    bool rectified = false;
    Remade::Recipe out;  // where the result tells where the rectifier passes
  };
};

bool channels_last(const at::Tensor& x) {
  return x.dim() == 4 ? x.is_contiguous(at::MemoryFormat::ChannelsLast)
                      : x.dim() == 5 && x.is_contiguous(at::MemoryFormat::ChannelsLast3d);
}

// Does the map, and what is added to it, suit the loops of this file?
bool suits(const at::Tensor& x, const NormTensors& tensors, const at::Tensor& residual) {
  const auto plain = [&](const at::Tensor& parameter) {
    return parameter.defined() && parameter.scalar_type() == at::kFloat &&
           parameter.is_contiguous();
  };
  return x.is_cpu() && x.scalar_type() == at::kFloat && x.numel() > 0 && channels_last(x) &&
         plain(tensors.weight) && plain(tensors.bias) && plain(tensors.running_mean) &&
         plain(tensors.running_var) &&
         (!residual.defined() || (residual.scalar_type() == at::kFloat &&
                                  residual.sizes() == x.sizes() && channels_last(residual)));
}

at::Tensor fused(const at::Tensor& x, const NormTensors& tensors, const NormTail& tail,
                 const BatchNorm& options, NormAside* aside) {
  // An argument of LibTorch's functions may be absent, but not undefined.
  const auto added =
      tail.residual.defined() ? c10::optional<at::Tensor>(tail.residual) : c10::nullopt;
  return NormAddRelu::apply(x, tensors.weight, tensors.bias, added, tail, tensors, options, aside);
}

// Of the pixels of all processes: all must take the same way, whatever the order of their maps in
// memory.
at::Tensor norm_of_all(const at::Tensor& x, const NormTensors& tensors, const NormTail& tail,
                       const BatchNorm& options, NormAside* aside) {
  const auto ordered = [](const at::Tensor& map) {
    if (!map.defined() || map.dim() < 4 || map.dim() > 5) return map;
    return map.contiguous(map.dim() == 4 ? at::MemoryFormat::ChannelsLast
                                         : at::MemoryFormat::ChannelsLast3d);
  };
  const at::Tensor map = ordered(x);
  NormTail same = tail;
  same.residual = ordered(tail.residual);
  if (!suits(map, tensors, same.residual)) {
    throw Unsupported(
        "batch norm over several processes: maps must be of type float, on the CPU and of two or "
        "three axes, with weight and bias");
  }
  return fused(map, tensors, same, options, aside);
}

}  // namespace

at::Tensor Remade::Recipe::make(std::span<const at::Tensor> sources) const {
  const WorkTimer timer(Work::kMadeAgain);
  if (scale.empty()) return sources[0];
  if (shared) {
    if (const at::Tensor known = shared->get(); known.defined()) return known;
  }
  const at::Tensor added = residual.empty() ? at::Tensor() : residual[0].make(sources.subspan(1));
  const at::Tensor value = scale_shift_add(sources[0], scale, shift, added, rectified).first;
  if (shared) shared->set(value);
  return value;
}

at::Tensor norm_add_relu(const at::Tensor& x, const NormTensors& tensors, const NormTail& tail,
                         const BatchNorm& options, bool training, NormAside* aside) {
  const WorkTimer timer(Work::kNorm);
  if (training && tail.sum) return norm_of_all(x, tensors, tail, options, aside);
  const at::Tensor& residual = tail.residual;
  // One pixel has no variance; LibTorch says what it makes of that.
  const bool varied = x.numel() > x.size(1);
  if (suits(x, tensors, residual) && (training ? varied : !at::GradMode::is_enabled())) {
    if (training) return fused(x, tensors, tail, options, aside);
    const ScaleShift map = scale_shift(numbers(tensors.running_mean),
                                       deviation_of(numbers(tensors.running_var), options.epsilon),
                                       tensors.weight, tensors.bias);
    auto [out, averages] = scale_shift_add(x, map.scale, map.shift, residual, tail.rectified,
                                           aside != nullptr ? tail.cell : Shape());
    if (aside != nullptr) aside->averages = averages;
    return out;
  }
  // LibTorch finds the statistics again, and without running ones updates none.
  const bool again = training && tail.memory != nullptr && tail.memory->has_value();
  if (training && tail.memory != nullptr) tail.memory->emplace();
  at::Tensor y =
      at::batch_norm(x, tensors.weight, tensors.bias, again ? at::Tensor() : tensors.running_mean,
                     again ? at::Tensor() : tensors.running_var, training, options.momentum,
                     options.epsilon, /*cudnn_enabled=*/true);
  if (residual.defined()) y = y + residual;
  return tail.rectified ? at::relu(y) : y;
}

}  // namespace octconv::nn
