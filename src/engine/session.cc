// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/execution.h"
#include "octconv/base/error.h"
#include "octconv/engine/network.h"

namespace octconv {
namespace {

using engine::Execution;

constexpr std::size_t kMaxShapes = 16;

}  // namespace

struct Session::Impl {
  Network network;
  std::vector<std::unique_ptr<const Execution>> executions;  // the last used first
  Tensor arena;
  bool ran = false;

  explicit Impl(Network compiled) : network(std::move(compiled)) { executions.reserve(kMaxShapes); }

  // The execution for this input; it becomes the first.
  const Execution& prepare(const Tensor& input) {
    const Shape& shape = input.shape();
    const std::size_t rank = network.rank();
    if (shape.rank() != rank + 2 || shape[1] != network.channels()) {
      throw InvalidArgument("network '" + network.name() + "': an input must be [batch, " +
                            std::to_string(network.channels()) + ", " + std::to_string(rank) +
                            " extents], got " + shape.to_string());
    }
    const auto fits = [&](const std::unique_ptr<const Execution>& execution) {
      return execution->batch() == shape[0] &&
             std::equal(shape.begin() + 2, shape.end(), execution->extents().begin());
    };
    auto found = std::find_if(executions.begin(), executions.end(), fits);
    if (found == executions.end()) {
      Shape extents;
      for (std::size_t axis = 0; axis < rank; ++axis) extents.push_back(shape[axis + 2]);
      auto execution = std::make_unique<const Execution>(network.program(), shape[0], extents);
      if (execution->arena_elements() > arena.elements()) {
        arena = Tensor(Shape{execution->arena_elements()});
      }
      if (executions.size() == kMaxShapes) executions.pop_back();
      executions.push_back(std::move(execution));
      found = executions.end() - 1;
    }
    std::rotate(executions.begin(), found, found + 1);
    return *executions.front();
  }
};

Session::Session(Network network) : impl_(std::make_unique<Impl>(std::move(network))) {}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;

Tensor Session::run(const Tensor& input) {
  Tensor output;
  run(input, output);
  return output;
}

void Session::run(const Tensor& input, Tensor& output) {
  impl_->ran = false;  // until the arena holds this run's values
  const Execution& execution = impl_->prepare(input);
  if (output.shape() != execution.output_shape()) output = Tensor(execution.output_shape());
  execution.run(input.data(), output.data(), impl_->arena.data());
  impl_->ran = true;
}

Tensor Session::value(std::string_view name, Frequency frequency) const {
  const Network::Program& program = impl_->network.program();
  const NodeId id = program.graph.find(name);
  if (std::find(program.keep.begin(), program.keep.end(), id) == program.keep.end()) {
    throw InvalidArgument("network '" + impl_->network.name() + "': value '" + std::string(name) +
                          "' was not kept");
  }
  if (!impl_->ran) {
    throw InvalidArgument("network '" + impl_->network.name() + "': value '" + std::string(name) +
                          "' is asked for before a run");
  }
  return impl_->executions.front()->read(id, frequency, impl_->arena.data());
}

std::int64_t Session::arena_elements() const noexcept {
  return impl_->arena.elements();
}

}  // namespace octconv
