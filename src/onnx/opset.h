// SPDX-License-Identifier: Apache-2.0
// The operations of a network as older opsets have them.
#pragma once

#include <cstdint>

#include "onnx/lower.h"

namespace octconv::onnx {

/// Rewrites a program for opsets 13 to 21, between which its operations mean the same, so that it
/// means that in `opset`: before 13 axes are attributes and Resize wants its `roi`; before 11
/// bounds of Clip are attributes, Gemm wants its bias, and Resize (Upsample before 10) has nearest
/// pixels only; before 10 Slice has attributes.
///
/// Source: onnx/onnx, docs/Changelog.md.
///
/// @throws Unsupported naming an operation that this opset cannot express
void rewrite_for_opset(Program& program, std::int64_t opset);

}  // namespace octconv::onnx
