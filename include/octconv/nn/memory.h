// SPDX-License-Identifier: Apache-2.0
// How the process treats the memory that tensors free.
#pragma once

#include "octconv/base/api.h"

namespace octconv::nn {

/// Makes LibTorch keep the memory of freed CPU tensors for the next ones instead of giving it back
/// to the system, up to an eighth more than tensors ever took at once.
///
/// Every training step allocates the same large tensors anew, and by default each of them gets
/// fresh pages that the system must zero and map one by one, or a hole in a heap that grows by the
/// holes between tensors of many sizes. Holds for the process (`c10::SetCPUAllocator`; the C
/// library, where it is glibc, is told to keep what it has too), for tensors made from now on.
///
/// The first octave layer or `GraphModule` that records gradients on the CPU does this by itself,
/// unless this function was called before.
///
/// @param keep  false: leaves LibTorch and the C library as they are
OCTCONV_API void keep_freed_memory(bool keep = true) noexcept;

}  // namespace octconv::nn
