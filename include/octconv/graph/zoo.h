// SPDX-License-Identifier: Apache-2.0
// Networks by name. Each is described once, as the ordinary network; octavize makes its octave
// twin.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "octconv/base/api.h"
#include "octconv/graph/graph.h"

namespace octconv {

/// What of a network depends on the data.
struct NetworkOptions {
  std::optional<std::int64_t> in_channels;  ///< unset: the network's own (3)
  std::optional<std::int64_t> classes;      ///< unset: the network's own (10, 1000, video 400)
  /// New networks start with a scale of 0 in the last batch norm of every residual branch, so that
  /// a block changes nothing at first (the authors' `last_gamma`). Families whose branches do not
  /// end with a batch norm refuse it.
  bool zero_gamma = false;
};

/// A network that can be made by name.
struct ZooEntry {
  std::string_view name;     ///< as `make_network` takes it
  std::string_view summary;  ///< one line with its source
  /// Makes it; `make_network` checks the options first.
  Graph (*build)(std::string_view name, const NetworkOptions& options);
};

/// All networks, by family and size.
[[nodiscard]] OCTCONV_API const std::vector<ZooEntry>& zoo_entries();

/// The ordinary network of that name.
/// @throws InvalidArgument for an unknown name, suggesting the nearest; for channels or classes <
/// 1; for `zero_gamma` where there is no such batch norm
[[nodiscard]] OCTCONV_API Graph make_network(std::string_view name,
                                             const NetworkOptions& options = {});

}  // namespace octconv
