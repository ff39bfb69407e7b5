// SPDX-License-Identifier: Apache-2.0
// Nothing is allocated on the word of the header: every tensor's bytes are found first, and no byte
// belongs to two tensors.
#include "octconv/tensor/safetensors.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/json_depth.h"
#include "octconv/base/error.h"
#include "octconv/base/file.h"
#include "tensor/element_type.h"

namespace octconv {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeaderBytes = std::uint64_t{1} << 24;
constexpr int kMaxDepth = 3;  // the header, a tensor, its shape
constexpr std::uint64_t kMaxExtent = std::numeric_limits<std::int32_t>::max();

[[noreturn]] void fail(std::string_view name, const std::string& why) {
  throw FormatError("'" + std::string(name) + "' is not a usable safetensors file: " + why);
}

// Where a tensor is in the data.
struct Entry {
  std::string name;
  const ElementType* type = nullptr;
  Shape shape;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

class Header {
 public:
  Header(std::string_view text, std::string_view file) : file_(file) {
    if (json_depth(text) > kMaxDepth) fail(file, "its header is nested too deeply");
    try {
      json_ = Json::parse(text);
    } catch (const Json::exception&) {
      fail(file, "its header is not JSON");
    }
    if (!json_.is_object()) fail(file, "its header is not a JSON object");
  }

  [[nodiscard]] std::vector<Entry> entries() const {
    std::vector<Entry> all;
    for (const auto& [name, json] : json_.items()) {
      if (name != "__metadata__") all.push_back(entry(name, json));
    }
    return all;
  }

 private:
  [[nodiscard]] Entry entry(const std::string& name, const Json& json) const {
    const auto complain = [&](const std::string& why) {
      fail(file_, "tensor '" + name + "' " + why);
    };
    const auto member = [&](const char* key) -> const Json& {
      if (!json.is_object()) complain("is not described by an object");
      const auto found = json.find(key);
      if (found == json.end()) complain("has no " + std::string(key));
      return *found;
    };
    const auto numbers = [&](const char* key, std::uint64_t most) {
      const Json& list = member(key);
      if (!list.is_array()) complain("has a " + std::string(key) + " that is not a list");
      std::vector<std::uint64_t> values;
      for (const Json& value : list) {
        if (!value.is_number_unsigned() || value.get<std::uint64_t>() > most)
          complain("has " + value.dump(-1, ' ', false, Json::error_handler_t::replace) +
                   " in its " + key);
        values.push_back(value.get<std::uint64_t>());
      }
      return values;
    };

    const Json& type = member("dtype");
    if (!type.is_string()) complain("has a dtype that is not text");
    const auto& type_name = type.get_ref<const std::string&>();
    const auto* const known = std::find_if(
        std::begin(kElementTypes), std::end(kElementTypes),
        [&](const ElementType& candidate) { return candidate.safetensors == type_name; });
    if (known == std::end(kElementTypes))
      throw Unsupported("'" + std::string(file_) + "': tensor '" + name + "' is of type '" +
                        type_name + "', which cannot be read");
    Entry entry{.name = name, .type = known};
    const std::vector<std::uint64_t> extents = numbers("shape", kMaxExtent);
    if (extents.size() > Shape::kMaxRank)
      complain("has " + std::to_string(extents.size()) + " extents");
    for (const std::uint64_t extent : extents)
      entry.shape.push_back(static_cast<std::int64_t>(extent));
    const std::vector<std::uint64_t> offsets =
        numbers("data_offsets", std::numeric_limits<std::int64_t>::max());
    if (offsets.size() != 2 || offsets[0] > offsets[1])
      complain("has data_offsets that are not a begin and an end");
    entry.begin = offsets[0];
    entry.end = offsets[1];
    std::uint64_t count = 0;
    try {
      count = static_cast<std::uint64_t>(entry.shape.elements());
    } catch (const InvalidArgument&) {
      complain("has the impossible shape " + entry.shape.to_string());
    }
    const std::uint64_t size = entry.end - entry.begin;
    // By division: count * bytes may overflow.
    if (size % known->bytes != 0 || size / known->bytes != count)
      complain("has " + std::to_string(size) + " bytes for shape " + entry.shape.to_string() +
               " of " + type_name);
    return entry;
  }

  std::string_view file_;
  Json json_;
};

// Every byte of the data belongs to one tensor.
void check_order(std::vector<Entry>& entries, std::size_t data_bytes, std::string_view file) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t at = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != at)
      fail(file, "tensor '" + entry.name + "' begins at byte " + std::to_string(entry.begin) +
                     " of the data instead of " + std::to_string(at));
    at = entry.end;
  }
  if (at != data_bytes)
    fail(file, "it has " + std::to_string(data_bytes) +
                   " bytes of data, and its header describes " + std::to_string(at));
}

}  // namespace

std::map<std::string, Tensor> parse_safetensors(std::string_view bytes, std::string_view name) {
  if (bytes.size() < kLengthBytes) fail(name, "it is truncated");
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  std::string_view data = bytes.substr(kLengthBytes);
  if (length > kMaxHeaderBytes)
    fail(name, "its header would have " + std::to_string(length) + " bytes");
  if (length > data.size()) fail(name, "it is truncated");
  const Header header(data.substr(0, length), name);
  data.remove_prefix(length);
  std::vector<Entry> entries = header.entries();
  check_order(entries, data.size(), name);

  std::map<std::string, Tensor> tensors;
  for (const Entry& entry : entries) {
    Tensor tensor(entry.shape);
    const char* from = data.data() + entry.begin;
    for (float& value : tensor.values()) {
      value = entry.type->load(from);
      from += entry.type->bytes;
    }
    tensors.emplace(entry.name, std::move(tensor));
  }
  return tensors;
}

std::map<std::string, Tensor> read_safetensors(const std::filesystem::path& path) {
  return parse_safetensors(read_file(path), path.string());
}

}  // namespace octconv
