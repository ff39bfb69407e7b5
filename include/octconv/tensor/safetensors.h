// SPDX-License-Identifier: Apache-2.0
// Tensors by name in the safetensors format.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "octconv/base/api.h"
#include "octconv/tensor/tensor.h"

namespace octconv {

/// The tensors in a safetensors file, converted to float32. Types F64, F32, F16, BF16, the signed
/// integers, U8 and BOOL are read; `__metadata__` is not.
///
/// Source: the format's description, https://huggingface.co/docs/safetensors: the length of the
/// header in 8 bytes, little-endian; the header, a JSON object of "dtype", "shape" and
/// "data_offsets" by name; the data, without gaps.
///
/// @throws FileError if the file cannot be read; FormatError if it is not safetensors, or its
/// header
///         and its data do not fit; Unsupported for another type
[[nodiscard]] OCTCONV_API std::map<std::string, Tensor> read_safetensors(
    const std::filesystem::path& path);

/// The same from bytes; `name` stands for the file in errors. Allocates no more than a small
/// multiple of the bytes.
[[nodiscard]] OCTCONV_API std::map<std::string, Tensor> parse_safetensors(std::string_view bytes,
                                                                          std::string_view name);

}  // namespace octconv
