// SPDX-License-Identifier: Apache-2.0
// Numbers in files, and how they become float32.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "tensor/half.h"

namespace octconv {

static_assert(std::endian::native == std::endian::little, "these files are little-endian");

struct ElementType {
  std::string_view safetensors;  ///< its name there
  std::string_view storage;      ///< of PyTorch, in module `torch`
  std::size_t bytes;
  float (*load)(const char*);
};

template <class T>
T load_bytes(const char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

template <class T>
float load_float(const char* bytes) {
  return static_cast<float>(load_bytes<T>(bytes));
}

inline constexpr ElementType kElementTypes[] = {
    {"F64", "DoubleStorage", 8, load_float<double>},
    {"F32", "FloatStorage", 4, load_float<float>},
    {"F16", "HalfStorage", 2,
     [](const char* b) { return half_to_float(load_bytes<std::uint16_t>(b)); }},
    // The upper half of a float32.
    {"BF16", "BFloat16Storage", 2,
     [](const char* b) {
       return std::bit_cast<float>(std::uint32_t{load_bytes<std::uint16_t>(b)} << 16);
     }},
    {"I64", "LongStorage", 8, load_float<std::int64_t>},
    {"I32", "IntStorage", 4, load_float<std::int32_t>},
    {"I16", "ShortStorage", 2, load_float<std::int16_t>},
    {"I8", "CharStorage", 1, load_float<std::int8_t>},
    {"U8", "ByteStorage", 1, load_float<std::uint8_t>},
    {"BOOL", "BoolStorage", 1, load_float<std::uint8_t>},
};

}  // namespace octconv
