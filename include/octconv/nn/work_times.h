// SPDX-License-Identifier: Apache-2.0
// Where the time of training steps goes inside of modules.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "octconv/base/api.h"

namespace octconv::nn {

/// A kind of work, and how long it took. What one kind makes for another counts for that other.
struct WorkTime {
  std::string_view name;   ///< "convolutions, forward"
  std::int64_t calls = 0;  ///< of operations
  double seconds = 0;      ///< of this kind alone
};

/// Begins, or ends, to count. Holds for the process. While nothing is counted the clock is not
/// read.
OCTCONV_API void count_work(bool on);

/// All kinds, in the same order every time, with all that was ever counted.
[[nodiscard]] OCTCONV_API std::vector<WorkTime> work_times();

}  // namespace octconv::nn
