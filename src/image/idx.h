// SPDX-License-Identifier: Apache-2.0
// The idx files of the MNIST family, plain or compressed with gzip.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace octconv::image {

// Unsigned bytes with 1 to 4 extents.
struct IdxArray {
  std::vector<std::int64_t> extents;
  std::vector<std::uint8_t> values;
};

// Reads a file whose array has `rank` extents.
//
// Format: two zero bytes, 0x08 for unsigned bytes, the rank, each extent as a big-endian 32-bit
// number, the values (http://yann.lecun.com/exdb/mnist). Throws FileError, and FormatError for
// another type or rank, a file that is truncated or goes on after the values, an extent of 0.
IdxArray read_idx(const std::filesystem::path& path, std::size_t rank);

// The same from bytes in memory; `name` stands for the file in errors.
IdxArray parse_idx(std::string bytes, const std::string& name, std::size_t rank);

}  // namespace octconv::image
