// SPDX-License-Identifier: Apache-2.0
#include "train/identity.h"

#include <nlohmann/json.hpp>

namespace octconv::train {
namespace {

// Numbers as JSON writes them: the same text only for the same bits.
template <class Value>
std::string show(const Value& value) {
  return nlohmann::json(value).dump();
}

}  // namespace

std::map<std::string, std::string> recipe_identity(const TrainOptions& o) {
  return {{"step_epochs", show(o.step_epochs)},
          {"step_factor", show(o.step_factor)},
          {"accumulate", show(o.accumulate)},
          {"clip_norm", show(o.clip_norm)},
          {"dropout", show(o.dropout)},
          {"mixup", show(o.mixup)},
          {"mixup_off_epochs", show(o.mixup_off_epochs)},
          {"average_decay", show(o.average_decay)},
          {"colour_jitter", show(o.colour_jitter)},
          {"colour_noise", show(o.colour_noise)},
          {"crop", o.crop ? show(to_string(*o.crop)) : "by the data"}};
}

}  // namespace octconv::train
