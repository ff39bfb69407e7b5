// SPDX-License-Identifier: Apache-2.0
#include "kernels/winograd.h"

#include <algorithm>

#include "kernels/targets.h"
#include "kernels/winograd_points.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/winograd.cc"
#include "hwy/foreach_target.h"
// After foreach_target.h, which chooses the target.
#include "hwy/highway.h"
#include "kernels/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace octconv::kernels {
namespace HWY_NAMESPACE {

// The product with a constant, and with a term more.
HWY_INLINE Vector Times(Tag d, double factor, Vector x) {
  return hn::Mul(hn::Set(d, static_cast<float>(factor)), x);
}
HWY_INLINE Vector TimesPlus(Tag d, double factor, Vector x, Vector term) {
  return hn::MulAdd(hn::Set(d, static_cast<float>(factor)), x, term);
}

// Inputs to points along one axis: every `kFrom`-th of `x` to every `kTo`-th of `to`.
template <std::size_t kOutputs, std::size_t kFrom, std::size_t kTo>
HWY_INLINE void TransformInputs(Tag d, const Vector* x, Vector* to) {
  const auto at = [x](std::size_t i) HWY_ATTR { return x[i * kFrom]; };
  if constexpr (kOutputs == 1) {
    to[0] = at(0);
  } else if constexpr (kOutputs == 2) {
    // Points 0, 1, -1 and infinity.
    to[0 * kTo] = hn::Sub(at(0), at(2));
    to[1 * kTo] = hn::Add(at(1), at(2));
    to[2 * kTo] = hn::Sub(at(2), at(1));
    to[3 * kTo] = hn::Sub(at(1), at(3));
  } else {
    // Points 0, a, -a, b, -b and infinity.
    const Vector product = hn::Set(d, static_cast<float>(kA * kA * kB * kB));
    const Vector sum = hn::Set(d, static_cast<float>(kA * kA + kB * kB));
    const Vector a = hn::Set(d, static_cast<float>(kA));
    const Vector b = hn::Set(d, static_cast<float>(kB));
    const Vector a_squared = hn::Set(d, static_cast<float>(kA * kA));
    const Vector b_squared = hn::Set(d, static_cast<float>(kB * kB));
    const Vector even_a = hn::NegMulAdd(b_squared, at(2), at(4));
    const Vector odd_a = hn::Mul(a, hn::NegMulAdd(b_squared, at(1), at(3)));
    const Vector even_b = hn::NegMulAdd(a_squared, at(2), at(4));
    const Vector odd_b = hn::Mul(b, hn::NegMulAdd(a_squared, at(1), at(3)));
    to[0 * kTo] = hn::MulAdd(product, at(0), hn::NegMulAdd(sum, at(2), at(4)));
    to[1 * kTo] = hn::Add(even_a, odd_a);
    to[2 * kTo] = hn::Sub(even_a, odd_a);
    to[3 * kTo] = hn::Add(even_b, odd_b);
    to[4 * kTo] = hn::Sub(even_b, odd_b);
    to[5 * kTo] = hn::MulAdd(product, at(1), hn::NegMulAdd(sum, at(3), at(5)));
  }
}

// Points to outputs along one axis: every `kFrom`-th of `x` to every `kTo`-th of `to`.
template <std::size_t kOutputs, std::size_t kFrom, std::size_t kTo>
HWY_INLINE void TransformPoints(Tag d, const Vector* x, Vector* to) {
  const auto at = [x](std::size_t i) HWY_ATTR { return x[i * kFrom]; };
  if constexpr (kOutputs == 1) {
    to[0] = at(0);
  } else if constexpr (kOutputs == 2) {
    to[0 * kTo] = hn::Add(hn::Add(at(0), at(1)), at(2));
    to[1 * kTo] = hn::Sub(hn::Sub(at(1), at(2)), at(3));
  } else {
    const Vector sum_a = hn::Add(at(1), at(2));
    const Vector difference_a = hn::Sub(at(1), at(2));
    const Vector sum_b = hn::Add(at(3), at(4));
    const Vector difference_b = hn::Sub(at(3), at(4));
    to[0 * kTo] = hn::Add(hn::Add(at(0), sum_a), sum_b);
    to[1 * kTo] = TimesPlus(d, kA, difference_a, Times(d, kB, difference_b));
    to[2 * kTo] = TimesPlus(d, kA * kA, sum_a, Times(d, kB * kB, sum_b));
    to[3 * kTo] =
        TimesPlus(d, kA * kA * kA, difference_a, TimesPlus(d, kB * kB * kB, difference_b, at(5)));
  }
}

// Gradients of outputs to points along one axis: the transpose of the above. Of one or four.
template <std::size_t kOutputs, std::size_t kFrom, std::size_t kTo>
HWY_INLINE void TransformDiffs(Tag d, const Vector* x, Vector* to) {
  const auto at = [x](std::size_t i) HWY_ATTR { return x[i * kFrom]; };
  to[0] = at(0);
  if constexpr (kOutputs == 4) {
    const Vector even_a = TimesPlus(d, kA * kA, at(2), at(0));
    const Vector odd_a = Times(d, kA, TimesPlus(d, kA * kA, at(3), at(1)));
    const Vector even_b = TimesPlus(d, kB * kB, at(2), at(0));
    const Vector odd_b = Times(d, kB, TimesPlus(d, kB * kB, at(3), at(1)));
    to[1 * kTo] = hn::Add(even_a, odd_a);
    to[2 * kTo] = hn::Sub(even_a, odd_a);
    to[3 * kTo] = hn::Add(even_b, odd_b);
    to[4 * kTo] = hn::Sub(even_b, odd_b);
    to[5 * kTo] = at(3);
  }
}

// Sums of points to taps along one axis: the transpose of the transform of weights.
template <std::size_t kOutputs, std::size_t kFrom, std::size_t kTo>
HWY_INLINE void TransformSums(Tag d, const Vector* x, Vector* to) {
  const auto at = [x](std::size_t i) HWY_ATTR { return x[i * kFrom]; };
  if constexpr (kOutputs == 1) {
    to[0] = at(0);
  } else {
    const Vector sum_a = Times(d, kNearA, hn::Add(at(1), at(2)));
    const Vector difference_a = Times(d, kNearA, hn::Sub(at(1), at(2)));
    const Vector sum_b = Times(d, kNearB, hn::Add(at(3), at(4)));
    const Vector difference_b = Times(d, kNearB, hn::Sub(at(3), at(4)));
    to[0 * kTo] = TimesPlus(d, kNearZero, at(0), hn::Add(sum_a, sum_b));
    to[1 * kTo] = TimesPlus(d, kA, difference_a, Times(d, kB, difference_b));
    to[2 * kTo] = TimesPlus(d, kA * kA, sum_a, TimesPlus(d, kB * kB, sum_b, at(5)));
  }
}

inline constexpr std::size_t kLanes = hn::MaxLanes(Tag());

// What is transformed to the points of a tile: its inputs.
struct Inputs {
  static constexpr bool kMaps = false;
  template <std::size_t kOutputs>
  static constexpr std::size_t kCount = kPointsOf<kOutputs>;

  template <std::size_t kOutputs, std::size_t kFrom, std::size_t kTo>
  static HWY_INLINE void Transform(Tag d, const Vector* x, Vector* to) {
    TransformInputs<kOutputs, kFrom, kTo>(d, x, to);
  }
};

// The same through a prologue.
struct MappedInputs : Inputs {
  static constexpr bool kMaps = true;
};

// The gradients of its outputs.
struct Diffs {
  static constexpr bool kMaps = false;
  template <std::size_t kOutputs>
  static constexpr std::size_t kCount = kOutputs;

  template <std::size_t kOutputs, std::size_t kFrom, std::size_t kTo>
  static HWY_INLINE void Transform(Tag d, const Vector* x, Vector* to) {
    TransformDiffs<kOutputs, kFrom, kTo>(d, x, to);
  }
};

// One vector of channels of one tile, from `c` on.
template <class What, std::size_t kY, std::size_t kX, class Access>
HWY_INLINE void TransformTile(Tag d, const WinogradInput& input, const float* const* rows,
                              std::int64_t c, Access access, float* to) {
  constexpr std::size_t kPointsY = kPointsOf<kY>;
  constexpr std::size_t kPointsX = kPointsOf<kX>;
  constexpr std::size_t kHeight = What::template kCount<kY>;
  constexpr std::size_t kWidth = What::template kCount<kX>;
  PrologueLanes through;
  if constexpr (What::kMaps) through = PrologueLanes(input.prologue, c, access);
  const auto read = [&](const float* row) HWY_ATTR {
    const bool outside = What::kMaps && row == input.zeros;
    if (outside) return hn::Zero(d);
    const Vector value = access.Load(row + c);
    return What::kMaps ? through(value) : value;
  };
  Vector along_y[kPointsY * kWidth];
#pragma GCC unroll 6
  for (std::size_t x = 0; x < kWidth; ++x) {
    Vector column[kHeight];
#pragma GCC unroll 6
    for (std::size_t y = 0; y < kHeight; ++y) {
      column[y] = read(rows[y * kWidth + x]);
    }
    What::template Transform<kY, 1, kWidth>(d, column, along_y + x);
  }
#pragma GCC unroll 6
  for (std::size_t y = 0; y < kPointsY; ++y) {
    Vector line[kPointsX];
    What::template Transform<kX, 1, 1>(d, along_y + y * kWidth, line);
#pragma GCC unroll 6
    for (std::size_t x = 0; x < kPointsX; ++x, to += input.plane) hn::StoreU(line[x], d, to);
  }
}

// What a tile reads.
template <class What, std::size_t kY, std::size_t kX>
inline constexpr std::size_t kInputs = What::template kCount<kY>* What::template kCount<kX>;

// Brings near what a later tile reads.
template <class What, std::size_t kY, std::size_t kX>
HWY_INLINE void Prefetch(const WinogradInput& input, const float* const* rows) {
  constexpr std::int64_t kLine = 16;  // floats in a cache line
  for (std::size_t i = 0; i < kInputs<What, kY, kX>; ++i) {
    for (std::int64_t c = 0; c < input.channels; c += kLine) __builtin_prefetch(rows[i] + c);
  }
}

template <class What, std::size_t kY, std::size_t kX>
void TransformAll(const WinogradInput& input) {
  constexpr std::int64_t kAhead = 2;  // tiles
  constexpr std::size_t kEach = kInputs<What, kY, kX>;
  const Tag d;
  const float* const* rows = input.rows;
  for (std::int64_t tile = 0; tile < input.tiles; ++tile, rows += kEach) {
    float* to = input.out + tile * input.columns;
    if (input.far && tile + kAhead < input.tiles) {
      Prefetch<What, kY, kX>(input, rows + kAhead * kEach);
    }
    ForChannelVectors(input.channels, [&](std::int64_t c, auto access) HWY_ATTR {
      TransformTile<What, kY, kX>(d, input, rows, c, access, to + c);
    });
  }
}

// Outputs of a cell along y.
template <std::size_t kY>
inline constexpr std::size_t kCellY = kY == 1 ? 1 : 2;

// One vector of channels of one tile, from `o` on.
template <std::size_t kY, std::size_t kX, class Access>
HWY_INLINE void FinishTile(Tag d, const WinogradOutput& output, std::int64_t tile, std::int64_t o,
                           Access access) {
  constexpr std::size_t kPointsY = kPointsOf<kY>;
  constexpr std::size_t kPointsX = kPointsOf<kX>;
  const float* from = output.products + tile * output.columns + o;
  Vector along_y[kY * kPointsX];
#pragma GCC unroll 6
  for (std::size_t x = 0; x < kPointsX; ++x) {
    Vector column[kPointsY];
#pragma GCC unroll 6
    for (std::size_t y = 0; y < kPointsY; ++y) {
      column[y] = hn::LoadU(d, from + static_cast<std::int64_t>(y * kPointsX + x) * output.plane);
    }
    TransformPoints<kY, 1, kPointsX>(d, column, along_y + x);
  }
  const Vector bias = hn::LoadU(d, output.bias + o);
  const ActivationKind kind = output.activation.kind;
  const bool second = output.second.out != nullptr && is_short(output.activation);
  const ActivationKind second_kind = output.second.activation.kind;
  const Vector scale = second ? access.Load(output.second.scale + o) : bias;
  const Vector shift = second ? access.Load(output.second.shift + o) : bias;
  const std::int64_t* pixels = output.pixels + tile * std::int64_t{kY * kX};
  Vector cells[kX / 2];  // of a row of them: sums
#pragma GCC unroll 2
  for (std::size_t cell = 0; cell < kX / 2; ++cell) cells[cell] = bias;
#pragma GCC unroll 4
  for (std::size_t y = 0; y < kY; ++y) {
    Vector line[kX];
    TransformPoints<kX, 1, 1>(d, along_y + y * kPointsX, line);
#pragma GCC unroll 4
    for (std::size_t x = 0; x < kX; ++x) {
      const std::int64_t pixel = pixels[y * kX + x];
      if (pixel < 0) continue;
      const std::int64_t at = pixel * output.stride + o;
      Vector value = hn::Add(line[x], bias);
      if (output.addend != nullptr) {
        const float* const* rows = output.addend + tile * std::int64_t{kY * kX};
        value = hn::Add(value, access.Load(rows[y * kX + x] + o));
      }
      if (output.residual != nullptr) value = hn::Add(value, access.Load(output.residual + at));
      if (is_short(output.activation)) value = ActivateShort(d, value, kind);
      access.Store(value, output.out + at);
      if (second) {
        value = hn::MulAdd(value, scale, shift);
        if (is_short(output.second.activation)) value = ActivateShort(d, value, second_kind);
        access.Store(value, output.second.out + at);
      }
      const bool begins = y % kCellY<kY> == 0 && x % 2 == 0;
      cells[x / 2] = begins ? value : hn::Add(cells[x / 2], value);
    }
    if (output.averages == nullptr || (y + 1) % kCellY<kY> != 0) continue;
    const std::size_t row = y + 1 - kCellY<kY>;  // the first of the cells
    const std::int64_t* rows =
        output.cells + tile * std::int64_t{kY / kCellY<kY> * kX / 2} + row / kCellY<kY> * kX / 2;
#pragma GCC unroll 2
    for (std::size_t cell = 0; cell < kX / 2; ++cell) {
      if (rows[cell] < 0) continue;
      const bool wide = pixels[row * kX + 2 * cell + 1] >= 0;
      const bool high = pixels[y * kX + 2 * cell] >= 0;
      const float real = (wide ? 2.0F : 1.0F) * (high ? float{kCellY<kY>} : 1.0F);
      access.Store(hn::Mul(cells[cell], hn::Set(d, 1.0F / real)),
                   output.averages + rows[cell] * output.stride + o);
    }
  }
}

// Long activations, of what FinishTile has stored: rare, and not unrolled.
HWY_NOINLINE void ActivateTile(Tag d, const WinogradOutput& output, const std::int64_t* pixels,
                               std::int64_t count) {
  const SecondResult& second = output.second;
  for (std::int64_t i = 0; i < count; ++i) {
    if (pixels[i] < 0) continue;
    float* row = output.out + pixels[i] * output.stride;
    float* beside = second.out == nullptr ? nullptr : second.out + pixels[i] * output.stride;
    for (std::int64_t o = output.first; o < output.last; o += std::int64_t{kLanes}) {
      const std::size_t lanes = std::min(kLanes, static_cast<std::size_t>(output.last - o));
      Vector value = LoadPart(d, row + o, lanes);
      if (!is_short(output.activation)) {
        value = Activate(d, value, output.activation);
        StorePart(d, value, row + o, lanes);
      }
      if (beside == nullptr) continue;
      const Vector scale = LoadPart(d, second.scale + o, lanes);
      const Vector shift = LoadPart(d, second.shift + o, lanes);
      StorePart(d, Activate(d, hn::MulAdd(value, scale, shift), second.activation), beside + o,
                lanes);
    }
  }
}

// Brings near where a later tile is stored.
HWY_INLINE void BringNear(const WinogradOutput& output, const std::int64_t* pixels,
                          std::int64_t count) {
  constexpr std::int64_t kLine = 16;  // floats in a cache line
  for (std::int64_t i = 0; i < count; ++i) {
    if (pixels[i] < 0) continue;
    const float* row = output.out + pixels[i] * output.stride;
    for (std::int64_t o = output.first; o < output.last; o += kLine) {
      __builtin_prefetch(row + o, 1);
    }
  }
}

template <std::size_t kY, std::size_t kX>
void FinishAll(const WinogradOutput& output) {
  constexpr std::int64_t kAhead = 2;  // tiles
  constexpr auto kEach = std::int64_t{kY * kX};
  const Tag d;
  const bool is_long = !is_short(output.activation) ||
                       (output.second.out != nullptr && !is_short(output.second.activation));
  for (std::int64_t tile = 0; tile < output.tiles; ++tile) {
    if (output.far && tile + kAhead < output.tiles) {
      BringNear(output, output.pixels + (tile + kAhead) * kEach, kEach);
    }
    ForChannelVectors(output.last - output.first, [&](std::int64_t c, auto access) HWY_ATTR {
      FinishTile<kY, kX>(d, output, tile, output.first + c, access);
    });
    if (is_long) {
      ActivateTile(d, output, output.pixels + tile * kEach, kEach);
    }
  }
}

template <std::size_t kY, std::size_t kX>
inline constexpr WinogradKernel kKernel{.input = TransformAll<Inputs, kY, kX>,
                                        .output = FinishAll<kY, kX>};

const WinogradKernel& Winograd(WinogradTile tile) {
  if (tile == WinogradTile{1, 2}) return kKernel<1, 2>;
  if (tile == WinogradTile{1, 4}) return kKernel<1, 4>;
  if (tile == WinogradTile{2, 2}) return kKernel<2, 2>;
  HWY_DASSERT((tile == WinogradTile{4, 4}));
  return kKernel<4, 4>;
}

template <std::size_t kY, std::size_t kX>
void SumsToTaps(const WinogradSums& all, std::int64_t begin, std::int64_t end) {
  constexpr std::size_t kPointsY = kPointsOf<kY>;
  constexpr std::size_t kPointsX = kPointsOf<kX>;
  constexpr std::size_t kTapsY = kY == 1 ? 1 : 3;
  const Tag d;
  float* const last = all.sums + end * all.columns;
  for (float* at = all.sums + begin * all.columns; at < last; at += kLanes) {
    Vector along_y[kTapsY * kPointsX];
#pragma GCC unroll 6
    for (std::size_t x = 0; x < kPointsX; ++x) {
      Vector column[kPointsY];
#pragma GCC unroll 6
      for (std::size_t y = 0; y < kPointsY; ++y) {
        column[y] = hn::LoadU(d, at + static_cast<std::int64_t>(y * kPointsX + x) * all.plane);
      }
      TransformSums<kY, 1, kPointsX>(d, column, along_y + x);
    }
    float* to = at;
#pragma GCC unroll 3
    for (std::size_t y = 0; y < kTapsY; ++y) {
      Vector line[3];
      TransformSums<kX, 1, 1>(d, along_y + y * kPointsX, line);
#pragma GCC unroll 3
      for (std::size_t x = 0; x < 3; ++x, to += all.plane) hn::StoreU(line[x], d, to);
    }
  }
}

template <std::size_t kY, std::size_t kX>
void TransformGradientInputs(const WinogradInput& input) {
  input.prologue ? TransformAll<MappedInputs, kY, kX>(input) : TransformAll<Inputs, kY, kX>(input);
}

template <std::size_t kY, std::size_t kX>
inline constexpr WinogradGradientKernel kGradientKernel{.input = TransformGradientInputs<kY, kX>,
                                                        .diff = TransformAll<Diffs, kY, kX>,
                                                        .taps = SumsToTaps<kY, kX>};

const WinogradGradientKernel& WinogradGradient(WinogradTile tile) {
  if (tile == WinogradTile{1, 4}) return kGradientKernel<1, 4>;
  HWY_DASSERT((tile == WinogradTile{4, 4}));
  return kGradientKernel<4, 4>;
}

}  // namespace HWY_NAMESPACE
}  // namespace octconv::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace octconv::kernels {

HWY_EXPORT(Winograd);
HWY_EXPORT(WinogradGradient);

const WinogradKernel& winograd_kernel(WinogradTile tile) noexcept {
  return HWY_DYNAMIC_DISPATCH(Winograd)(tile);
}

const WinogradGradientKernel& winograd_gradient_kernel(WinogradTile tile) noexcept {
  return HWY_DYNAMIC_DISPATCH(WinogradGradient)(tile);
}

}  // namespace octconv::kernels
#endif
