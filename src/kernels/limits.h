// SPDX-License-Identifier: Apache-2.0
// What a core can do at most: work that measures it.
#pragma once

#include <cstdint>

namespace octconv::kernels {

/// Multiply-adds of independent registers, `rounds` times; returns how many numbers were multiplied
/// and added. `sink` keeps the work from being left out.
std::int64_t multiply_add_registers(std::int64_t rounds, float& sink) noexcept;

/// Reads all of it; returns a sum.
float read_all(const float* data, std::int64_t count) noexcept;

}  // namespace octconv::kernels
