// SPDX-License-Identifier: Apache-2.0
#include "report/number.h"

#include <array>
#include <charconv>

namespace octconv::report {

std::string fixed(double value, int decimals) {
  constexpr std::size_t kLongestDouble = 400;  // 309 digits, a point, decimals
  std::array<char, kLongestDouble> buffer;
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                          std::chars_format::fixed, decimals);
  std::string text(buffer.data(), end);
  const bool negative_zero =
      text.starts_with('-') && text.find_first_not_of("-0.") == std::string::npos;
  return negative_zero ? text.substr(1) : text;
}

std::string shortest(double value) {
  constexpr std::size_t kLongest = 32;  // 17 digits, sign, point, exponent
  std::array<char, kLongest> buffer;
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return {buffer.data(), end};
}

std::string grouped(std::int64_t value) {
  std::string text = std::to_string(value);
  const std::size_t first = text.starts_with('-') ? 1 : 0;
  for (std::size_t at = text.size(); at > first + 3;) {
    at -= 3;
    text.insert(at, 1, ',');
  }
  return text;
}

}  // namespace octconv::report
