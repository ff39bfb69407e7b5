// SPDX-License-Identifier: Apache-2.0
// A network run step by step, with its values shown, and open to change, as they are made.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "octconv/base/api.h"
#include "octconv/engine/network.h"
#include "octconv/graph/graph.h"
#include "octconv/graph/model.h"
#include "octconv/tensor/tensor.h"

namespace octconv {

/// One frequency of a value of a batch, channels last.
struct GridView {
  std::span<float> values;    ///< pixels of all images, with `channels` numbers each
  std::int64_t channels = 0;  ///< of this frequency
  Shape extents;              ///< of this grid; rank 0 for a value without extents
};

/// Runs a network and shows chosen values. What is written to one is what later steps read.
class OCTCONV_API Stepper {
 public:
  /// Shown by node; high, then low, either without channels.
  using Show = std::function<void(NodeId node, const std::array<GridView, 2>& value)>;

  /// Keeps nothing of the model but its graph.
  /// @param shown  names of nodes; each costs the fusions that would skip it
  /// @throws what `compile` throws; Unsupported unless the graph has one input and one output
  Stepper(const Model& model, const std::vector<std::string>& shown);
  ~Stepper();
  /// What was moved from may only be assigned to or destroyed.
  /// @{
  Stepper(Stepper&&) noexcept;
  Stepper& operator=(Stepper&&) noexcept;
  /// @}

  /// Floats of working memory for such an input.
  /// @throws InvalidArgument if the extents do not fit the network
  [[nodiscard]] std::int64_t arena_elements(std::int64_t batch, const Shape& extents) const;

  /// @param input  [batch, channels, extents...]
  /// @param show   is called with each chosen value once it is made, in an order in which they can
  /// be
  /// @return the network's output
  /// @throws InvalidArgument if the input does not fit, and what `show` throws
  Tensor run(const Tensor& input, const Show& show);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace octconv
