// SPDX-License-Identifier: Apache-2.0
// What a fuzz target is: libFuzzer's function, so that either driver can run it.
#pragma once

#include <cstddef>
#include <cstdint>

/// Reads the bytes as a file of the target's format. Returns 0; whatever else happens than a return
/// (a sanitizer's report, an exception, a hang) is a finding.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
