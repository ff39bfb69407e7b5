// SPDX-License-Identifier: Apache-2.0
// What the commands that measure time have in common: models, extents, a sign of life.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "octconv/graph/model.h"
#include "octconv/tensor/shape.h"

namespace octconv::tool {

/// The file's network, octave convolutions recognised unless `as_is`.
/// @throws Unsupported if it has several inputs
[[nodiscard]] Model load_timed(const std::string& path, bool as_is);

/// `size` along every axis that images are enlarged along; 0: the model's own.
[[nodiscard]] Shape timed_extents(const Model& model, std::int64_t size);

/// A line on standard error if that is a terminal, for who waits there; else nothing.
void tell_terminal(const std::string& line);

}  // namespace octconv::tool
