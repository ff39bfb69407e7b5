// SPDX-License-Identifier: Apache-2.0
// Ways of training that have a name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "octconv/base/api.h"
#include "octconv/train/options.h"

namespace octconv::train {

/// A way of training: what the article's authors did, as far as they say.
struct Recipe {
  std::string name;                ///< "paper-ablation"
  std::string summary;             ///< what it is for
  std::vector<std::string> notes;  ///< where its numbers come from, a sentence each
  TrainOptions options;            ///< of training
  bool zero_gamma = false;  ///< residual branches start closed (`NetworkOptions::zero_gamma`)
};

/// paper-ablation, paper-mobilenet, paper-resnet152.
[[nodiscard]] OCTCONV_API const std::vector<Recipe>& recipes();

/// The recipe of that name.
/// @throws InvalidArgument naming the text and the known names
[[nodiscard]] OCTCONV_API const Recipe& find_recipe(std::string_view name);

}  // namespace octconv::train
