// SPDX-License-Identifier: Apache-2.0
#include "kernels/layout.h"

#include <algorithm>

#include "kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/layout.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h, which chooses the target.
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace octconv::kernels {
namespace HWY_NAMESPACE {

// Three rows: the colours of a picture.
void TransposeThree(const float* src, std::int64_t columns, std::int64_t begin, std::int64_t end,
                    float* out) {
  constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(Tag()));
  const Tag d;
  std::int64_t c = begin;
  for (; c + kLanes <= end; c += kLanes) {
    const float* at = src + c;
    hn::StoreInterleaved3(hn::LoadU(d, at), hn::LoadU(d, at + columns),
                          hn::LoadU(d, at + 2 * columns), d, out + 3 * c);
  }
  for (; c < end; ++c) {
    for (std::int64_t r = 0; r < 3; ++r) out[c * 3 + r] = src[r * columns + c];
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace octconv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace octconv::kernels {

HWY_EXPORT(TransposeThree);

void transpose(const float* src, std::int64_t rows, std::int64_t columns, std::int64_t begin,
               std::int64_t end, float* out) noexcept {
  if (rows == 3) {
    HWY_DYNAMIC_DISPATCH(TransposeThree)(src, columns, begin, end, out);
    return;
  }
  constexpr std::int64_t kBlock = 16;  // floats of one cache line
  for (std::int64_t column = begin; column < end; column += kBlock) {
    const std::int64_t column_end = std::min(column + kBlock, end);
    for (std::int64_t row = 0; row < rows; row += kBlock) {
      const std::int64_t row_end = std::min(row + kBlock, rows);
      for (std::int64_t c = column; c < column_end; ++c) {
        for (std::int64_t r = row; r < row_end; ++r) out[c * rows + r] = src[r * columns + c];
      }
    }
  }
}

}  // namespace octconv::kernels
#endif
