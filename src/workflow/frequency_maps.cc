// SPDX-License-Identifier: Apache-2.0
#include "workflow/frequency_maps.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "octconv/engine/network.h"

namespace octconv::workflow {
namespace {

using Map = std::span<const float>;

Map map_of(const Tensor& maps, std::size_t channel) {
  const auto pixels = static_cast<std::size_t>(maps.shape()[2] * maps.shape()[3]);
  return maps.values().subspan(channel * pixels, pixels);
}

// Sum of squares around the mean.
double energy(Map map) {
  const double mean =
      std::accumulate(map.begin(), map.end(), 0.0) / static_cast<double>(map.size());
  return std::accumulate(map.begin(), map.end(), 0.0, [&](double sum, float value) {
    return sum + (value - mean) * (value - mean);
  });
}

// Sum of squares around the mean of each cell of the low grid.
double fine_energy(Map map, std::int64_t height, std::int64_t width) {
  double sum = 0;
  for (std::int64_t top = 0; top < height; top += 2) {
    for (std::int64_t left = 0; left < width; left += 2) {
      std::vector<float> cell;
      for (std::int64_t i = top; i < std::min(top + 2, height); ++i) {
        for (std::int64_t j = left; j < std::min(left + 2, width); ++j) {
          cell.push_back(map[static_cast<std::size_t>(i * width + j)]);
        }
      }
      sum += energy(cell);
    }
  }
  return sum;
}

}  // namespace

std::vector<NodeId> octave_nodes(const Graph& graph, std::size_t count) {
  std::vector<NodeId> activations;
  std::vector<NodeId> all;
  for (NodeId id = 0; id < static_cast<NodeId>(graph.nodes().size()); ++id) {
    const Node& node = graph.node(id);
    if (!node.spatial || node.channels.low == 0 || node.channels.high == 0) continue;
    all.push_back(id);
    if (std::holds_alternative<Activation>(node.op)) activations.push_back(id);
  }
  std::vector<NodeId> chosen = activations.empty() ? all : activations;
  chosen.resize(std::min(chosen.size(), count));
  return chosen;
}

double fine_share(const Tensor& maps) {
  double fine = 0;
  double whole = 0;
  for (std::size_t c = 0; c < static_cast<std::size_t>(maps.shape()[1]); ++c) {
    fine += fine_energy(map_of(maps, c), maps.shape()[2], maps.shape()[3]);
    whole += energy(map_of(maps, c));
  }
  return whole > 0 ? fine / whole : 0;
}

Image stretched(std::span<const float> map, std::int64_t height, std::int64_t width) {
  const auto [low, high] = std::minmax_element(map.begin(), map.end());
  const float span = *high - *low;
  Image image{.height = height, .width = width, .channels = 1};
  for (const float value : map) {
    const float level = span > 0 ? (value - *low) / span * 255 : 0;
    image.pixels.push_back(static_cast<std::uint8_t>(std::lround(level)));
  }
  return image;
}

std::vector<Image> clearest_maps(const Tensor& maps, std::size_t count) {
  const auto channels = static_cast<std::size_t>(maps.shape()[1]);
  std::vector<double> energies;
  for (std::size_t c = 0; c < channels; ++c) energies.push_back(energy(map_of(maps, c)));
  std::vector<std::size_t> order(channels);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return energies[a] > energies[b]; });
  order.resize(std::min(channels, count));
  std::vector<Image> images;
  for (const std::size_t c : order) {
    images.push_back(stretched(map_of(maps, c), maps.shape()[2], maps.shape()[3]));
  }
  return images;
}

std::vector<FrequencyMaps> frequency_maps(const Model& model, const Tensor& input,
                                          const std::vector<NodeId>& nodes, std::size_t maps) {
  CompileOptions options;
  for (const NodeId id : nodes) options.keep.push_back(model.graph.node(id).name);
  const Network network = compile(model, options);
  Session session(network);
  static_cast<void>(session.run(input));
  std::vector<FrequencyMaps> all;
  for (const NodeId id : nodes) {
    const Node& node = model.graph.node(id);
    const Tensor high = session.value(node.name, Frequency::kHigh);
    const Tensor low = session.value(node.name, Frequency::kLow);
    all.push_back({.node = node.name,
                   .channels = node.channels,
                   .high = clearest_maps(high, maps),
                   .low = clearest_maps(low, maps),
                   .fine_share = fine_share(high)});
  }
  return all;
}

}  // namespace octconv::workflow
