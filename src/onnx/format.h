// SPDX-License-Identifier: Apache-2.0
// What export and import must agree on beside the operations.
#pragma once

#include <cstdint>

namespace octconv::onnx {

inline constexpr char kProducer[] = "octconv";
inline constexpr char kGraphKey[] = "octconv.graph";
inline constexpr char kPreprocessingKey[] = "octconv.preprocessing";
inline constexpr char kBatch[] = "batch";  ///< name of the free dimension

// Opsets that we write. Before 9 there is no batch norm without a `spatial` attribute; from 13 to
// 21 the operations that we write mean the same, before that they are rewritten (opset.h).
inline constexpr std::int64_t kMinOpset = 9;
inline constexpr std::int64_t kMaxOpset = 21;
inline constexpr std::int64_t kRewrittenBefore = 13;
inline constexpr std::int64_t kFunctionOpset = 15;  ///< functions in a model came with it
// Opsets whose operations import knows in files of others.
inline constexpr std::int64_t kMinForeignOpset = 7;
inline constexpr std::int64_t kMaxForeignOpset = 21;

/// The version of the file format that an opset came with, so that whoever reads the opset reads
/// the file. Source: onnx/onnx, docs/Versioning.md.
constexpr std::int64_t ir_version(std::int64_t opset) {
  if (opset < 12) return opset - 5;
  if (opset < 15) return 7;
  if (opset < 19) return 8;
  return opset < 21 ? 9 : 10;
}

inline constexpr char kFunctionDomain[] = "octconv";
inline constexpr std::int64_t kFunctionVersion = 1;

}  // namespace octconv::onnx
