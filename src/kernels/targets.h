// SPDX-License-Identifier: Apache-2.0
// Which instruction sets the kernels are built for: included before any Highway header.
#pragma once

// Those that a build for tests leaves out.
#ifndef OCTCONV_SKIPPED_TARGETS
#define OCTCONV_SKIPPED_TARGETS 0
#endif
// Their vectors have no size at compile time, so a tile of accumulators cannot be an array of them.
#define HWY_DISABLED_TARGETS \
  (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV | OCTCONV_SKIPPED_TARGETS)

#include "hwy/detect_targets.h"
