// SPDX-License-Identifier: Apache-2.0
// What all kernels do with vectors: partial loads and stores, and activations. Included once per
// target.
#if defined(OCTCONV_KERNELS_SIMD_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef OCTCONV_KERNELS_SIMD_INL_H
#undef OCTCONV_KERNELS_SIMD_INL_H
#else
#define OCTCONV_KERNELS_SIMD_INL_H
#endif

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"
#include "octconv/kernels/activation.h"
#include "octconv/kernels/prologue.h"

HWY_BEFORE_NAMESPACE();
namespace octconv::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Tag = hn::ScalableTag<float>;
using Vector = hn::Vec<Tag>;

// x86 from AVX2 on has masked moves that touch no memory outside the mask; elsewhere Highway's
// masked operations read and write whole vectors, which other threads may own.
#define OCTCONV_MASKED_MOVES \
  (HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL)

// The first `count` lanes from memory, the others zero. 0 < count <= lanes.
HWY_INLINE Vector LoadPart(Tag d, const float* from, std::size_t count) {
#if OCTCONV_MASKED_MOVES
  return hn::MaskedLoad(hn::FirstN(d, count), d, from);
#else
  HWY_ALIGN float lanes[HWY_MAX_BYTES / sizeof(float)] = {};
  std::memcpy(lanes, from, count * sizeof(float));
  return hn::Load(d, lanes);
#endif
}

// Stores the first `count` lanes and touches no other memory. 0 < count <= lanes.
HWY_INLINE void StorePart(Tag d, Vector value, float* to, std::size_t count) {
#if OCTCONV_MASKED_MOVES
  hn::BlendedStore(value, hn::FirstN(d, count), d, to);
#else
  HWY_ALIGN float lanes[HWY_MAX_BYTES / sizeof(float)];
  hn::Store(value, d, lanes);
  std::memcpy(to, lanes, count * sizeof(float));
#endif
}

// Loads and stores of whole vectors, and of one that is filled in part.
struct WholeVector {
  HWY_INLINE Vector Load(const float* from) const { return hn::LoadU(Tag(), from); }
  HWY_INLINE void Store(Vector value, float* to) const { hn::StoreU(value, Tag(), to); }
};

struct PartVector {
  std::size_t count;  // lanes
  HWY_INLINE Vector Load(const float* from) const { return LoadPart(Tag(), from, count); }
  HWY_INLINE void Store(Vector value, float* to) const { StorePart(Tag(), value, to, count); }
};

// Calls run(c, access) for the vectors of so many channels, of which the last may be filled in
// part.
template <class Run>
HWY_INLINE void ForChannelVectors(std::int64_t channels, const Run& run) {
  constexpr auto kStep = static_cast<std::int64_t>(hn::MaxLanes(Tag()));
  std::int64_t c = 0;
  for (; c + kStep <= channels; c += kStep) run(c, WholeVector());
  if (c < channels) run(c, PartVector{static_cast<std::size_t>(channels - c)});
}

// NaN stays NaN in all of these: where a comparison with it is false, the value itself is taken.
HWY_INLINE Vector Relu(Tag d, Vector x) {
#if HWY_ARCH_X86 && HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128
  // One instruction, which gives its second operand if either is NaN.
  return hn::Max(hn::Zero(d), x);
#else
  return hn::IfThenZeroElse(hn::Lt(x, hn::Zero(d)), x);
#endif
}

// What a prologue does to the lanes of some channels.
class PrologueLanes {
 public:
  HWY_INLINE PrologueLanes() {}
  // Of the channels from `c` on.
  template <class Access>
  HWY_INLINE PrologueLanes(const Prologue& prologue, std::int64_t c, Access access)
      : scale_(access.Load(prologue.scale + c)),
        shift_(access.Load(prologue.shift + c)),
        rectified_(prologue.rectified) {}

  HWY_INLINE Vector operator()(Vector x) const {
    const Vector value = hn::MulAdd(x, scale_, shift_);
    return rectified_ ? Relu(Tag(), value) : value;
  }

 private:
  Vector scale_;
  Vector shift_;
  bool rectified_;
};

HWY_INLINE Vector Relu6(Tag d, Vector x) {
  const Vector six = hn::Set(d, 6.0F);
  return hn::IfThenElse(hn::Gt(x, six), six, Relu(d, x));
}

HWY_INLINE Vector Sigmoid(Tag d, Vector x) {
  // Beyond +-87 exp(-x) leaves the normal numbers; the result is then 0 or 1 to the last bit that
  // matters.
  const Vector limit = hn::Set(d, 87.0F);
  const Vector one = hn::Set(d, 1.0F);
  const Vector clamped = hn::Min(hn::Max(x, hn::Neg(limit)), limit);
  const Vector result = hn::Div(one, hn::Add(one, hn::Exp(d, hn::Neg(clamped))));
  return hn::IfThenElse(hn::Eq(x, x), result, x);
}

HWY_INLINE Vector Silu(Tag d, Vector x) {
  // Below -87 the product is nothing, but Sigmoid stops there.
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, -87.0F)), hn::Mul(x, Sigmoid(d, x)));
}

HWY_INLINE Vector LeakyRelu(Tag d, Vector x, float slope) {
  return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Mul(x, hn::Set(d, slope)), x);
}

// slope * x + offset between 0 and 1.
HWY_INLINE Vector HardSigmoid(Tag d, Vector x, float slope, float offset) {
  const Vector one = hn::Set(d, 1.0F);
  const Vector line = Relu(d, hn::MulAdd(x, hn::Set(d, slope), hn::Set(d, offset)));
  return hn::IfThenElse(hn::Gt(line, one), one, line);
}

// Of a short one.
HWY_INLINE Vector ActivateShort(Tag d, Vector x, ActivationKind kind) {
  if (kind == ActivationKind::kNone) return x;
  return kind == ActivationKind::kRelu ? Relu(d, x) : Relu6(d, x);
}

HWY_INLINE Vector Activate(Tag d, Vector x, const Activation& activation) {
  switch (activation.kind) {
    case ActivationKind::kNone:
      return x;
    case ActivationKind::kRelu:
      return Relu(d, x);
    case ActivationKind::kRelu6:
      return Relu6(d, x);
    case ActivationKind::kSigmoid:
      return Sigmoid(d, x);
    case ActivationKind::kLeakyRelu:
      return LeakyRelu(d, x, activation.slope);
    case ActivationKind::kHardSigmoid:
      return HardSigmoid(d, x, activation.slope, activation.offset);
    case ActivationKind::kHardSwish:
      return hn::Mul(x, HardSigmoid(d, x, 1.0F / 6.0F, 0.5F));
    case ActivationKind::kSilu:
      return Silu(d, x);
  }
  return x;
}

// Calls body(offset, channel, lanes) for the vectors of `channels` channels of some pixels, which
// lie `stride` floats apart from `offset` on; `channel` counts from the first.
template <class Body>
HWY_INLINE void ForStored(std::int64_t stride, std::int64_t offset, std::size_t channels,
                          std::size_t pixels, const Body& body) {
  constexpr std::size_t kStep = hn::MaxLanes(Tag());
  for (std::size_t m = 0; m < pixels; ++m, offset += stride) {
    for (std::size_t c = 0; c < channels; c += kStep) {
      body(offset + static_cast<std::int64_t>(c), c, channels - c < kStep ? channels - c : kStep);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace octconv::kernels
HWY_AFTER_NAMESPACE();

#endif  // OCTCONV_KERNELS_SIMD_INL_H
