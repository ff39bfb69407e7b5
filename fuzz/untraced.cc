// SPDX-License-Identifier: Apache-2.0
// For programs that link traced layers and do not look at what is reached; fuzz/driver.cc has
// another one, which is stronger.
extern "C" __attribute__((weak)) void __sanitizer_cov_trace_pc() {}
