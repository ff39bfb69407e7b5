// SPDX-License-Identifier: Apache-2.0
#include "octconv/engine/stepper.h"

#include <algorithm>
#include <span>
#include <string>
#include <utility>

#include "engine/execution.h"
#include "engine/inputs.h"
#include "octconv/base/error.h"

namespace octconv {
namespace {

// They are shown in passing and need not last.
constexpr bool kKeepValues = false;

}  // namespace

struct Stepper::Impl {
  Network network;
  Tensor arena;

  const Network::Program& program() const { return network.program(); }
};

Stepper::Stepper(const Model& model, const std::vector<std::string>& shown)
    : impl_(std::make_unique<Impl>(Impl{compile(model, {.keep = shown}), Tensor()})) {
  if (model.graph.inputs().size() != 1 || model.graph.outputs().size() != 1) {
    throw Unsupported("network '" + model.graph.name() + "' has " +
                      std::to_string(model.graph.inputs().size()) + " inputs and " +
                      std::to_string(model.graph.outputs().size()) +
                      " outputs; step by step run those with one of each");
  }
}
Stepper::~Stepper() = default;
Stepper::Stepper(Stepper&&) noexcept = default;
Stepper& Stepper::operator=(Stepper&&) noexcept = default;

std::int64_t Stepper::arena_elements(std::int64_t batch, const Shape& extents) const {
  return engine::Execution(impl_->program(), batch, {extents}, kKeepValues).arena_elements();
}

Tensor Stepper::run(const Tensor& input, const Show& show) {
  const Network::Program& program = impl_->program();
  engine::check_inputs(program, std::span(&input, 1));
  const Shape& shape = input.shape();
  const Shape extents(std::span(shape.begin() + 2, program.graph.rank()));
  const engine::Execution execution(program, shape[0], {extents}, kKeepValues);
  if (execution.arena_elements() > impl_->arena.elements())
    impl_->arena = Tensor(Shape{execution.arena_elements()});
  float* arena = impl_->arena.data();
  for (std::size_t step = 0; step < execution.steps(); ++step) {
    execution.run_step(step, std::span(&input, 1), arena);
    const NodeId node = execution.made_by(step);
    if (std::find(program.keep.begin(), program.keep.end(), node) == program.keep.end()) continue;
    std::array<GridView, 2> value;
    for (std::size_t frequency = 0; frequency < 2; ++frequency) {
      const engine::Place& place = execution.places(node)[frequency];
      if (place.elements() == 0) continue;
      value[frequency] = {
          .values = {arena + place.offset, static_cast<std::size_t>(place.elements())},
          .channels = place.channels,
          .extents = execution.extents_of(node, frequency)};
    }
    show(node, value);
  }
  Tensor output(execution.output_shapes().front());
  execution.finish(arena, std::span(&output, 1));
  return output;
}

}  // namespace octconv
