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
  /// @param keep  whether the program's kept values stay until the end of a run
  /// @throws InvalidArgument if the extents do not fit the network
  Execution(const Network::Program& program, std::int64_t batch, std::vector<Shape> extents,
            bool keep = true);

  [[nodiscard]] std::int64_t batch() const noexcept { return batch_; }
  [[nodiscard]] const std::vector<Shape>& extents() const noexcept { return extents_; }
  [[nodiscard]] const std::vector<Shape>& output_shapes() const noexcept { return output_shapes_; }
  [[nodiscard]] std::int64_t arena_elements() const noexcept { return arena_elements_; }

  /// Runs all steps. The tensors are channels first and have the shapes of the plan, or hold more
  /// images: the plan's are then those from `first_image` on.
  void run(std::span<const Tensor> inputs, std::span<Tensor> outputs, float* arena,
           std::int64_t first_image = 0) const noexcept;
  /// The same one by one: steps [0, steps()) in order, then `finish`.
  /// @{
  [[nodiscard]] std::size_t steps() const noexcept { return steps_.size(); }
  void run_step(std::size_t step, std::span<const Tensor> inputs, float* arena,
                std::int64_t first_image = 0) const noexcept {
    run_step(steps_[step], inputs, arena, first_image);
  }
  void finish(const float* arena, std::span<Tensor> outputs,
              std::int64_t first_image = 0) const noexcept {
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      const Places& value = places(outputs_[i]);
      const std::int64_t image = batch_ == 0 ? 0 : value[0].elements() / batch_;
      store(outputs_[i], 0, arena, outputs[i].data() + first_image * image);
    }
  }
  /// The node whose value a step makes.
  [[nodiscard]] NodeId made_by(std::size_t step) const { return steps_[step].dst; }
  /// Where that value is until another step takes its memory, channels last.
  [[nodiscard]] const Places& places(NodeId id) const {
    return places_[static_cast<std::size_t>(id)];
  }
  /// Of one of its grids: 0 for the full one, 1 for the low one.
  [[nodiscard]] const Shape& extents_of(NodeId id, std::size_t frequency) const {
    const ValueShape& shape = shapes_[static_cast<std::size_t>(id)];
    return frequency == 0 ? shape.high : shape.low;
  }
  /// @}
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
  void place(const Network::Program& program, bool keep);
  void prepare(const Network::Program& program);
  // Every convolution fetches the first weights of the next.
  void link_weights();

  void run_step(const Prepared& step, std::span<const Tensor> inputs, float* arena,
                std::int64_t first_image) const noexcept;
  void store(NodeId id, std::size_t frequency, const float* arena, float* out) const noexcept;

  std::int64_t batch_;
  std::vector<Shape> extents_;  // of each input
  std::vector<NodeId> outputs_;
  std::vector<ValueShape> shapes_;
  std::vector<Places> places_;   // by node
  std::vector<Place> averages_;  // by node: of the cells of its high grid; empty: nobody makes them
  std::vector<Prepared> steps_;
  std::vector<Shape> output_shapes_;
  std::int64_t arena_elements_ = 0;
};

}  // namespace octconv::engine
