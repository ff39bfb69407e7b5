// SPDX-License-Identifier: Apache-2.0
// What this program runs on.
#pragma once

#include <string>

#include "octconv/base/api.h"

namespace octconv {

/// The processor's name as Linux gives it, or "unknown processor".
[[nodiscard]] OCTCONV_API std::string processor_name();

}  // namespace octconv
