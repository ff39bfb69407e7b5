// SPDX-License-Identifier: Apache-2.0
#include "octconv/octave/options.h"

#include <array>
#include <string>
#include <utility>

#include "octconv/base/error.h"

namespace octconv {
namespace {

template <class Enum, std::size_t kCount>
using Names = std::array<std::pair<Enum, std::string_view>, kCount>;

constexpr Names<StrideMode, 4> kStrideModes{{{StrideMode::kPool, "pool"},
                                             {StrideMode::kPoolTwice, "pool_twice"},
                                             {StrideMode::kPoolLow, "pool_low"},
                                             {StrideMode::kStrided, "strided"}}};
constexpr Names<Exchange, 4> kExchanges{{{Exchange::kBoth, "both"},
                                         {Exchange::kHighToLow, "high_to_low"},
                                         {Exchange::kLowToHigh, "low_to_high"},
                                         {Exchange::kNone, "none"}}};

template <class Enum, std::size_t kCount>
std::string_view name_of(const Names<Enum, kCount>& names, Enum value) noexcept {
  for (const auto& [known, name] : names) {
    if (known == value) return name;
  }
  return "?";
}

template <class Enum, std::size_t kCount>
Enum value_of(const Names<Enum, kCount>& names, std::string_view what, std::string_view text) {
  std::string choices;
  for (const auto& [known, name] : names) {
    if (name == text) return known;
    choices += (choices.empty() ? "" : ", ") + std::string(name);
  }
  throw InvalidArgument(std::string(what) + " '" + std::string(text) +
                        "' is unknown; choose from " + choices);
}

}  // namespace

std::string_view to_string(StrideMode mode) noexcept {
  return name_of(kStrideModes, mode);
}
std::string_view to_string(Exchange exchange) noexcept {
  return name_of(kExchanges, exchange);
}
StrideMode parse_stride_mode(std::string_view text) {
  return value_of(kStrideModes, "stride mode", text);
}
Exchange parse_exchange(std::string_view text) {
  return value_of(kExchanges, "exchange", text);
}

}  // namespace octconv
