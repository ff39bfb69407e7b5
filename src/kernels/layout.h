// SPDX-License-Identifier: Apache-2.0
// From channels first to channels last and back.
#pragma once

#include <cstdint>

namespace octconv::kernels {

/// out[column][row] = src[row][column], for columns [begin, end).
void transpose(const float* src, std::int64_t rows, std::int64_t columns, std::int64_t begin,
               std::int64_t end, float* out) noexcept;

}  // namespace octconv::kernels
