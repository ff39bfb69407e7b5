// SPDX-License-Identifier: Apache-2.0
#include "engine/inputs.h"

#include <string>

#include "octconv/base/error.h"

namespace octconv::engine {

void check_inputs(const Network::Program& program, std::span<const Tensor> inputs) {
  const std::vector<NetworkPort>& ports = program.inputs;
  const std::size_t rank = program.graph.rank();
  const auto fail = [&](const std::string& why) {
    throw InvalidArgument("network '" + program.graph.name() + "'" + why);
  };
  if (inputs.size() != ports.size()) {
    fail(" has " + std::to_string(ports.size()) + " inputs, got " + std::to_string(inputs.size()));
  }
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const Shape& shape = inputs[i].shape();
    const auto which = [&] {
      return ": " + (ports.size() == 1 ? "an input" : "input '" + ports[i].name + "'");
    };
    if (shape.rank() != rank + 2 || shape[1] != ports[i].channels) {
      fail(which() + " must be [batch, " + std::to_string(ports[i].channels) + ", " +
           std::to_string(rank) + " extents], got " + shape.to_string());
    }
    if (shape[0] != inputs[0].shape()[0]) {
      fail(which() + " has a batch of " + std::to_string(shape[0]) + ", and '" + ports[0].name +
           "' one of " + std::to_string(inputs[0].shape()[0]));
    }
  }
}

}  // namespace octconv::engine
