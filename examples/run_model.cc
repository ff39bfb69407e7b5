// SPDX-License-Identifier: Apache-2.0
// Runs an ONNX model on an array: run_model model.onnx input.npy
#include <iostream>

#include "octconv/engine/network.h"
#include "octconv/onnx/onnx.h"
#include "octconv/tensor/npy.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: run_model model.onnx input.npy\n";
    return 2;
  }
  octconv::Session session(octconv::compile(octconv::load_onnx(argv[1])));
  const octconv::Tensor scores = session.run(octconv::read_npy(argv[2]));
  std::cout << "scores " << scores.shape().to_string() << ":";
  for (const float score : scores.values()) std::cout << ' ' << score;
  std::cout << '\n';
}
