// SPDX-License-Identifier: Apache-2.0
// A model from plain ONNX operations, whoever wrote them.
#pragma once

#include "octconv/graph/model.h"

namespace onnx {
class GraphProto;
}

namespace octconv::onnx {

/// The network that the operations compute, with its weights; every value is ordinary.
///
/// Nodes are called after their parameters where these are called "<node>.weight", otherwise after
/// their place in PyTorch's modules or their results. Stages go by total stride
/// (`set_stages_by_stride`).
///
/// @throws FormatError for a graph that contradicts itself; Unsupported naming every operation that
///         cannot be taken, and why
[[nodiscard]] Model from_operations(const ::onnx::GraphProto& proto);

}  // namespace octconv::onnx
