// SPDX-License-Identifier: Apache-2.0
// Python's pickles as data: objects are read, and nothing is called.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace octconv {

/// An object of a pickle.
struct PickleObject {
  enum class Kind {
    kOther,       ///< None, floats, sets, instances of classes: nothing that matters here
    kInteger,     ///< and booleans
    kText,        ///< and bytes
    kTuple,       ///< and lists: `items`
    kDictionary,  ///< `items` are keys and values in turn; OrderedDict too
    kGlobal,      ///< "module.name" in `text`
    kReduced,     ///< the result of a call that was not made: `items` are the global and its tuple
    kPersistent,  ///< something outside of the pickle; its id is `items[0]`
    kMark,        ///< only while reading
  };
  Kind kind = Kind::kOther;
  std::int64_t integer = 0;
  std::string text;
  std::vector<const PickleObject*> items;
};

/// A pickle's object, and all that it is made of.
struct Pickle {
  std::vector<std::unique_ptr<PickleObject>> objects;
  const PickleObject* root = nullptr;
};

/// @throws FormatError for a damaged pickle, Unsupported for an opcode that torch.save does not
///         write; without the file's name
[[nodiscard]] Pickle read_pickle(std::string_view bytes);

}  // namespace octconv
