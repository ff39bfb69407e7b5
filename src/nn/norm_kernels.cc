// SPDX-License-Identifier: Apache-2.0
#include "nn/norm_kernels.h"

#include <array>
#include <cstddef>
#include <type_traits>

#include "kernels/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "nn/norm_kernels.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h, which chooses the target.
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace octconv::nn::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
namespace simd = octconv::kernels::HWY_NAMESPACE;

using simd::PartVector;
using simd::Tag;
using simd::Vector;
using simd::WholeVector;

constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(Tag()));
// Accumulators at once, which hide the latency of an addition.
constexpr std::int64_t kUnroll = 4;

// Calls map.Run(column, index, access) for all vectors of all rows.
template <class Map>
HWY_INLINE void ForElements(std::int64_t rows, std::int64_t columns, const Map& map) {
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t start = row * columns;
    simd::ForChannelVectors(columns, [&](std::int64_t column, auto access)
                                         HWY_ATTR { map.Run(column, start + column, access); });
  }
}

// Some vectors of columns, down all rows. Sum is made from (arguments, column, access), Add takes
// an element, Finish stores.
template <class Sum, std::size_t kVectors, class Access>
HWY_INLINE void SumColumns(const typename Sum::Arguments& arguments, std::int64_t rows,
                           std::int64_t columns, std::int64_t column, Access access) {
  const auto place = [](std::size_t v) { return static_cast<std::int64_t>(v) * kLanes; };
  std::array<Sum, kVectors> sums;
  for (std::size_t v = 0; v < kVectors; ++v) sums[v].Start(arguments, column + place(v), access);
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t first = row * columns + column;
    for (std::size_t v = 0; v < kVectors; ++v) sums[v].Add(arguments, first + place(v), access);
  }
  for (std::size_t v = 0; v < kVectors; ++v) sums[v].Finish(arguments, column + place(v), access);
}

template <class Sum>
HWY_INLINE void ForColumns(const typename Sum::Arguments& arguments, std::int64_t rows,
                           std::int64_t columns) {
  std::int64_t column = 0;
  for (; column + kUnroll * kLanes <= columns; column += kUnroll * kLanes) {
    SumColumns<Sum, kUnroll>(arguments, rows, columns, column, WholeVector());
  }
  for (; column + kLanes <= columns; column += kLanes) {
    SumColumns<Sum, 1>(arguments, rows, columns, column, WholeVector());
  }
  if (column < columns) {
    SumColumns<Sum, 1>(arguments, rows, columns, column,
                       PartVector{static_cast<std::size_t>(columns - column)});
  }
}

struct PlainSum {
  struct Arguments {
    const float* x;
    float* sums;
  };
  Vector sum;

  template <class Access>
  HWY_INLINE void Start(const Arguments&, std::int64_t, Access) {
    sum = hn::Zero(Tag());
  }
  template <class Access>
  HWY_INLINE void Add(const Arguments& a, std::int64_t i, Access access) {
    sum = hn::Add(sum, access.Load(a.x + i));
  }
  template <class Access>
  HWY_INLINE void Finish(const Arguments& a, std::int64_t column, Access access) {
    access.Store(sum, a.sums + column);
  }
};

struct SquareSum {
  struct Arguments {
    const float* x;
    const float* centre;
    float* sums;
  };
  Vector centre;
  Vector sum;

  template <class Access>
  HWY_INLINE void Start(const Arguments& a, std::int64_t column, Access access) {
    centre = access.Load(a.centre + column);
    sum = hn::Zero(Tag());
  }
  template <class Access>
  HWY_INLINE void Add(const Arguments& a, std::int64_t i, Access access) {
    const Vector distance = hn::Sub(access.Load(a.x + i), centre);
    sum = hn::MulAdd(distance, distance, sum);
  }
  template <class Access>
  HWY_INLINE void Finish(const Arguments& a, std::int64_t column, Access access) {
    access.Store(sum, a.sums + column);
  }
};

// How a gradient passes the rectifier: there is none, its result was kept, its result is made
// again.
enum class Rectifier { kNone, kKept, kMadeAgain };

template <Rectifier kRectifier, class Access>
HWY_INLINE Vector Passed(const NormGradient& gradient, std::int64_t column, std::int64_t i,
                         Access access) {
  const Vector diff = access.Load(gradient.diff_out + i);
  if constexpr (kRectifier == Rectifier::kNone) return diff;
  Vector out;
  if constexpr (kRectifier == Rectifier::kKept) {
    out = access.Load(gradient.out + i);
  } else {
    // As in ScaleShiftAddMap, to the bit.
    out = hn::MulAdd(access.Load(gradient.x + i), access.Load(gradient.scale + column),
                     access.Load(gradient.shift + column));
  }
  return hn::IfThenElseZero(hn::Gt(out, hn::Zero(Tag())), diff);
}

// Calls run(integral constant of the gradient's Rectifier).
template <class Run>
HWY_INLINE void ForRectifier(const NormGradient& gradient, const Run& run) {
  if (gradient.out != nullptr) {
    run(std::integral_constant<Rectifier, Rectifier::kKept>());
  } else if (gradient.scale != nullptr) {
    run(std::integral_constant<Rectifier, Rectifier::kMadeAgain>());
  } else {
    run(std::integral_constant<Rectifier, Rectifier::kNone>());
  }
}

template <Rectifier kRectifier>
struct GradientSum {
  struct Arguments {
    NormGradient gradient;
    const float* centre;
    float* sums;
    float* products;
  };
  Vector centre;
  Vector sum;
  Vector product;
  std::int64_t first = 0;

  template <class Access>
  HWY_INLINE void Start(const Arguments& a, std::int64_t column, Access access) {
    centre = access.Load(a.centre + column);
    sum = product = hn::Zero(Tag());
    first = column;
  }
  template <class Access>
  HWY_INLINE void Add(const Arguments& a, std::int64_t i, Access access) {
    const Vector g = Passed<kRectifier>(a.gradient, first, i, access);
    sum = hn::Add(sum, g);
    product = hn::MulAdd(g, hn::Sub(access.Load(a.gradient.x + i), centre), product);
  }
  template <class Access>
  HWY_INLINE void Finish(const Arguments& a, std::int64_t column, Access access) {
    access.Store(sum, a.sums + column);
    access.Store(product, a.products + column);
  }
};

template <bool kResidual, bool kRectified>
struct ScaleShiftAddMap {
  const float* x;
  const float* scale;
  const float* shift;
  const float* residual;
  float* out;

  template <class Access>
  HWY_INLINE void Run(std::int64_t column, std::int64_t i, Access access) const {
    Vector y =
        hn::MulAdd(access.Load(x + i), access.Load(scale + column), access.Load(shift + column));
    if constexpr (kResidual) y = hn::Add(y, access.Load(residual + i));
    if constexpr (kRectified) y = simd::Relu(Tag(), y);
    access.Store(y, out + i);
  }
};

template <bool kResidual, Rectifier kRectifier>
struct GradientMapMap {
  NormGradient gradient;
  const float* centre;
  const float* a;
  const float* b;
  const float* c;
  float* diff_x;
  float* diff_residual;

  template <class Access>
  HWY_INLINE void Run(std::int64_t column, std::int64_t i, Access access) const {
    const Vector g = Passed<kRectifier>(gradient, column, i, access);
    const Vector distance = hn::Sub(access.Load(gradient.x + i), access.Load(centre + column));
    const Vector linear = hn::MulAdd(distance, access.Load(b + column), access.Load(c + column));
    access.Store(hn::MulAdd(g, access.Load(a + column), linear), diff_x + i);
    if constexpr (kResidual) access.Store(g, diff_residual + i);
  }
};

void ColumnSums(const float* x, std::int64_t rows, std::int64_t columns, float* sums) {
  ForColumns<PlainSum>({x, sums}, rows, columns);
}

void ColumnSquares(const float* x, std::int64_t rows, std::int64_t columns, const float* centre,
                   float* sums) {
  ForColumns<SquareSum>({x, centre, sums}, rows, columns);
}

void ScaleShiftAdd(const float* x, std::int64_t rows, std::int64_t columns, const float* scale,
                   const float* shift, const float* residual, bool rectified, float* out) {
  if (residual != nullptr && rectified) {
    ForElements(rows, columns, ScaleShiftAddMap<true, true>{x, scale, shift, residual, out});
  } else if (residual != nullptr) {
    ForElements(rows, columns, ScaleShiftAddMap<true, false>{x, scale, shift, residual, out});
  } else if (rectified) {
    ForElements(rows, columns, ScaleShiftAddMap<false, true>{x, scale, shift, residual, out});
  } else {
    ForElements(rows, columns, ScaleShiftAddMap<false, false>{x, scale, shift, residual, out});
  }
}

void GradientSums(const NormGradient& gradient, std::int64_t rows, std::int64_t columns,
                  const float* centre, float* sums, float* products) {
  ForRectifier(gradient, [&](auto rectifier) HWY_ATTR {
    ForColumns<GradientSum<rectifier.value>>({gradient, centre, sums, products}, rows, columns);
  });
}

void GradientMap(const NormGradient& gradient, std::int64_t rows, std::int64_t columns,
                 const float* centre, const float* a, const float* b, const float* c, float* diff_x,
                 float* diff_residual) {
  ForRectifier(gradient, [&](auto rectifier) HWY_ATTR {
    constexpr Rectifier kRectifier = rectifier.value;
    if (diff_residual != nullptr) {
      ForElements(
          rows, columns,
          GradientMapMap<true, kRectifier>{gradient, centre, a, b, c, diff_x, diff_residual});
    } else {
      ForElements(rows, columns,
                  GradientMapMap<false, kRectifier>{gradient, centre, a, b, c, diff_x, nullptr});
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace octconv::nn::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace octconv::nn::kernels {

HWY_EXPORT(ColumnSums);
HWY_EXPORT(ColumnSquares);
HWY_EXPORT(ScaleShiftAdd);
HWY_EXPORT(GradientSums);
HWY_EXPORT(GradientMap);

void column_sums(const float* x, std::int64_t rows, std::int64_t columns, float* sums) noexcept {
  HWY_DYNAMIC_DISPATCH(ColumnSums)(x, rows, columns, sums);
}

void column_squares(const float* x, std::int64_t rows, std::int64_t columns, const float* centre,
                    float* sums) noexcept {
  HWY_DYNAMIC_DISPATCH(ColumnSquares)(x, rows, columns, centre, sums);
}

void scale_shift_add(const float* x, std::int64_t rows, std::int64_t columns, const float* scale,
                     const float* shift, const float* residual, bool rectified,
                     float* out) noexcept {
  HWY_DYNAMIC_DISPATCH(ScaleShiftAdd)(x, rows, columns, scale, shift, residual, rectified, out);
}

void gradient_sums(const NormGradient& gradient, std::int64_t rows, std::int64_t columns,
                   const float* centre, float* sums, float* products) noexcept {
  HWY_DYNAMIC_DISPATCH(GradientSums)(gradient, rows, columns, centre, sums, products);
}

void gradient_map(const NormGradient& gradient, std::int64_t rows, std::int64_t columns,
                  const float* centre, const float* a, const float* b, const float* c,
                  float* diff_x, float* diff_residual) noexcept {
  HWY_DYNAMIC_DISPATCH(GradientMap)
  (gradient, rows, columns, centre, a, b, c, diff_x, diff_residual);
}

}  // namespace octconv::nn::kernels
#endif
