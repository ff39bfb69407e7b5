// SPDX-License-Identifier: Apache-2.0
// Constants of ONNX files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include "octconv/tensor/shape.h"

namespace onnx {
class TensorProto;
}

namespace octconv::onnx {

/// A tensor in a file: numbers, or sizes.
struct Constant {
  Shape shape;  ///< rank 0 for a scalar
  std::variant<std::vector<float>, std::vector<std::int64_t>> values;

  [[nodiscard]] const std::vector<float>* numbers() const {
    return std::get_if<std::vector<float>>(&values);
  }
  [[nodiscard]] const std::vector<std::int64_t>* sizes() const {
    return std::get_if<std::vector<std::int64_t>>(&values);
  }
};

/// Float, double and float16 become float; int32 and int64 stay whole. No more is allocated than
/// the file holds.
///
/// @param folder  where files with its data may lie; empty: it must hold its data itself
/// @throws FormatError if the data do not fill the shape, or lie outside of the folder; Unsupported
/// for another type
[[nodiscard]] Constant read_constant(const ::onnx::TensorProto& proto,
                                     const std::filesystem::path& folder = {});

}  // namespace octconv::onnx
