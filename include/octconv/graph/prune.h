// SPDX-License-Identifier: Apache-2.0
// Networks without what does not matter to their results.
#pragma once

#include "octconv/base/api.h"
#include "octconv/graph/model.h"

namespace octconv {

/// The same network without nodes that no output depends on, and without their weights; inputs
/// stay. Requires a weight for every parameter.
[[nodiscard]] OCTCONV_API Model without_unread(Model model);

}  // namespace octconv
