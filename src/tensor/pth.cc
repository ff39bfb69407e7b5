// SPDX-License-Identifier: Apache-2.0
#include "octconv/tensor/pth.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <limits>
#include <utility>
#include <vector>

#include "octconv/base/error.h"
#include "octconv/base/file.h"
#include "tensor/archive.h"
#include "tensor/element_type.h"
#include "tensor/pickle.h"

namespace octconv {
namespace {

using Kind = PickleObject::Kind;
using Entries = std::map<std::string, std::string_view>;

constexpr std::size_t kMaxPickleBytes = std::size_t{1} << 26;
// Tensors may share a storage (tied weights), but not so that a small file asks for gigabytes.
constexpr std::uint64_t kMostTimes = 16;
constexpr std::int64_t kMaxExtent = std::numeric_limits<std::int32_t>::max();
constexpr std::array<std::string_view, 5> kNests{"state_dict", "model_state_dict", "model", "net",
                                                 "network"};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : entries_(stored_entries(bytes)), left_(bytes.size()) {
    left_ *= kMostTimes;
    constexpr std::string_view kPickle = "/data.pkl";
    const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const auto& entry) {
      return entry.first.ends_with(kPickle);
    });
    if (found == entries_.end()) throw FormatError("its archive has no data.pkl");
    folder_ = found->first.substr(0, found->first.size() - kPickle.size()) + "/";
    const auto order = entries_.find(folder_ + "byteorder");
    if (order != entries_.end() && order->second != "little")
      throw Unsupported("its byte order is '" + std::string(order->second) + "'");
    if (found->second.size() > kMaxPickleBytes)
      throw Unsupported("its pickle has " + std::to_string(found->second.size()) + " bytes");
    pickle_ = read_pickle(found->second);
  }

  std::map<std::string, Tensor> run() {
    const PickleObject* dictionary = pickle_.root;
    for (const std::string_view nest : kNests) {
      const PickleObject* inner = find(*pickle_.root, nest);
      if (inner != nullptr && holds_tensors(*inner)) {
        dictionary = inner;
        break;
      }
    }
    if (!holds_tensors(*dictionary))
      throw FormatError("it holds no dictionary of tensors by name (save model.state_dict())");
    std::map<std::string, Tensor> tensors;
    for (std::size_t i = 0; i + 1 < dictionary->items.size(); i += 2) {
      const PickleObject& key = *dictionary->items[i];
      const PickleObject* value = tensor_arguments(dictionary->items[i + 1]);
      if (key.kind != Kind::kText || value == nullptr) continue;
      tensors.insert_or_assign(key.text, tensor(key.text, *value));
    }
    return tensors;
  }

 private:
  static const PickleObject* find(const PickleObject& dictionary, std::string_view key) {
    if (dictionary.kind != Kind::kDictionary) return nullptr;
    for (std::size_t i = 0; i + 1 < dictionary.items.size(); i += 2) {
      if (dictionary.items[i]->kind == Kind::kText && dictionary.items[i]->text == key)
        return dictionary.items[i + 1];
    }
    return nullptr;
  }

  static bool holds_tensors(const PickleObject& object) {
    if (object.kind != Kind::kDictionary) return false;
    for (std::size_t i = 0; i + 1 < object.items.size(); i += 2) {
      if (object.items[i]->kind == Kind::kText && tensor_arguments(object.items[i + 1]) != nullptr)
        return true;
    }
    return false;
  }

  // What a tensor is rebuilt from (storage, offset, size, stride, ...), or null for other objects.
  // A parameter is a tensor with more about it.
  static const PickleObject* tensor_arguments(const PickleObject* object) {
    for (int depth = 0; depth < 2; ++depth) {
      if (object->kind != Kind::kReduced || object->items[0]->kind != Kind::kGlobal ||
          object->items[1]->kind != Kind::kTuple || object->items[1]->items.empty())
        return nullptr;
      const std::string& callable = object->items[0]->text;
      if (callable == "torch._utils._rebuild_tensor_v2")
        return object->items[1]->items.size() >= 4 ? object->items[1] : nullptr;
      if (callable != "torch._utils._rebuild_parameter") return nullptr;
      object = object->items[1]->items[0];
    }
    return nullptr;
  }

  struct Storage {
    const ElementType* type = nullptr;
    std::string_view data;
  };

  // ("storage", torch.FloatStorage, "0", "cpu", 12): 12 floats in entry data/0.
  [[nodiscard]] Storage storage(const std::string& name, const PickleObject& object) const {
    if (object.kind != Kind::kPersistent || object.items[0]->kind != Kind::kTuple ||
        object.items[0]->items.size() < 5)
      throw FormatError("tensor '" + name + "' has no storage");
    const std::vector<const PickleObject*>& id = object.items[0]->items;
    constexpr std::string_view kModule = "torch.";
    const std::string& type_name = id[1]->text;
    const auto* const type = std::find_if(
        std::begin(kElementTypes), std::end(kElementTypes), [&](const ElementType& candidate) {
          return type_name == std::string(kModule) + std::string(candidate.storage);
        });
    if (type == std::end(kElementTypes))
      throw Unsupported("tensor '" + name + "' is of type '" + type_name +
                        "', which cannot be read");
    const auto data = entries_.find(folder_ + "data/" + id[2]->text);
    if (data == entries_.end()) throw FormatError("the data of tensor '" + name + "' are missing");
    return {.type = type, .data = data->second};
  }

  static std::vector<std::int64_t> numbers(const std::string& name, const PickleObject& list) {
    std::vector<std::int64_t> values;
    for (const PickleObject* item : list.items) {
      if (item->kind != Kind::kInteger || item->integer < 0 || item->integer > kMaxExtent)
        throw FormatError("tensor '" + name + "' has an impossible shape");
      values.push_back(item->integer);
    }
    return values;
  }

  Tensor tensor(const std::string& name, const PickleObject& arguments) {
    const Storage from = storage(name, *arguments.items[0]);
    const std::int64_t offset = arguments.items[1]->integer;
    const std::vector<std::int64_t> extents = numbers(name, *arguments.items[2]);
    const std::vector<std::int64_t> strides = numbers(name, *arguments.items[3]);
    if (extents.size() != strides.size() || extents.size() > Shape::kMaxRank)
      throw FormatError("tensor '" + name + "' has an impossible shape");
    const auto held = static_cast<std::int64_t>(from.data.size() / from.type->bytes);
    // No element lies beyond the storage; products are of numbers below 2^31.
    std::int64_t last = offset;
    bool fits = offset >= 0 && offset <= held;
    bool empty = false;
    std::int64_t elements = 1;
    for (std::size_t axis = 0; axis < extents.size(); ++axis) {
      if (extents[axis] == 0) empty = true;
      if (empty || !fits) continue;
      const std::int64_t reach = (extents[axis] - 1) * strides[axis];
      fits = reach <= held && elements <= held / extents[axis];
      if (!fits) break;
      last += reach;
      elements *= extents[axis];
    }
    if (!empty && (!fits || last >= held))
      throw FormatError("tensor '" + name + "' is larger than its storage of " +
                        std::to_string(held) + " elements");
    if (empty) elements = 0;
    if (static_cast<std::uint64_t>(elements) * sizeof(float) > left_)
      throw FormatError("its tensors are far larger than the file");
    left_ -= static_cast<std::uint64_t>(elements) * sizeof(float);

    Shape shape;
    for (const std::int64_t extent : extents) shape.push_back(extent);
    Tensor result(shape);
    std::vector<std::int64_t> index(extents.size(), 0);
    std::int64_t at = offset;
    for (float& value : result.values()) {
      value = from.type->load(from.data.data() + static_cast<std::size_t>(at) * from.type->bytes);
      for (std::size_t axis = extents.size(); axis-- > 0;) {
        at += strides[axis];
        if (++index[axis] < extents[axis]) break;
        at -= strides[axis] * extents[axis];
        index[axis] = 0;
      }
    }
    return result;
  }

  Entries entries_;
  std::string folder_;
  Pickle pickle_;
  std::uint64_t left_;  // bytes that tensors may still take
};

}  // namespace

std::map<std::string, Tensor> parse_pth(std::string_view bytes, std::string_view name) {
  const std::string file = "'" + std::string(name) + "'";
  try {
    // A pickle of protocol 2 outside of an archive.
    if (bytes.starts_with("\x80\x02"))
      throw Unsupported(
          "it has the format of PyTorch before 1.6; load it in PyTorch, and torch.save it again");
    return Reader(bytes).run();
  } catch (const Unsupported& error) {
    throw Unsupported(file + " cannot be read: " + error.what());
  } catch (const FormatError& error) {
    throw FormatError(file + " is not a usable PyTorch file: " + error.what());
  }
}

std::map<std::string, Tensor> read_pth(const std::filesystem::path& path) {
  return parse_pth(read_file(path), path.string());
}

}  // namespace octconv
