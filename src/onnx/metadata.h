// SPDX-License-Identifier: Apache-2.0
// A graph and its preprocessing as JSON, for the metadata of a model file.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "octconv/graph/model.h"

namespace octconv::onnx {

/// Most nodes that a described graph may have; real networks have fewer than a thousand.
inline constexpr std::size_t kMaxNodes = 20000;

/// @throws InvalidArgument for what the other direction would refuse, such as infinite numbers and
///         names that are not UTF-8
[[nodiscard]] std::string graph_to_json(const Graph& graph);
/// The graph, checked.
/// @throws FormatError for anything `graph_to_json` does not write; Unsupported for a newer version
[[nodiscard]] Graph graph_from_json(std::string_view text);

/// @throws InvalidArgument for what the other direction would refuse, such as infinite numbers and
///         names that are not UTF-8
[[nodiscard]] std::string preprocessing_to_json(const Preprocessing& preprocessing);
/// @throws FormatError for anything `preprocessing_to_json` does not write; Unsupported for a
///         newer version
[[nodiscard]] Preprocessing preprocessing_from_json(std::string_view text);

}  // namespace octconv::onnx
