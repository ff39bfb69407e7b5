// SPDX-License-Identifier: Apache-2.0
// Pictures of the two frequencies inside an octave network.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "octconv/graph/graph.h"
#include "octconv/graph/model.h"
#include "octconv/image/image.h"
#include "octconv/tensor/tensor.h"

namespace octconv::workflow {

// The maps of one octave value.
struct FrequencyMaps {
  std::string node;
  ChannelSplit channels;
  // Some maps of each frequency, those with most contrast first; one grey pixel per value, each map
  // stretched from its smallest value (black) to its largest (white).
  std::vector<Image> high;
  std::vector<Image> low;
  // Which share of the high maps' contrast is finer than the low grid: the energy that pooling and
  // upsampling them again would lose, of their energy around the mean of each.
  double fine_share = 0;
};

// Up to `count` nodes with values of both frequencies, in order: activations, or whatever there is
// if no activation is octave.
std::vector<NodeId> octave_nodes(const Graph& graph, std::size_t count);

// The maps of those nodes for one input image [1, channels, height, width].
std::vector<FrequencyMaps> frequency_maps(const Model& model, const Tensor& input,
                                          const std::vector<NodeId>& nodes, std::size_t maps);

// fine_share of [1, channels, height, width]; 0 for maps without contrast.
double fine_share(const Tensor& maps);

// A map of height x width values from black for its smallest to white for its largest.
Image stretched(std::span<const float> map, std::int64_t height, std::int64_t width);

// The `count` maps with the largest deviation, each as a picture.
std::vector<Image> clearest_maps(const Tensor& maps, std::size_t count);

}  // namespace octconv::workflow
