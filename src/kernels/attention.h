// SPDX-License-Identifier: Apache-2.0
// Attention between all positions, channels last.
#pragma once

#include <cstdint>

namespace octconv::kernels {

/// out[q][:] = sum over p: softmax over p (factor * dot(queries[q], keys[p])) * values[p][:]
struct AttentionRows {
  const float* queries = nullptr;  ///< [queries][channels]
  const float* keys = nullptr;     ///< [positions][channels]
  const float* values = nullptr;   ///< [positions][width]
  float* out = nullptr;            ///< [queries][width]; overlaps nothing
  std::int64_t channels = 0;
  std::int64_t positions = 0;  ///< >= 1
  std::int64_t width = 0;
  float factor = 1;
};

/// Queries [begin, end). Each is computed alone: its bits do not depend on the range.
void attention(const AttentionRows& rows, std::int64_t begin, std::int64_t end) noexcept;

}  // namespace octconv::kernels
