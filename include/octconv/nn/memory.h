// SPDX-License-Identifier: Apache-2.0
// How the process treats the memory that tensors free.
#pragma once

#include "octconv/base/api.h"

namespace octconv::nn {

/// Makes the C library keep freed memory for the next allocation instead of giving it back to the
/// system.
///
/// Every training step allocates the same large tensors anew, and by default each of them gets
/// fresh pages that the system must zero and map one by one. Holds for the process, whose memory
/// use then never falls below its peak. Does nothing where the C library is not glibc.
///
/// The first octave layer or `GraphModule` that records gradients on the CPU does this by itself,
/// unless this function was called before.
///
/// @param keep  false: leaves the C library as it is
OCTCONV_API void keep_freed_memory(bool keep = true) noexcept;

}  // namespace octconv::nn
