// SPDX-License-Identifier: Apache-2.0
// A network prepared for one input shape: every step with its sizes and its memory.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/program.h"
#include "kernels/channels.h"
#include "kernels/pool.h"
#include "kernels/resize.h"
#include "octconv/octave/conv_plan.h"
#include "octconv/tensor/shape.h"

namespace octconv::engine {

/// One frequency of a value in the arena.
struct Place {
  std::int64_t offset = 0;
  std::int64_t pixels = 0;  ///< of all images
  std::int64_t channels = 0;

  [[nodiscard]] std::int64_t elements() const noexcept { return pixels * channels; }
};

/// A value: high, then low.
using Places = std::array<Place, 2>;

class Execution {
 public:
  /// @throws InvalidArgument if the extents do not fit the network
  Execution(const Network::Program& program, std::int64_t batch, std::vector<Shape> extents);

  [[nodiscard]] std::int64_t batch() const noexcept { return batch_; }
  [[nodiscard]] const std::vector<Shape>& extents() const noexcept { return extents_; }
  [[nodiscard]] const std::vector<Shape>& output_shapes() const noexcept { return output_shapes_; }
  [[nodiscard]] std::int64_t arena_elements() const noexcept { return arena_elements_; }

  /// Runs all steps. The tensors are channels first and have the shapes of the plan.
  void run(std::span<const Tensor> inputs, std::span<Tensor> outputs, float* arena) const noexcept;
  /// Copies one frequency of a value, channels first.
  [[nodiscard]] Tensor read(NodeId id, Frequency frequency, const float* arena) const;

 private:
  struct Conv {
    OctConvPlan plan;
    std::int64_t scratch = 0;
    const RunConv* step = nullptr;
  };
  struct Transposed {
    OctConvPlan plan;
    std::int64_t scratch = 0;  // of the plan, then the plan's result
    const RunConvTranspose* step = nullptr;
    kernels::CellsRows cells{};  // but its pointers
    std::int64_t small_elements = 0;
  };
  struct Resized {
    std::array<kernels::ResizeRows, 2> rows{};  // but their pointers
    NodeId src = -1;
  };
  struct Pool {
    std::array<kernels::PoolRows, 2> rows{};  // but their pointers
    NodeId src = -1;
  };
  struct Prepared {
    NodeId dst = -1;
    std::variant<const LoadInput*, Conv, Transposed, const RunScale*, const RunAdd*,
                 const RunMultiply*, const RunActivation*, const RunConcat*, const RunSelect*,
                 const RunGate*, const RunAttention*, const RunSoftmax*, Pool, Resized,
                 const RunGlobalPool*>
        kind;
  };

  [[nodiscard]] Transposed transposed(const RunConvTranspose& step, const ValueShape& in,
                                      const ValueShape& out) const;
  void place(const Network::Program& program);
  void prepare(const Network::Program& program);

  [[nodiscard]] const Places& places(NodeId id) const {
    return places_[static_cast<std::size_t>(id)];
  }
  void run_step(const Prepared& step, std::span<const Tensor> inputs, float* arena) const noexcept;
  void store(NodeId id, std::size_t frequency, const float* arena, float* out) const noexcept;

  std::int64_t batch_;
  std::vector<Shape> extents_;  // of each input
  std::vector<NodeId> outputs_;
  std::vector<ValueShape> shapes_;
  std::vector<Places> places_;  // by node
  std::vector<Prepared> steps_;
  std::vector<Shape> output_shapes_;
  std::int64_t arena_elements_ = 0;
};

}  // namespace octconv::engine
