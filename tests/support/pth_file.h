// SPDX-License-Identifier: Apache-2.0
// Files like those of torch.save, written byte by byte: a zip archive of stored entries, and a
// pickle of protocol 2.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace octconv::examples {

inline std::string little(std::uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>((value >> (8 * i)) & 255);
  return text;
}

/// An archive of these entries; checksums are left at 0.
inline std::string zip(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string bytes;
  std::string directory;
  for (const auto& [name, data] : entries) {
    const std::string sizes = little(data.size(), 4) + little(data.size(), 4);
    directory += "PK\x01\x02" + std::string(4, '\0') + little(0, 2) + little(0, 2) +
                 std::string(8, '\0') + sizes + little(name.size(), 2) + std::string(12, '\0') +
                 little(bytes.size(), 4) + name;
    bytes += "PK\x03\x04" + std::string(14, '\0') + sizes + little(name.size(), 2) + little(0, 2) +
             name + data;
  }
  const std::string count = little(entries.size(), 2);
  return bytes + directory + "PK\x05\x06" + std::string(4, '\0') + count + count +
         little(directory.size(), 4) + little(bytes.size(), 4) + little(0, 2);
}

inline std::string pickled(const std::string& text) {
  return "X" + little(text.size(), 4) + text;
}
inline std::string pickled(std::uint64_t number) {
  return "J" + little(number, 4);
}
inline std::string pickled(const std::vector<std::uint64_t>& tuple) {
  std::string bytes = "(";
  for (const std::uint64_t number : tuple) bytes += pickled(number);
  return bytes + "t";
}

/// A tensor as torch._utils._rebuild_tensor_v2 makes it of a storage.
inline std::string pickled_tensor(const std::string& type, const std::string& key,
                                  std::uint64_t offset, const std::vector<std::uint64_t>& extents,
                                  const std::vector<std::uint64_t>& strides) {
  return "ctorch._utils\n_rebuild_tensor_v2\n((" + pickled("storage") + "ctorch\n" + type + "\n" +
         pickled(key) + pickled("cpu") + pickled(0) + "tQ" + pickled(offset) + pickled(extents) +
         pickled(strides) + "\x89" + "ccollections\nOrderedDict\n)Rt" + "R";
}

/// An OrderedDict of these values, with the `_metadata` that a state dict has.
inline std::string pickled_dict(const std::vector<std::pair<std::string, std::string>>& values) {
  std::string bytes = "ccollections\nOrderedDict\n)Rq\x05(";
  for (const auto& [name, value] : values) bytes += pickled(name) + value;
  return bytes + "u}" + pickled("_metadata") + "ccollections\nOrderedDict\n)Rsb";
}

inline std::string pth(const std::string& value,
                       std::vector<std::pair<std::string, std::string>> storages) {
  std::vector<std::pair<std::string, std::string>> entries{
      {"archive/data.pkl", "\x80\x02" + value + "."}};
  for (auto& [key, data] : storages) entries.emplace_back("archive/data/" + key, std::move(data));
  entries.emplace_back("archive/version", "3\n");
  return zip(entries);
}

}  // namespace octconv::examples
