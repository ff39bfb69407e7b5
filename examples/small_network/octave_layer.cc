// SPDX-License-Identifier: Apache-2.0
// Two octave layers and their gradient: the program of docs/octave-convolution.md.
#include <torch/torch.h>
#include <iostream>
#include "octconv/nn/modules.h"

namespace nn = octconv::nn;

int main() {
  nn::OctConv2d first(nn::OctConv2dOptions(3, 64, 3).padding(1).alpha_in(0).alpha_out(0.5));
  nn::OctConv2d second(nn::OctConv2dOptions(64, 128, 3).padding(1).stride(2).alpha(0.5));
  const nn::OctTensor y = second(nn::relu(first(torch::rand({1, 3, 33, 33}))));
  std::cout << "high " << y.high.sizes() << ", low " << y.low.sizes() << '\n';
  nn::merge(y, {2, 2}).sum().backward();
  std::cout << "gradient " << first->weight.grad().sizes() << '\n';
}
