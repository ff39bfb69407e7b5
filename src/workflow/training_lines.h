// SPDX-License-Identifier: Apache-2.0
// A training told in lines.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "workflow/trainer.h"

namespace octconv::workflow {

// What is being done, for a terminal: one line at a time.
using Progress = std::function<void(const std::string& line)>;

// Tells how a training of so many epochs goes: each epoch, and in long ones every few seconds.
// `who` begins each line.
TrainingListener tell_lines(const std::string& who, std::int64_t epochs, const Progress& progress);

}  // namespace octconv::workflow
