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

struct NetworkOptions {
  std::optional<std::int64_t> in_channels;  ///< unset: the network's own (3)
  std::optional<std::int64_t> classes;      ///< unset: the network's own (10, 1000, video 400)
  /// New networks start with a scale of 0 in the last batch norm of every residual branch, so that
  /// a block changes nothing at first (the authors' `last_gamma`). Families whose branches do not
  /// end with a batch norm refuse it.
  bool zero_gamma = false;
};

struct ZooEntry {
  std::string_view name;
  std::string_view summary;  ///< one line with its source
  Graph (*build)(std::string_view name, const NetworkOptions& options);
};

[[nodiscard]] OCTCONV_API const std::vector<ZooEntry>& zoo_entries();

/// @throws InvalidArgument for an unknown name, suggesting the nearest; for channels or classes <
/// 1; for `zero_gamma` where there is no such batch norm
[[nodiscard]] OCTCONV_API Graph make_network(std::string_view name,
                                             const NetworkOptions& options = {});

}  // namespace octconv
