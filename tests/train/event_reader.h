// SPDX-License-Identifier: Apache-2.0
// Reads an event file as the formats are published: no table for the checksum, no code of the
// writer's.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace octconv::train {

struct Event {
  double time = 0;
  std::int64_t step = 0;
  std::string version;
  std::vector<std::pair<std::string, float>> scalars;
};

/// Bit by bit, highest power first in the lowest bit.
inline std::uint32_t bitwise_crc(std::string_view bytes) {
  std::uint32_t crc = ~0u;
  for (const char byte : bytes) {
    for (int bit = 0; bit < 8; ++bit) {
      const bool carry = ((crc ^ static_cast<unsigned char>(byte) >> bit) & 1) != 0;
      crc = carry ? crc / 2 ^ 0x82F63B78u : crc / 2;
    }
  }
  return ~crc;
}

namespace detail {

/// Takes what comes next from the front of `bytes`.
inline std::string_view take(std::string_view& bytes, std::size_t count) {
  if (count > bytes.size()) throw std::runtime_error("event file ends too early");
  const std::string_view taken = bytes.substr(0, count);
  bytes.remove_prefix(count);
  return taken;
}

template <class Value>
Value take_value(std::string_view& bytes) {
  Value value;
  std::memcpy(&value, take(bytes, sizeof value).data(), sizeof value);  // a little-endian machine
  return value;
}

inline std::uint64_t take_varint(std::string_view& bytes) {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const auto byte = static_cast<unsigned char>(take(bytes, 1)[0]);
    value |= std::uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return value;
  }
  throw std::runtime_error("a varint has no end");
}

inline void take_checked(std::string_view& bytes, std::string_view what) {
  const auto masked = take_value<std::uint32_t>(bytes);
  const std::uint32_t rotated = masked - 0xa282ead8u;
  const std::uint32_t crc = rotated << 15 | rotated >> 17;
  if (crc != bitwise_crc(what)) throw std::runtime_error("a checksum is wrong");
}

inline void expect(bool right, const char* what) {
  if (!right) throw std::runtime_error(what);
}

inline std::pair<std::string, float> read_value(std::string_view bytes) {
  std::pair<std::string, float> value;
  while (!bytes.empty()) {
    const std::uint64_t key = take_varint(bytes);
    if (key == (1 << 3 | 2)) {
      value.first = take(bytes, take_varint(bytes));
    } else {
      expect(key == (2 << 3 | 5), "a value has another field than tag and simple_value");
      value.second = take_value<float>(bytes);
    }
  }
  return value;
}

inline Event read_event(std::string_view bytes) {
  Event event;
  while (!bytes.empty()) {
    const std::uint64_t key = take_varint(bytes);
    if (key == (1 << 3 | 1)) {
      event.time = take_value<double>(bytes);
    } else if (key == (2 << 3 | 0)) {
      event.step = static_cast<std::int64_t>(take_varint(bytes));
    } else if (key == (3 << 3 | 2)) {
      event.version = take(bytes, take_varint(bytes));
    } else {
      expect(key == (5 << 3 | 2), "an event has an unknown field");
      std::string_view summary = take(bytes, take_varint(bytes));
      while (!summary.empty()) {
        expect(take_varint(summary) == (1 << 3 | 2), "a summary has another field than value");
        event.scalars.push_back(read_value(take(summary, take_varint(summary))));
      }
    }
  }
  return event;
}

}  // namespace detail

/// @throws std::runtime_error for a file that is not as the formats say
inline std::vector<Event> read_events(std::string_view file) {
  std::vector<Event> events;
  while (!file.empty()) {
    const std::string_view length = detail::take(file, 8);
    detail::take_checked(file, length);
    std::string_view digits = length;
    const std::string_view data = detail::take(file, detail::take_value<std::uint64_t>(digits));
    detail::take_checked(file, data);
    events.push_back(detail::read_event(data));
  }
  return events;
}

}  // namespace octconv::train
