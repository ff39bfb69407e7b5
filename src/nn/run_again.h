// SPDX-License-Identifier: Apache-2.0
// A part of a network that keeps nothing of its inside for the backward pass, which computes it
// again.
#pragma once

#include <functional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "nn/norm.h"
#include "octconv/nn/oct_tensor.h"

namespace octconv::nn {

/// Computes a part from the value that it reads and its parameters. The second call, of the
/// backward pass, has other tensors with the same values and must make the same bits.
using Repeatable =
    std::function<OctTensor(const OctTensor& input, const std::vector<at::Tensor>& parameters)>;

/// `compute(input, parameters)`, of which the backward pass keeps `input`, or what `remade` says of
/// it where it is possible, and the parameters.
///
/// Gradients are of the input and of those parameters that want one, and have the bits that they
/// would have without it. There are no second derivatives.
[[nodiscard]] OctTensor run_again(const OctTensor& input, const OctRemade& remade,
                                  const std::vector<at::Tensor>& parameters,
                                  const Repeatable& compute);

}  // namespace octconv::nn
