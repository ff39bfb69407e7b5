// SPDX-License-Identifier: Apache-2.0
// A user's program that touches every layer of octconv::torch, and so octconv::image.
#include <iostream>

#include "octconv/base/error.h"
#include "octconv/graph/octavize.h"
#include "octconv/graph/zoo.h"
#include "octconv/nn/graph_module.h"
#include "octconv/train/trainer.h"

int main() {
  const octconv::Graph network = octconv::make_network("resnet20");
  const octconv::nn::GraphModule module(octconv::octavize(network, {.alpha = 0.5}).graph);
  std::cout << module.named_parameters().size() << " parameters, ";
  try {
    const octconv::Dataset data = octconv::open_dataset("fashion-mnits");
    static_cast<void>(octconv::train::train(network, data, {}));
  } catch (const octconv::InvalidArgument&) {
    std::cout << "no such data\n";
  }
}
