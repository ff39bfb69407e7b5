// SPDX-License-Identifier: Apache-2.0
// How many multiply-adds one thread can do.
#pragma once

// GFLOP/s (a multiply-add is two) of fused multiply-adds that touch registers only, with the
// instruction set that the kernels use on this processor. The best of several measurements.
double peak_gflops();
