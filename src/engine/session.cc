// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/batch_parts.h"
#include "engine/execution.h"
#include "engine/inputs.h"
#include "octconv/base/error.h"
#include "octconv/engine/network.h"

namespace octconv {
namespace {

using engine::BatchParts;
using engine::Execution;

constexpr std::size_t kMaxShapes = 16;

}  // namespace

struct Session::Impl {
  Network network;
  SessionOptions options;
  std::vector<BatchParts> plans;  // the last used first
  Tensor arena;
  bool ran = false;

  Impl(Network compiled, SessionOptions chosen)
      : network(std::move(compiled)), options(std::move(chosen)) {
    plans.reserve(kMaxShapes);
    if (options.threads < 0 || options.threads > 1024) {
      throw InvalidArgument("Session: threads must be in [0, 1024], got " +
                            std::to_string(options.threads));
    }
    if (options.executor && options.threads != 0) {
      throw InvalidArgument("Session: an executor has its own threads, got threads " +
                            std::to_string(options.threads) + " too");
    }
  }

  // The plan for these inputs; it becomes the first.
  const BatchParts& prepare(std::span<const Tensor> inputs) {
    engine::check_inputs(network.program(), inputs);
    const std::int64_t batch = inputs[0].shape()[0];
    const auto fits = [&](const BatchParts& planned) {
      bool same = planned.batch == batch;
      for (std::size_t i = 0; i < inputs.size(); ++i) {
        const Shape& shape = inputs[i].shape();
        same =
            same && std::equal(shape.begin() + 2, shape.end(), planned.part->extents()[i].begin());
      }
      return same;
    };
    auto found = std::find_if(plans.begin(), plans.end(), fits);
    if (found == plans.end()) {
      std::vector<Shape> extents;
      for (const Tensor& input : inputs)
        extents.emplace_back(std::span(input.shape().begin() + 2, network.rank()));
      BatchParts planned = engine::divide_batch(network.program(), batch, extents);
      if (planned.arena_elements() > arena.elements()) {
        arena = Tensor(Shape{planned.arena_elements()});
      }
      if (plans.size() == kMaxShapes) plans.pop_back();
      plans.push_back(std::move(planned));
      found = plans.end() - 1;
    }
    std::rotate(plans.begin(), found, found + 1);
    return plans.front();
  }

  // Plans and runs with the threads that the options say.
  void run(std::span<const Tensor> inputs, std::span<Tensor> outputs) {
    std::optional<ParallelScope> scope;
    if (options.executor) {
      scope.emplace(*options.executor);
    } else if (options.threads != 0) {
      scope.emplace(options.threads);
    }
    const BatchParts& planned = prepare(inputs);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      Shape shape = planned.part->output_shapes()[i];
      shape[0] = planned.batch;
      if (outputs[i].shape() != shape) outputs[i] = Tensor(shape);
    }
    planned.for_each([&](const Execution& execution, std::int64_t image) {
      execution.run(inputs, outputs, arena.data(), image);
    });
  }
};

Session::Session(Network network, SessionOptions options)
    : impl_(std::make_unique<Impl>(std::move(network), std::move(options))) {}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;

Tensor Session::run(const Tensor& input) {
  Tensor output;
  run(input, output);
  return output;
}

void Session::run(const Tensor& input, Tensor& output) {
  run(std::span(&input, 1), std::span(&output, 1));
}

std::vector<Tensor> Session::run(std::span<const Tensor> inputs) {
  std::vector<Tensor> outputs(impl_->network.outputs().size());
  run(inputs, outputs);
  return outputs;
}

void Session::run(std::span<const Tensor> inputs, std::span<Tensor> outputs) {
  impl_->ran = false;  // until the arena holds this run's values
  if (outputs.size() != impl_->network.outputs().size()) {
    throw InvalidArgument("network '" + impl_->network.name() + "' has " +
                          std::to_string(impl_->network.outputs().size()) +
                          " outputs, got room for " + std::to_string(outputs.size()));
  }
  impl_->run(inputs, outputs);
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
  return impl_->plans.front().part->read(id, frequency, impl_->arena.data());
}

std::int64_t Session::arena_elements() const noexcept {
  return impl_->arena.elements();
}

}  // namespace octconv
