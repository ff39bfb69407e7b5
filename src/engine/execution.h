// SPDX-License-Identifier: Apache-2.0
// A network prepared for one input shape: every step with its sizes and its memory.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/program.h"
#include "kernels/pool.h"
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
  Execution(const Network::Program& program, std::int64_t batch, const Shape& extents,
            bool keep = true);

  [[nodiscard]] std::int64_t batch() const noexcept { return batch_; }
  [[nodiscard]] const Shape& extents() const noexcept { return extents_; }
  [[nodiscard]] const Shape& output_shape() const noexcept { return output_shape_; }
  [[nodiscard]] std::int64_t arena_elements() const noexcept { return arena_elements_; }

  /// Runs all steps. `input` and `output` are channels first.
  void run(const float* input, float* output, float* arena) const noexcept;
  /// The same one by one: steps [0, steps()) in order, then `finish`.
  /// @{
  [[nodiscard]] std::size_t steps() const noexcept { return steps_.size(); }
  void run_step(std::size_t step, const float* input, float* arena) const noexcept {
    run_step(steps_[step], input, arena);
  }
  void finish(const float* arena, float* output) const noexcept {
    store(output_, 0, arena, output);
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
  struct Pool {
    std::array<kernels::PoolRows, 2> rows{};  // but their pointers
    NodeId src = -1;
  };
  struct Prepared {
    NodeId dst = -1;
    std::variant<const LoadInput*, Conv, const RunScale*, const RunAdd*, const RunActivation*,
                 const RunConcat*, const RunGate*, const RunAttention*, Pool, const RunGlobalPool*>
        kind;
  };

  void place(const Network::Program& program, bool keep);
  void prepare(const Network::Program& program);

  void run_step(const Prepared& step, const float* input, float* arena) const noexcept;
  void store(NodeId id, std::size_t frequency, const float* arena, float* out) const noexcept;

  std::int64_t batch_;
  Shape extents_;
  NodeId output_;
  std::vector<ValueShape> shapes_;
  std::vector<Places> places_;  // by node
  std::vector<Prepared> steps_;
  Shape output_shape_;
  std::int64_t arena_elements_ = 0;
};

}  // namespace octconv::engine
