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

constexpr Names<LowToHigh, 2> kLowToHighs{{{LowToHigh::kConvThenUpsample, "conv_then_upsample"},
                                           {LowToHigh::kUpsampleThenConv, "upsample_then_conv"}}};
constexpr Names<Downsample, 3> kDownsamples{{{Downsample::kAverage, "average"},
                                             {Downsample::kMax, "max"},
                                             {Downsample::kStridedConv, "strided_conv"}}};
constexpr Names<Upsample, 2> kUpsamples{
    {{Upsample::kNearest, "nearest"}, {Upsample::kBilinear, "bilinear"}}};
constexpr Names<Rounding, 2> kRoundings{
    {{Rounding::kFloorLow, "floor_low"}, {Rounding::kFloorHigh, "floor_high"}}};
constexpr Names<BiasRule, 2> kBiasRules{
    {{BiasRule::kOnce, "once"}, {BiasRule::kPerPath, "per_path"}}};
constexpr Names<OddLow, 2> kOddLows{{{OddLow::kCeil, "ceil"}, {OddLow::kFloor, "floor"}}};
constexpr Names<GroupRule, 3> kGroupRules{{{GroupRule::kAll, "all"},
                                           {GroupRule::kMinimum, "minimum"},
                                           {GroupRule::kProportional, "proportional"}}};
constexpr Names<PaddingMode, 4> kPaddingModes{{{PaddingMode::kZeros, "zeros"},
                                               {PaddingMode::kReflect, "reflect"},
                                               {PaddingMode::kReplicate, "replicate"},
                                               {PaddingMode::kCircular, "circular"}}};

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

std::string_view to_string(StrideMode value) noexcept {
  return name_of(kStrideModes, value);
}
std::string_view to_string(Exchange value) noexcept {
  return name_of(kExchanges, value);
}
std::string_view to_string(LowToHigh value) noexcept {
  return name_of(kLowToHighs, value);
}
std::string_view to_string(Downsample value) noexcept {
  return name_of(kDownsamples, value);
}
std::string_view to_string(Upsample value) noexcept {
  return name_of(kUpsamples, value);
}
std::string_view to_string(Rounding value) noexcept {
  return name_of(kRoundings, value);
}
std::string_view to_string(BiasRule value) noexcept {
  return name_of(kBiasRules, value);
}
std::string_view to_string(OddLow value) noexcept {
  return name_of(kOddLows, value);
}
std::string_view to_string(GroupRule value) noexcept {
  return name_of(kGroupRules, value);
}
std::string_view to_string(PaddingMode value) noexcept {
  return name_of(kPaddingModes, value);
}

StrideMode parse_stride_mode(std::string_view text) {
  return value_of(kStrideModes, "stride mode", text);
}
Exchange parse_exchange(std::string_view text) {
  return value_of(kExchanges, "exchange", text);
}
Downsample parse_downsample(std::string_view text) {
  return value_of(kDownsamples, "downsample", text);
}
LowToHigh parse_low_to_high(std::string_view text) {
  return value_of(kLowToHighs, "low_to_high", text);
}
Upsample parse_upsample(std::string_view text) {
  return value_of(kUpsamples, "upsampling", text);
}

}  // namespace octconv
