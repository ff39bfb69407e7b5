// SPDX-License-Identifier: Apache-2.0
// Part of a weight.
#pragma once

#include <cstdint>
#include <cstring>

#include "octconv/tensor/tensor.h"

namespace octconv {

/// Copies floats [rows, columns, taps...] to rows and columns of a weight [out, in, taps...]; a
/// bias [out] has one column.
///
/// @param block  says where: `row`, `rows`, `column` and `columns`, as a ConvPath does
template <class Block>
void copy_block(const void* src, const Block& block, Tensor& weight) {
  const Shape& shape = weight.shape();
  const std::int64_t columns = shape.rank() > 1 ? shape[1] : 1;
  const std::int64_t taps = weight.elements() / (shape[0] * columns);
  const std::size_t row_bytes = static_cast<std::size_t>(block.columns * taps) * sizeof(float);
  for (std::int64_t row = 0; row < block.rows; ++row) {
    std::memcpy(weight.data() + ((block.row + row) * columns + block.column) * taps,
                static_cast<const char*>(src) + static_cast<std::size_t>(row) * row_bytes,
                row_bytes);
  }
}

}  // namespace octconv
