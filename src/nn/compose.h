// SPDX-License-Identifier: Apache-2.0
// What the octave convolution and its transposed form share: checks of tensors and what paths read.
#pragma once

#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "octconv/nn/oct_tensor.h"
#include "octconv/octave/conv.h"

namespace octconv::nn {

/// Shape of a tensor, for messages and comparisons.
[[nodiscard]] Shape shape_of(const at::Tensor& x);

/// Does the input lack the batch axis of a layer of this rank?
[[nodiscard]] bool is_unbatched(const OctTensor& input, std::size_t rank);
[[nodiscard]] OctTensor with_batch(const OctTensor& input);
[[nodiscard]] OctTensor without_batch(const OctTensor& output);

/// @param who  starts the message
/// @throws InvalidArgument naming the tensor, what it is and what it should be
void check_operands(const std::string& who, const OctTensor& input, const ChannelSplit& in,
                    std::size_t rank, const at::Tensor& weight, const Shape& weight_shape,
                    const at::Tensor& bias, std::int64_t out_channels);

/// What the paths read, each pooled tensor made once.
class PathSources {
 public:
  PathSources(const OctTensor& input, OddLow odd_low) : input_(input), odd_low_(odd_low) {}

  [[nodiscard]] at::Tensor get(const ConvPath& path) { return get(path.src, path.pools); }

 private:
  struct Pooled {
    Frequency src;
    std::vector<PathPool> pools;
    at::Tensor tensor;
  };

  at::Tensor get(Frequency src, const std::vector<PathPool>& pools);

  const OctTensor& input_;
  OddLow odd_low_;
  std::vector<Pooled> made_;
};

}  // namespace octconv::nn
