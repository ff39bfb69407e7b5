// SPDX-License-Identifier: Apache-2.0
// What layers do about the memory that tensors free.
#pragma once

#include "octconv/nn/memory.h"

namespace octconv::nn {

/// What layers call: `keep_freed_memory()` if nobody decided yet.
void keep_freed_memory_unless_told() noexcept;

}  // namespace octconv::nn
