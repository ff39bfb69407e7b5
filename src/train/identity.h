// SPDX-License-Identifier: Apache-2.0
// The options of a recipe as text, for holding a checkpoint against a training.
#pragma once

#include <map>
#include <string>

#include "octconv/train/options.h"

namespace octconv::train {

/// Those that decide how images are varied and how weights move, beside the basic ones.
[[nodiscard]] std::map<std::string, std::string> recipe_identity(const TrainOptions& options);

}  // namespace octconv::train
