// SPDX-License-Identifier: Apache-2.0
// Offsets below are of PKWARE's APPNOTE.TXT, sections 4.3.7 to 4.3.16 and 4.5.3.
#include "tensor/archive.h"

#include <algorithm>
#include <cstdint>

#include "octconv/base/error.h"
#include "tensor/element_type.h"

namespace octconv {
namespace {

constexpr std::uint32_t kLocalMark = 0x04034b50;
constexpr std::uint32_t kEntryMark = 0x02014b50;
constexpr std::uint32_t kEndMark = 0x06054b50;
constexpr std::uint32_t kEnd64Mark = 0x06064b50;
constexpr std::uint32_t kLocator64Mark = 0x07064b50;
constexpr std::size_t kLocalBytes = 30;
constexpr std::size_t kEntryBytes = 46;
constexpr std::size_t kEndBytes = 22;
constexpr std::size_t kEnd64Bytes = 56;
constexpr std::size_t kLocator64Bytes = 20;
constexpr std::size_t kMaxComment = 65535;
constexpr std::uint32_t kIn64 = 0xFFFFFFFF;  // the number is in the Zip64 field
constexpr std::uint16_t kField64 = 1;

// A number at an offset that may lie anywhere.
template <class T>
T at(std::string_view bytes, std::uint64_t offset) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T))
    throw FormatError("its archive is truncated");
  return load_bytes<T>(bytes.data() + offset);
}

std::string_view part(std::string_view bytes, std::uint64_t offset, std::uint64_t size) {
  if (offset > bytes.size() || bytes.size() - offset < size)
    throw FormatError("its archive is truncated");
  return bytes.substr(offset, size);
}

struct Directory {
  std::uint64_t offset = 0;
  std::uint64_t entries = 0;
};

Directory find_directory(std::string_view bytes) {
  // The end record is the last thing but for a comment.
  for (std::size_t back = kEndBytes; back <= std::min(bytes.size(), kEndBytes + kMaxComment);
       ++back) {
    const std::size_t end = bytes.size() - back;
    if (at<std::uint32_t>(bytes, end) != kEndMark) continue;
    if (end >= kLocator64Bytes &&
        at<std::uint32_t>(bytes, end - kLocator64Bytes) == kLocator64Mark) {
      const auto end64 = at<std::uint64_t>(bytes, end - kLocator64Bytes + 8);
      if (at<std::uint32_t>(part(bytes, end64, kEnd64Bytes), 0) != kEnd64Mark)
        throw FormatError("its archive has no Zip64 end");
      return {.offset = at<std::uint64_t>(bytes, end64 + 48),
              .entries = at<std::uint64_t>(bytes, end64 + 32)};
    }
    return {.offset = at<std::uint32_t>(bytes, end + 16),
            .entries = at<std::uint16_t>(bytes, end + 10)};
  }
  throw FormatError("it is no complete zip archive");
}

// The 64-bit numbers of an entry's extra fields, in their order.
std::string_view field64(std::string_view extra) {
  while (extra.size() >= 4) {
    const auto id = at<std::uint16_t>(extra, 0);
    const std::string_view data = part(extra, 4, at<std::uint16_t>(extra, 2));
    if (id == kField64) return data;
    extra.remove_prefix(4 + data.size());
  }
  return {};
}

}  // namespace

std::map<std::string, std::string_view> stored_entries(std::string_view bytes) {
  const Directory directory = find_directory(bytes);
  std::map<std::string, std::string_view> entries;
  std::uint64_t offset = directory.offset;
  for (std::uint64_t i = 0; i < directory.entries; ++i) {
    const std::string_view record = part(bytes, offset, kEntryBytes);
    if (at<std::uint32_t>(record, 0) != kEntryMark)
      throw FormatError("entry " + std::to_string(i) + " of its archive is damaged");
    const auto method = at<std::uint16_t>(record, 10);
    std::uint64_t size = at<std::uint32_t>(record, 20);
    std::uint64_t whole = at<std::uint32_t>(record, 24);
    const auto name_bytes = at<std::uint16_t>(record, 28);
    const auto extra_bytes = at<std::uint16_t>(record, 30);
    const auto comment_bytes = at<std::uint16_t>(record, 32);
    std::uint64_t local = at<std::uint32_t>(record, 42);
    const std::string name(part(bytes, offset + kEntryBytes, name_bytes));
    std::string_view numbers = field64(part(bytes, offset + kEntryBytes + name_bytes, extra_bytes));
    for (std::uint64_t* number : {&whole, &size, &local}) {
      if (*number != kIn64) continue;
      *number = at<std::uint64_t>(numbers, 0);
      numbers.remove_prefix(sizeof(std::uint64_t));
    }
    if (method != 0 || size != whole)
      throw Unsupported("entry '" + name + "' of its archive is compressed");
    if (at<std::uint32_t>(part(bytes, local, kLocalBytes), 0) != kLocalMark)
      throw FormatError("entry '" + name + "' of its archive is damaged");
    const std::uint64_t data = local + kLocalBytes + at<std::uint16_t>(bytes, local + 26) +
                               at<std::uint16_t>(bytes, local + 28);
    if (!entries.emplace(name, part(bytes, data, size)).second)
      throw FormatError("entry '" + name + "' of its archive exists twice");
    offset += kEntryBytes + name_bytes + extra_bytes + comment_bytes;
  }
  return entries;
}

}  // namespace octconv
