// SPDX-License-Identifier: Apache-2.0
// A user's program: what an octave network saves.
#include <iostream>

#include "octconv/graph/cost.h"
#include "octconv/graph/octavize.h"
#include "octconv/graph/zoo.h"

int main() {
  const octconv::Graph network = octconv::make_network("resnet50v2");
  const octconv::Octavized twin = octconv::octavize(network, {.alpha = 0.5});
  const octconv::Shape extents = network.default_extents();
  std::cout << octconv::cost(twin.graph, extents).macs << " of "
            << octconv::cost(network, extents).macs << " multiply-adds\n";
}
