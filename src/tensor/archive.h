// SPDX-License-Identifier: Apache-2.0
// Zip archives whose entries are stored as they are.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace octconv {

/// The entries of a zip archive by name; they lie in `bytes`. Reads Zip64 too.
/// @throws FormatError if it is damaged, Unsupported for a compressed entry; without the file's
/// name
[[nodiscard]] std::map<std::string, std::string_view> stored_entries(std::string_view bytes);

}  // namespace octconv
