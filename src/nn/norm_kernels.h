// SPDX-License-Identifier: Apache-2.0
// Loops of batch norm in training, with what follows it, both ways.
//
// A map is `rows` rows of `columns` floats, and what belongs to a channel is an array of `columns`
// floats. One row is one or more pixels, channels last: 4 channels fill no vector, but 2 pixels of
// 4 channels do. Sums run over rows, in float and in order; callers keep rows few and go on in
// double.
#pragma once

#include <cstdint>

namespace octconv::nn::kernels {

/// sums[k] = sum over rows of x[row][k]
void column_sums(const float* x, std::int64_t rows, std::int64_t columns, float* sums) noexcept;

/// sums[k] = sum over rows of (x[row][k] - centre[k])^2
void column_squares(const float* x, std::int64_t rows, std::int64_t columns, const float* centre,
                    float* sums) noexcept;

/// out = x * scale[k] + shift[k] + residual, negative values then 0 if `rectified`. `residual` may
/// be null.
void scale_shift_add(const float* x, std::int64_t rows, std::int64_t columns, const float* scale,
                     const float* shift, const float* residual, bool rectified,
                     float* out) noexcept;

/// The gradient behind the rectifier: g = diff_out where the result is positive, else 0. The result
/// is `out`, or x * scale[k] + shift[k] where that is null; without `scale` either there is no
/// rectifier and g = diff_out.
struct NormGradient {
  const float* diff_out = nullptr;
  const float* out = nullptr;
  const float* x = nullptr;
  const float* scale = nullptr;
  const float* shift = nullptr;
};

/// sums[k] = sum over rows of g, products[k] = sum over rows of g * (x - centre[k])
void gradient_sums(const NormGradient& gradient, std::int64_t rows, std::int64_t columns,
                   const float* centre, float* sums, float* products) noexcept;

/// diff_x = g * a[k] + (x - centre[k]) * b[k] + c[k]; diff_residual = g, may be null.
void gradient_map(const NormGradient& gradient, std::int64_t rows, std::int64_t columns,
                  const float* centre, const float* a, const float* b, const float* c,
                  float* diff_x, float* diff_residual) noexcept;

}  // namespace octconv::nn::kernels
