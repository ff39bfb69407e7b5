// SPDX-License-Identifier: Apache-2.0
// What export and import must agree on beside the operations.
#pragma once

#include <cstdint>

namespace octconv::onnx {

inline constexpr char kProducer[] = "octconv";
inline constexpr char kGraphKey[] = "octconv.graph";
inline constexpr char kPreprocessingKey[] = "octconv.preprocessing";
inline constexpr char kBatch[] = "batch";  ///< name of the free dimension

// Between these opsets the operations that we write mean the same; 18 changes Resize.
inline constexpr std::int64_t kMinOpset = 13;
inline constexpr std::int64_t kMaxOpset = 17;
// Opsets whose operations import knows in files of others.
inline constexpr std::int64_t kMinForeignOpset = 7;
inline constexpr std::int64_t kMaxForeignOpset = 21;

inline constexpr std::int64_t kIrVersion = 7;  ///< what opset 13 came with

}  // namespace octconv::onnx
