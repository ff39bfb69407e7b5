// SPDX-License-Identifier: Apache-2.0
// Numbers as people read them, the same in every locale.
#pragma once

#include <cstdint>
#include <string>

namespace octconv::report {

// With so many decimals: fixed(0.9146, 2) is "0.91"; never "-0.00". "nan" and "inf" are what they
// are.
std::string fixed(double value, int decimals);

// With thousands apart: "40,551,040".
std::string grouped(std::int64_t value);

}  // namespace octconv::report
