// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/execution.h"
#include "engine/inputs.h"
#include "octconv/base/error.h"
#include "octconv/engine/network.h"

namespace octconv {
namespace {

using engine::Execution;

constexpr std::size_t kMaxShapes = 16;

// Floats of working memory that a last-level cache holds beside the weights. A batch whose values
// are larger is run in parts: what a layer has made would be far away when the next wants it.
constexpr std::int64_t kNearFloats = std::int64_t{7} << 20;

// How a batch is run: as so many parts of the same size, and one smaller part.
struct Planned {
  std::int64_t batch = 0;
  std::unique_ptr<const Execution> part;
  std::unique_ptr<const Execution> rest;  // null: there is none

  [[nodiscard]] std::int64_t arena_elements() const {
    return std::max(part->arena_elements(), rest == nullptr ? 0 : rest->arena_elements());
  }
};

Planned plan(const Network::Program& program, std::int64_t batch,
             const std::vector<Shape>& extents) {
  const auto make = [&](std::int64_t images) {
    return std::make_unique<const Execution>(program, images, extents);
  };
  // Kept values are those of the whole batch.
  if (batch < 2 || !program.keep.empty()) return {.batch = batch, .part = make(batch), .rest = {}};
  const std::int64_t one = std::max<std::int64_t>(1, make(1)->arena_elements());
  const std::int64_t most = std::clamp<std::int64_t>(kNearFloats / one, 1, batch);
  const std::int64_t parts = (batch + most - 1) / most;
  const std::int64_t images = (batch + parts - 1) / parts;
  Planned planned{.batch = batch, .part = make(images), .rest = {}};
  if (batch % images != 0) planned.rest = make(batch % images);
  return planned;
}

}  // namespace

struct Session::Impl {
  Network network;
  SessionOptions options;
  std::vector<Planned> plans;  // the last used first
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
  const Planned& prepare(std::span<const Tensor> inputs) {
    engine::check_inputs(network.program(), inputs);
    const std::int64_t batch = inputs[0].shape()[0];
    const auto fits = [&](const Planned& planned) {
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
      Planned planned = plan(network.program(), batch, extents);
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
    const Planned& planned = prepare(inputs);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      Shape shape = planned.part->output_shapes()[i];
      shape[0] = planned.batch;
      if (outputs[i].shape() != shape) outputs[i] = Tensor(shape);
    }
    std::int64_t image = 0;
    do {
      const bool whole = planned.batch - image >= planned.part->batch();
      const Execution& execution = whole ? *planned.part : *planned.rest;
      execution.run(inputs, outputs, arena.data(), image);
      image += execution.batch();
    } while (image < planned.batch);
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
