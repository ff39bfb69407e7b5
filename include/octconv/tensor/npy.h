// SPDX-License-Identifier: Apache-2.0
// NumPy's .npy files.
#pragma once

#include <filesystem>
#include <string_view>

#include "octconv/base/api.h"
#include "octconv/tensor/tensor.h"

namespace octconv {

/// Reads a .npy file, format versions 1 to 3, C or Fortran order, little or big endian.
///
/// Floating point of 16, 32 and 64 bits and (un)signed integers and booleans of 8 to 64 bits become
/// float32. Source: NumPy's format description (numpy/lib/format.py).
/// @throws FileError, FormatError (another type, a truncated or oversized file), naming the path
[[nodiscard]] OCTCONV_API Tensor read_npy(const std::filesystem::path& path);

/// The same from bytes in memory; `name` stands for the file in errors.
[[nodiscard]] OCTCONV_API Tensor parse_npy(std::string_view bytes, std::string_view name);

/// Writes float32, C order, version 1.0.
/// @throws FileError
OCTCONV_API void write_npy(const std::filesystem::path& path, const Tensor& tensor);

}  // namespace octconv
