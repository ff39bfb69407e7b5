// SPDX-License-Identifier: Apache-2.0
// Batch norm with the residual and the rectifier that follow it, as one operation.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include "nn/diff_sums.h"
#include "nn/other_gradient.h"
#include "octconv/graph/ops.h"
#include "octconv/nn/graph_module.h"
#include "octconv/nn/oct_tensor.h"

namespace octconv::nn {

/// Tensors of a batch norm, each [channels].
struct NormTensors {
  at::Tensor weight;
  at::Tensor bias;
  at::Tensor running_mean;
  at::Tensor running_var;
};

/// How a value of the training pass is made again from tensors that are kept anyway, to the bit.
///
/// The result of a batch norm is relu(source * scale + shift + residual), and the batch norm keeps
/// its source: whoever saves the sources instead of the result saves nothing new.
///
/// Tensors that autograd saves are kept apart from the rest: `sources` for autograd, and `recipe`.
class Remade {
 public:
  /// A value that was made again, for those of a backward pass that read it after the first. The
  /// batch norm whose result it is comes last, and forgets it.
  class Shared {
   public:
    [[nodiscard]] at::Tensor get() const {
      const std::scoped_lock lock(mutex_);
      return value_;
    }
    void set(const at::Tensor& value) {
      const std::scoped_lock lock(mutex_);
      value_ = value;
    }
    void forget() { set({}); }

   private:
    mutable std::mutex mutex_;
    at::Tensor value_;
  };

  /// What is made again, without the tensors that it is made from.
  struct Recipe {
    std::vector<float> scale;  ///< [channels]; empty: the only source is the value itself
    std::vector<float> shift;  ///< [channels]
    bool rectified = false;
    std::vector<Recipe> residual;      ///< none or one: of what is added, from the later sources
    std::shared_ptr<Shared> shared{};  ///< null: every reader makes its own

    /// How many residuals are added on the way.
    [[nodiscard]] int sums() const { return residual.empty() ? 0 : 1 + residual[0].sums(); }
    /// The value, from the sources.
    [[nodiscard]] at::Tensor make(std::span<const at::Tensor> sources) const;
  };

  /// Nothing can be made again.
  Remade() = default;
  Remade(std::vector<at::Tensor> sources, Recipe recipe)
      : sources_(std::move(sources)), recipe_(std::move(recipe)) {}

  /// This, or a value that is its own source if it cannot be made again.
  [[nodiscard]] Remade or_kept(const at::Tensor& value) const {
    return possible() ? *this : Remade({value}, {});
  }

  [[nodiscard]] bool possible() const { return !recipe_.scale.empty(); }
  /// What to save.
  [[nodiscard]] const std::vector<at::Tensor>& sources() const { return sources_; }
  [[nodiscard]] const Recipe& recipe() const { return recipe_; }

 private:
  std::vector<at::Tensor> sources_;
  Recipe recipe_;
};

/// The same for each frequency.
struct OctRemade {
  Remade high;
  Remade low;
};

/// Adds up what a batch norm counts over the processes that train together; null: there are none.
using NormSum = std::shared_ptr<const SumOverProcesses>;

/// What a batch norm found in a batch.
struct NormStatistics {
  std::vector<double> mean;       ///< [channels]
  std::vector<double> deviation;  ///< [channels]
  double pixels = 0;              ///< that they are of, of all processes
};

/// What a batch norm found in training, for the same pass run again: unset before the first.
using NormMemory = std::optional<NormStatistics>;

/// What follows a batch norm in the same operation.
struct NormTail {
  at::Tensor residual;     ///< of the norm's shape, or undefined
  Remade residual_remade;  ///< how it is made again, if it can be
  bool rectified = false;
  NormSum sum;  ///< in training
  /// In training, if not null: where what is found is put, or, if it is set, taken from instead of
  /// the batch; running statistics, and other processes, then do not hear of it.
  NormMemory* memory = nullptr;
  Shape cell;  ///< of the averages that are wanted of the result; empty: none are
  /// Takes the sums of the cells of x's gradient; null: nobody wants them.
  std::shared_ptr<DiffSums> diff_sums;
  /// Takes the gradient of the residual, which is then not given back; null: it is.
  std::shared_ptr<OctOtherGradient> other_gradient;
  OtherGradient OctOtherGradient::*frequency = &OctOtherGradient::high;  ///< of that
};

/// What is made beside the result of a batch norm, each where it can be.
struct NormAside {
  Remade remade;        ///< how the result is made again
  at::Tensor averages;  ///< of the result's cells, those that the tail wants
};

/// relu(batch_norm(x) + residual), with gradients.
///
/// Float maps in channels-last order on the CPU take three passes over memory forward and two
/// back; others are composed of LibTorch's operations.
/// @param aside  may be null
/// @throws Unsupported if `tail.sum` is set and the maps are not float, on the CPU and of two or
///         three axes, or have no weight and bias
[[nodiscard]] at::Tensor norm_add_relu(const at::Tensor& x, const NormTensors& tensors,
                                       const NormTail& tail, const BatchNorm& options,
                                       bool training, NormAside* aside = nullptr);

/// The same for each frequency.
struct OctNormMemory {
  NormMemory high;
  NormMemory low;
};

/// The same tail for each frequency.
struct OctNormTail {
  OctTensor residual;
  OctRemade residual_remade;
  bool rectified = false;
  NormSum sum;
  OctNormMemory* memory = nullptr;
  Shape cell;                           ///< of the high frequency's averages
  std::shared_ptr<DiffSums> diff_sums;  ///< of the high frequency's gradient
  std::shared_ptr<OctOtherGradient> other_gradient;
};

/// The same for each frequency.
struct OctNormAside {
  OctRemade remade;
  at::Tensor averages;  ///< of the high frequency's cells
};

/// The same for each frequency; the tensors hold the low channels first.
[[nodiscard]] OctTensor norm_add_relu(const OctTensor& value, const NormTensors& tensors,
                                      const OctNormTail& tail, const BatchNorm& options,
                                      bool training, OctNormAside* aside = nullptr);

}  // namespace octconv::nn
