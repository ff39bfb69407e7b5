// SPDX-License-Identifier: Apache-2.0
// Pooling of a value that its backward pass need not keep.
#pragma once

#include "nn/norm.h"
#include "octconv/nn/oct_tensor.h"

namespace octconv::nn {

/// `pool`, which for the backward pass makes `value` again as `remade` says, where that is
/// possible, instead of keeping it and LibTorch's indices of maxima.
[[nodiscard]] OctTensor pool_of(const OctTensor& value, const OctRemade& remade,
                                const Pool& options, const Shape& octave);

}  // namespace octconv::nn
