// SPDX-License-Identifier: Apache-2.0
#include "workflow/layer_share.h"

#include "octconv/octave/conv.h"

namespace octconv::workflow {
namespace {

struct LayerCost {
  std::int64_t macs = 0;
  std::int64_t elements = 0;
};

LayerCost layer_cost(double alpha) {
  const Shape extents{56, 56};
  const ChannelSplit split = split_channels(64, alpha);
  const ConvOptions conv{.in = split,
                         .out = split,
                         .kernel = {3, 3},
                         .stride = {1, 1},
                         .dilation = {1, 1},
                         .padding_begin = {1, 1},
                         .padding_end = {1, 1},
                         .octave = {2, 2}};
  LayerCost cost;
  for (const ConvPath& path : conv_paths(conv)) cost.macs += path_macs(conv, path, extents);
  cost.elements =
      split.high * extents.elements() + split.low * low_extents(extents, conv.octave).elements();
  return cost;
}

}  // namespace

LayerShare layer_share(double alpha) {
  const LayerCost octave = layer_cost(alpha);
  const LayerCost ordinary = layer_cost(0);
  return {
      .macs = static_cast<double>(octave.macs) / static_cast<double>(ordinary.macs),
      .elements = static_cast<double>(octave.elements) / static_cast<double>(ordinary.elements)};
}

}  // namespace octconv::workflow
