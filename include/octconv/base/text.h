// SPDX-License-Identifier: Apache-2.0
// Small helpers for messages.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "octconv/base/api.h"

namespace octconv {

/// "a, b, c".
[[nodiscard]] OCTCONV_API std::string join(const std::vector<std::string>& parts,
                                           std::string_view separator);

/// The candidate with the smallest edit distance to `name`, or "" if none is within half its
/// length.
[[nodiscard]] OCTCONV_API std::string nearest_name(std::string_view name,
                                                   const std::vector<std::string>& candidates);

/// Up to `count` candidates by growing edit distance to `name`; equally near ones in their order.
[[nodiscard]] OCTCONV_API std::vector<std::string> nearest_names(
    std::string_view name, const std::vector<std::string>& candidates, std::size_t count);

}  // namespace octconv
