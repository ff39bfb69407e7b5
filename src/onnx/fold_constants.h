// SPDX-License-Identifier: Apache-2.0
// Operations of constants: shape arithmetic, and weights that a file reshapes before it uses them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "octconv/tensor/shape.h"
#include "onnx/allowance.h"
#include "onnx/attributes.h"
#include "onnx/constant.h"

namespace octconv::onnx {

/// Stands for the batch among sizes, where a file leaves it open. It may be moved about; nothing
/// can be computed with it.
inline constexpr std::int64_t kOpenBatch = -0x0123456789abcdef;

/// Which elements along an axis a slice takes: `first`, `first + step`, ..., `count` of them.
struct Picked {
  std::int64_t first = 0;
  std::int64_t step = 1;
  std::int64_t count = 0;
};

/// ONNX's rules for bounds: those below 0 count from the end, and all are clamped.
/// @throws Refusal for a step of 0
[[nodiscard]] Picked resolve_slice(std::int64_t start, std::int64_t end, std::int64_t step,
                                   std::int64_t extent);

/// The result, if this is an operation that can be computed here.
///
/// @param inputs     null for one that is left out
/// @param allowance  what the result takes is taken from it
/// @throws Refusal if the operands do not fit; FormatError if the allowance is used up
[[nodiscard]] std::optional<Constant> fold_constants(const ::onnx::NodeProto& node,
                                                     Attributes& attributes,
                                                     std::span<const Constant* const> inputs,
                                                     Allowance& allowance);

}  // namespace octconv::onnx
