// SPDX-License-Identifier: Apache-2.0
// A model from plain ONNX operations, whoever wrote them.
#pragma once

#include <filesystem>

#include "octconv/graph/model.h"

namespace onnx {
class ModelProto;
}

namespace octconv::onnx {

/// The network that the operations compute, with its weights; every value is ordinary.
///
/// Nodes are called after their parameters where these are called "<node>.weight", otherwise after
/// their place in PyTorch's modules or their results. Stages go by total stride
/// (`set_stages_by_stride`). Where the file leaves extents open, it must mean the same network at
/// every size.
///
/// @param folder  of the file, where files with its data may lie; empty: it must hold its data
/// @throws FormatError for a graph that contradicts itself; Unsupported naming every operation that
///         cannot be taken, and why
[[nodiscard]] Model from_operations(const ::onnx::ModelProto& proto,
                                    const std::filesystem::path& folder);

}  // namespace octconv::onnx
