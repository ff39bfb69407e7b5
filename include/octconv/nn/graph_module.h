// SPDX-License-Identifier: Apache-2.0
// Any network as one LibTorch module with gradients.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include "octconv/base/api.h"
#include "octconv/graph/model.h"

namespace torch::nn {
class Module;
}  // namespace torch::nn

namespace octconv::nn {

/// Random zeros among the values that the last linear layer reads, in training mode.
struct Dropout {
  double rate = 0;         ///< in [0, 1): share of zeros; the others are divided by 1 - rate
  std::uint64_t seed = 0;  ///< decides which
  /// Which images of a batch of `batch` these are: they get the zeros that they would have in it.
  /// Empty: they are a batch.
  /// @{
  std::vector<std::int64_t> rows{};
  std::int64_t batch = 0;
  /// @}
};

/// Replaces each number by its sum over the processes that train one network together. All of them
/// must call it equally often, with equally many numbers.
using SumOverProcesses = std::function<void(std::span<double> numbers)>;

/// Whether this processor has instructions that multiply bfloat16. Without them convolutions of
/// that type are many times slower than those of float.
[[nodiscard]] OCTCONV_API bool multiplies_bfloat16() noexcept;

/// How a network is computed.
struct GraphModuleOptions {
  /// Convolutions, octave and ordinary ones, run as LibTorch's own operations
  /// (`oct_conv_composed`) instead of kernels of ours: the same to rounding.
  bool composed = false;
  /// Convolutions round what they read and what they make to bfloat16, and run as LibTorch's own
  /// operations of that type; parameters, and all that is no convolution, stay float. Faster only
  /// where the processor has instructions for it (`multiplies_bfloat16()`).
  bool bfloat16 = false;
  /// In training mode residual blocks, and other parts between two values that everything passes,
  /// keep only what they read for the backward pass, which computes them again: less memory, more
  /// time, the same bits. There are no second derivatives.
  bool checkpoint_blocks = false;
};

/// A network, ordinary or octave, that LibTorch can train.
///
/// Parameters and buffers have the names and shapes of `parameters(graph)`, which are those of the
/// ordinary network whatever alpha is. A copy shares them.
class OCTCONV_API GraphModule {
 public:
  /// Starts with `initial_weights(graph, seed)`, in float on the CPU, in training mode.
  /// @throws InvalidArgument unless the graph has one input and one output; for a node name with an
  /// empty part
  ///         ("a..b"), which no module can have; for `checkpoint_blocks` where there are no such
  ///         parts
  explicit GraphModule(Graph graph, std::uint64_t seed = 0, const GraphModuleOptions& options = {});

  /// The network as data.
  [[nodiscard]] const Graph& graph() const noexcept;

  /// Copies weights in.
  /// @throws InvalidArgument listing parameters that are missing, unexpected or misshapen
  void load(const Weights& weights);
  /// Copies weights out, as float.
  [[nodiscard]] Weights weights() const;

  /// The network's result for a batch of images.
  ///
  /// In training mode batch norm takes the statistics of the batch and updates the running ones.
  /// @param images  [n, channels, extents...] of the parameters' type and device
  /// @throws InvalidArgument if the shape or type does not fit, for a rate out of its range, for
  ///         one above 0 if the network has no linear layer, or for rows that are not one for each
  ///         image
  [[nodiscard]] at::Tensor forward(const at::Tensor& images, const Dropout& dropout = {});

  /// Training mode (as after construction) or evaluation mode.
  /// @{
  void train(bool on = true);
  void eval() { train(false); }
  /// @}

  /// From now on batch norm in training mode takes the statistics of the batches of all processes
  /// together, forward and backward: gradients of the sum of their losses. Float on the CPU only.
  void synchronise_norms(SumOverProcesses sum);

  /// The trained tensors, in node order.
  [[nodiscard]] std::vector<std::pair<std::string, at::Tensor>> named_parameters() const;
  /// Running statistics, in node order.
  [[nodiscard]] std::vector<std::pair<std::string, at::Tensor>> named_buffers() const;

  /// The same network as LibTorch sees it, for optimisers, `to(device)` and serialisation.
  [[nodiscard]] std::shared_ptr<torch::nn::Module> module() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace octconv::nn
