// SPDX-License-Identifier: Apache-2.0
// How deeply a JSON text is nested: parsers descend as deep as it says.
#pragma once

#include <algorithm>
#include <string_view>

namespace octconv {

/// Lists and objects open at once, at most; what is not JSON is left to the parser.
inline int json_depth(std::string_view text) {
  int open = 0;
  int most = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') quoted = !quoted;
    if (quoted) {
      if (c == '\\') ++i;
    } else if (c == '[' || c == '{') {
      most = std::max(most, ++open);
    } else if (c == ']' || c == '}') {
      --open;
    }
  }
  return most;
}

}  // namespace octconv
