// SPDX-License-Identifier: Apache-2.0
// Which instruction sets the loops over pixels are built for: included before any Highway header.
#pragma once

// Those that a build for tests leaves out.
#ifndef OCTCONV_SKIPPED_TARGETS
#define OCTCONV_SKIPPED_TARGETS 0
#endif
// Vectors without a size at compile time are not worth it for loops as short as these.
#define HWY_DISABLED_TARGETS \
  (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV | OCTCONV_SKIPPED_TARGETS)

#include "hwy/detect_targets.h"
