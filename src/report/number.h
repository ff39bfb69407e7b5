// SPDX-License-Identifier: Apache-2.0
// Numbers as people read them, the same in every locale.
#pragma once

#include <cstdint>
#include <string>

namespace octconv::report {

// With so many decimals: fixed(0.9146, 2) is "0.91"; never "-0.00". "nan" and "inf" are what they
// are.
std::string fixed(double value, int decimals);

// As few digits as tell it from its neighbours: "0", "0.25", "1e-07".
std::string shortest(double value);

// With thousands apart: "40,551,040".
std::string grouped(std::int64_t value);

}  // namespace octconv::report
