// SPDX-License-Identifier: Apache-2.0
// Element-wise operations. Results may overwrite an operand.
#pragma once

#include <cstdint>

#include "octconv/kernels/activation.h"

namespace octconv::kernels {

/// out[p][c] = activation(src[p][c] * scale[c] + shift[c])
void scale_shift(const float* src, std::int64_t pixels, std::int64_t channels, const float* scale,
                 const float* shift, Activation activation, float* out) noexcept;

/// out[p][c] = src[p][c] * scale[c]
void scale(const float* src, std::int64_t pixels, std::int64_t channels, const float* scale,
           float* out) noexcept;

/// out[i] = activation(a[i] + b[i])
void add(const float* a, const float* b, std::int64_t count, Activation activation,
         float* out) noexcept;

/// out[i] = activation(a[i] * b[i])
void multiply(const float* a, const float* b, std::int64_t count, Activation activation,
              float* out) noexcept;

/// out[i] = activation(src[i])
void activate(const float* src, std::int64_t count, Activation activation, float* out) noexcept;

}  // namespace octconv::kernels
