// SPDX-License-Identifier: Apache-2.0
// Networks to and from ONNX, the only model file of octconv.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "octconv/base/api.h"
#include "octconv/graph/model.h"
#include "octconv/tensor/shape.h"

namespace octconv {

/// How a model is written.
struct ExportOptions {
  Shape extents;              ///< of the input image; empty: the graph's default extents
  bool dynamic_batch = true;  ///< the batch is a free dimension; otherwise it is 1
  /// 9 to 21. Before 13 an ONNX runtime knows no softmax over the channels of a map, before 11 no
  /// linear enlarging: networks with either are refused there.
  std::int64_t opset = 13;
  bool fold = false;  ///< batch norms are folded (`fold_batch_norms`) before writing
  /// Every octave convolution is one node "octconv.OctConv<n>", a function that the file defines by
  /// ONNX's operations. Needs opset 15; runtimes take functions apart by themselves.
  bool functions = false;
};

/// The bytes of an ONNX file that holds the model.
///
/// Any ONNX runtime can run it: operations of the default domain (or functions of them), for images
/// of one size. An octave value is two tensors, "<node>.high" and "<node>.low"; an octave
/// convolution is one Conv per path, with pools, nearest Resizes and an Add between. The graph and
/// the preprocessing are also written into `metadata_props`, as JSON, under "octconv.graph" and
/// "octconv.preprocessing".
///
/// @throws InvalidArgument for extents or weights that do not fit the graph, or numbers and names
///         that no file can hold; Unsupported for another opset, for what an opset cannot express,
///         for functions before opset 15, for extents above 2^22, for a file of 2 GiB or more, and
///         for pools of octave values that ONNX cannot express
[[nodiscard]] OCTCONV_API std::string export_onnx(const Model& model,
                                                  const ExportOptions& options = {});

/// Writes `export_onnx` to a file, whole or not at all.
/// @throws FileError, and what `export_onnx` throws
OCTCONV_API void save_onnx(const std::filesystem::path& path, const Model& model,
                           const ExportOptions& options = {});

/// The model in an ONNX file; `name` stands for the file in errors.
///
/// In a file that octconv wrote the graph comes from the metadata, the weights from the
/// initialisers. The operations of the file are held against those that export would write: where
/// they differ the file is refused. Parts of a weight that no path reads are not in the file and
/// become zero.
///
/// Any other file is read by its operations (opset 7 to 21): convolutions, batch norms,
/// activations, pools, sums, concatenations, gates and fully connected layers, in the forms that
/// docs/importing.md lists. Its values are ordinary, and what its pixels should look like is not
/// known.
///
/// @throws FormatError for a damaged file, or one whose operations and metadata disagree;
///         Unsupported for a file of a newer octconv, or one with other operations: it names all of
///         them
[[nodiscard]] OCTCONV_API Model parse_onnx(std::string_view bytes, std::string_view name);

/// The same from a file.
/// @throws FileError, and what `parse_onnx` throws
[[nodiscard]] OCTCONV_API Model load_onnx(const std::filesystem::path& path);

}  // namespace octconv
