// SPDX-License-Identifier: Apache-2.0
// Text that goes into HTML and SVG, and its width.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace octconv::report {

// For element contents and quoted attributes. Bytes that XML forbids (control characters, broken
// UTF-8) become U+FFFD.
std::string escape(std::string_view text);

// Source: RFC 4648, section 4.
std::string base64(std::string_view bytes);

// Characters, counted as UTF-8 code points.
std::size_t characters(std::string_view text);

}  // namespace octconv::report
