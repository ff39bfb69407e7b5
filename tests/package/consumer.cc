// SPDX-License-Identifier: Apache-2.0
// A user's program that touches every layer of octconv::octconv.
#include <iostream>

#include "octconv/base/version.h"
#include "octconv/engine/network.h"
#include "octconv/graph/cost.h"
#include "octconv/graph/model.h"
#include "octconv/graph/octavize.h"
#include "octconv/graph/zoo.h"
#include "octconv/onnx/onnx.h"

int main() {
  const octconv::Graph network = octconv::make_network("resnet20");
  octconv::Graph twin = octconv::octavize(network, {.alpha = 0.5}).graph;
  const octconv::Shape extents = network.default_extents();
  std::cout << octconv::cost(twin, extents).macs << " of " << octconv::cost(network, extents).macs
            << " multiply-adds";

  octconv::Weights weights = octconv::initial_weights(twin, 1);
  const octconv::Model model{
      .graph = std::move(twin), .weights = std::move(weights), .preprocessing = {}};
  const octconv::Model again = octconv::parse_onnx(octconv::export_onnx(model), "twin.onnx");
  octconv::Session session(octconv::compile(again));
  std::cout << ", " << session.run(octconv::Tensor({2, 3, 32, 32})).elements() << " scores\n";
}
