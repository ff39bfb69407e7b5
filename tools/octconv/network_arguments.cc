// SPDX-License-Identifier: Apache-2.0
#include "network_arguments.h"

#include <utility>

#include "octconv/graph/zoo.h"

namespace octconv::tool {
namespace {

// Far above every use, and small enough that no count of a network of the zoo overflows.
constexpr std::int64_t kMaxSize = 1 << 16;
constexpr std::int64_t kMaxChannels = 1 << 20;

}  // namespace

void add_network_options(CLI::App& command, NetworkArguments& arguments) {
  command.add_option("network", arguments.network, "name from `octconv zoo`")->required();
  command.add_option("--alpha", arguments.alpha, "fraction of channels at half resolution, 0 to 1");
  command.add_option(
      "--stride-mode", arguments.stride_mode,
      "pool, pool_twice, pool_low or strided; default: the family's own where alpha > 0");
  command.add_option("--exchange", arguments.exchange, "both, high_to_low, low_to_high or none");
  command.add_option("--downsample", arguments.downsample,
                     "how high comes to the low grid: average, max or strided_conv");
  command.add_option("--low-to-high", arguments.low_to_high,
                     "conv_then_upsample or upsample_then_conv");
  command
      .add_option("--size", arguments.size, "input height and width; default: the network's own")
      ->check(CLI::Range(std::int64_t{1}, kMaxSize));
  command
      .add_option("--in-channels", arguments.in_channels,
                  "input channels; default: the network's own")
      ->check(CLI::Range(std::int64_t{1}, kMaxChannels));
  command.add_option("--classes", arguments.classes, "outputs; default: the network's own")
      ->check(CLI::Range(std::int64_t{1}, kMaxChannels));
}

ChosenNetwork choose_network(const NetworkArguments& arguments) {
  NetworkOptions network;
  if (arguments.in_channels != 0) network.in_channels = arguments.in_channels;
  if (arguments.classes != 0) network.classes = arguments.classes;
  Graph ordinary = make_network(arguments.network, network);
  OctavizeOptions options{.alpha = arguments.alpha,
                          .exchange = parse_exchange(arguments.exchange),
                          .downsample = parse_downsample(arguments.downsample),
                          .low_to_high = parse_low_to_high(arguments.low_to_high)};
  if (!arguments.stride_mode.empty())
    options.stride_mode = parse_stride_mode(arguments.stride_mode);
  Octavized octave = octavize(ordinary, options);
  const Shape extents =
      arguments.size != 0 ? ordinary.default_extents(arguments.size) : ordinary.default_extents();
  return {.ordinary = std::move(ordinary), .octave = std::move(octave), .extents = extents};
}

}  // namespace octconv::tool
