// SPDX-License-Identifier: Apache-2.0
#include "train/event_file.h"

#include <array>
#include <bit>

namespace octconv::train {
namespace {

constexpr std::uint32_t kCastagnoli = 0x82F63B78;

constexpr std::array<std::uint32_t, 256> kCrcOfByte = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < table.size(); ++byte) {
    std::uint32_t rest = byte;
    for (int bit = 0; bit < 8; ++bit) rest = rest >> 1 ^ ((rest & 1) != 0 ? kCastagnoli : 0);
    table[byte] = rest;
  }
  return table;
}();

// Lowest byte first.
template <class Unsigned>
std::string little_endian(Unsigned value) {
  std::string bytes;
  for (std::size_t i = 0; i < sizeof value; ++i) {
    bytes += static_cast<char>(value >> 8 * i & 0xff);
  }
  return bytes;
}

// Seven bits in each byte, lowest first; the highest bit says that more follow.
std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value > 0x7f; value >>= 7) bytes += static_cast<char>((value & 0x7f) | 0x80);
  return bytes + static_cast<char>(value);
}

// How the value of a field is written.
enum class Wire : std::uint8_t { kVarint = 0, kEightBytes = 1, kLengthFirst = 2, kFourBytes = 5 };

std::string key(std::uint32_t field, Wire wire) {
  return varint(field << 3 | static_cast<std::uint32_t>(wire));
}

std::string field_of(std::uint32_t field, double value) {
  return key(field, Wire::kEightBytes) + little_endian(std::bit_cast<std::uint64_t>(value));
}

std::string field_of(std::uint32_t field, float value) {
  return key(field, Wire::kFourBytes) + little_endian(std::bit_cast<std::uint32_t>(value));
}

std::string field_of(std::uint32_t field, std::int64_t value) {
  return key(field, Wire::kVarint) + varint(static_cast<std::uint64_t>(value));
}

// Text, or a message.
std::string field_of(std::uint32_t field, std::string_view bytes) {
  return key(field, Wire::kLengthFirst) + varint(bytes.size()) + std::string(bytes);
}

// Checksums are stored like this because one of data that hold their own checksum is not good.
std::string masked_crc(std::string_view bytes) {
  return little_endian(std::rotr(crc32c(bytes), 15) + 0xa282ead8u);
}

std::string record(std::string_view event) {
  const std::string length = little_endian(std::uint64_t{event.size()});
  return length + masked_crc(length) + std::string(event) + masked_crc(event);
}

// Fields of the messages.
constexpr std::uint32_t kEventTime = 1;
constexpr std::uint32_t kEventStep = 2;
constexpr std::uint32_t kEventVersion = 3;
constexpr std::uint32_t kEventSummary = 5;
constexpr std::uint32_t kSummaryValue = 1;
constexpr std::uint32_t kValueTag = 1;
constexpr std::uint32_t kValueSimple = 2;

}  // namespace

std::uint32_t crc32c(std::string_view bytes) noexcept {
  std::uint32_t rest = 0xffffffff;
  for (const char byte : bytes) {
    rest = rest >> 8 ^ kCrcOfByte[(rest ^ static_cast<unsigned char>(byte)) & 0xff];
  }
  return ~rest;
}

std::string version_event(double time) {
  return record(field_of(kEventTime, time) + field_of(kEventVersion, "brain.Event:2"));
}

std::string scalar_event(double time, std::int64_t step,
                         const std::vector<std::pair<std::string, double>>& scalars) {
  std::string summary;
  for (const auto& [tag, value] : scalars) {
    summary += field_of(kSummaryValue, field_of(kValueTag, std::string_view{tag}) +
                                           field_of(kValueSimple, static_cast<float>(value)));
  }
  return record(field_of(kEventTime, time) + field_of(kEventStep, step) +
                field_of(kEventSummary, std::string_view{summary}));
}

}  // namespace octconv::train
