// SPDX-License-Identifier: Apache-2.0
// What images without labels say about an octave twin: which channels lose least on a low grid, and
// how the statistics of its layers have moved.
#pragma once

#include <cstdint>
#include <optional>

#include "octconv/graph/model.h"
#include "octconv/graph/permute.h"
#include "workflow/samples.h"

namespace octconv::workflow {

// What every channel would lose on a low grid: the energy of x - upsample(pool(x)) over all images,
// by node.
//
// Measured on the ordinary network, on values that convolutions and concatenations read; of each
// value the mean over its channels is 1, so that values that are tied together count alike. Other
// values have no scores.
ChannelScores lost_energy(const Model& model, const Samples& samples);

// How far a twin's outputs are from the network's over all images.
struct Distance {
  double relative = 0;               // norm of the difference, of the norm of the network's outputs
  std::optional<double> same_class;  // share of images with the same largest output; of classifiers
};

struct Calibrated {
  Model model;
  Distance before;
  Distance after;
  std::int64_t images = 0;
  std::int64_t norms = 0;  // whose statistics were estimated again
  std::int64_t convs = 0;  // that were scaled and shifted
};

// Gives every layer of the twin the statistics that it has on the images.
//
// Batch norms get the mean and the variance of what they read. A convolution without one behind it
// (files of others have them folded in) gets a scale and a bias per channel with which mean and
// deviation are those of the same channel of the network; a bias is added where it has none. Each
// layer is measured with all before it corrected, in one pass: in batches, each corrected by its
// own statistics, of which the result has the mean. Layers that nothing octave comes before are
// left as they are.
Calibrated calibrate(const Model& network, const Twin& twin, const Samples& samples);

}  // namespace octconv::workflow
