// SPDX-License-Identifier: Apache-2.0
// The list of networks.
#include "octconv/graph/zoo.h"

#include <algorithm>

#include "graph/zoo/families.h"
#include "octconv/base/error.h"
#include "octconv/base/text.h"

namespace octconv {

const std::vector<ZooEntry>& zoo_entries() {
  static const std::vector<ZooEntry> entries = [] {
    std::vector<ZooEntry> all;
    for (const auto& family :
         {zoo::cifar_resnets(), zoo::wide_resnets(), zoo::basic_resnets(),
          zoo::pre_activation_resnets(), zoo::post_activation_resnets(), zoo::densenets(),
          zoo::mobilenets_v1(), zoo::mobilenets_v2(), zoo::video_resnets()}) {
      all.insert(all.end(), family.begin(), family.end());
    }
    return all;
  }();
  return entries;
}

Graph make_network(std::string_view name, const NetworkOptions& options) {
  for (const auto& [what, value] :
       {std::pair{"input channels", options.in_channels}, std::pair{"classes", options.classes}}) {
    if (value && *value < 1) {
      throw InvalidArgument("network '" + std::string(name) + "': " + what +
                            " must be at least 1, got " + std::to_string(*value));
    }
  }
  const auto entry = std::find_if(zoo_entries().begin(), zoo_entries().end(),
                                  [&](const ZooEntry& e) { return e.name == name; });
  if (entry == zoo_entries().end()) {
    std::vector<std::string> names;
    for (const ZooEntry& known : zoo_entries()) names.emplace_back(known.name);
    const std::string nearest = nearest_name(name, names);
    throw InvalidArgument(
        "unknown network '" + std::string(name) + "'; " +
        (nearest.empty() ? "known are " + join(names, ", ") : "did you mean '" + nearest + "'?"));
  }
  Graph graph = entry->build(entry->name, options);
  if (options.zero_gamma &&
      std::none_of(graph.nodes().begin(), graph.nodes().end(), [](const Node& node) {
        const auto* norm = std::get_if<BatchNorm>(&node.op);
        return norm != nullptr && norm->initial_scale == 0;
      })) {
    throw InvalidArgument("network '" + std::string(name) +
                          "': no residual branch ends with a batch norm whose scale could be 0");
  }
  return graph;
}

}  // namespace octconv
