// SPDX-License-Identifier: Apache-2.0
// The options with which commands choose a network of the zoo and make it octave.
#pragma once

#include <cstdint>
#include <string>

#include <CLI/CLI.hpp>

#include "octconv/graph/octavize.h"
#include "octconv/tensor/shape.h"

namespace octconv::tool {

struct NetworkArguments {
  std::string network;
  double alpha = 0;
  std::string stride_mode;
  std::string exchange = "both";
  std::string downsample = "average";
  std::string low_to_high = "conv_then_upsample";
  std::int64_t size = 0;
  std::int64_t in_channels = 0;
  std::int64_t classes = 0;
};

struct ChosenNetwork {
  Graph ordinary;
  Octavized octave;
  Shape extents;  ///< of the input image
};

/// Adds the options to a command; `arguments` must outlive it.
void add_network_options(CLI::App& command, NetworkArguments& arguments);

/// @throws octconv::Error for values that name no network
[[nodiscard]] ChosenNetwork choose_network(const NetworkArguments& arguments);

}  // namespace octconv::tool
