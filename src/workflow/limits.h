// SPDX-License-Identifier: Apache-2.0
// What this machine can do at most, measured.
#pragma once

namespace octconv::workflow {

struct MachineLimits {
  double macs_per_ns = 0;   // float32 multiply-adds in registers
  double bytes_per_ns = 0;  // read from memory that no cache holds
};

// For so many threads at once; takes about a second. Several trials, of which the best counts:
// everything that disturbs makes them slower.
MachineLimits measure_limits(int threads);

}  // namespace octconv::workflow
