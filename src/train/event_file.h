// SPDX-License-Identifier: Apache-2.0
// Numbers over time in the file format that TensorBoard reads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace octconv::train {

/// The cyclic redundancy check of RFC 3720 (Castagnoli's polynomial, 0x82F63B78 in reflected
/// order).
[[nodiscard]] std::uint32_t crc32c(std::string_view bytes) noexcept;

/// The first record of an event file: its version.
///
/// Source for this and the next: TensorFlow's core/util/event.proto, core/framework/summary.proto,
/// and for the frame around each record core/lib/io/record_writer.h.
/// @param time  seconds since 1970
[[nodiscard]] std::string version_event(double time);

/// A record of numbers that belong to one step, each under its tag.
[[nodiscard]] std::string scalar_event(double time, std::int64_t step,
                                       const std::vector<std::pair<std::string, double>>& scalars);

}  // namespace octconv::train
