// SPDX-License-Identifier: Apache-2.0
#include "nn/path_groups.h"

#include <algorithm>
#include <utility>

namespace octconv::nn {
namespace {

bool joins(const ConvPath& a, const ConvPath& b) {
  return a.dst == b.dst && a.stride == b.stride && !a.upsampled() && !b.upsampled() &&
         a.groups == 1 && b.groups == 1;
}

}  // namespace

std::vector<PathGroup> group_paths(const ConvOptions& options) {
  std::vector<PathGroup> groups;
  for (ConvPath& path : conv_paths(options)) {
    const auto home = std::find_if(groups.begin(), groups.end(), [&](const PathGroup& group) {
      return joins(group.first(), path);
    });
    if (home != groups.end()) {
      home->paths.push_back(std::move(path));
    } else {
      groups.push_back({{std::move(path)}});
    }
  }
  for (PathGroup& group : groups) {
    std::sort(group.paths.begin(), group.paths.end(),
              [](const ConvPath& a, const ConvPath& b) { return a.column < b.column; });
  }
  return groups;
}

}  // namespace octconv::nn
