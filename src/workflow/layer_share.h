// SPDX-License-Identifier: Apache-2.0
// What one octave layer costs as a share of the ordinary one: the article's table 1.
#pragma once

namespace octconv::workflow {

struct LayerShare {
  double macs = 0;      // multiply-adds; 1 - 3/4 alpha (2 - alpha) in theory
  double elements = 0;  // of the output; 1 - 3/4 alpha in theory
};

// Of a layer with the same alpha on both sides. Counted on a 3 x 3 layer of 64 channels and 56 x 56
// pixels, so exact for multiples of 1/64. Throws InvalidArgument unless alpha is in [0, 1].
LayerShare layer_share(double alpha);

}  // namespace octconv::workflow
