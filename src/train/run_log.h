// SPDX-License-Identifier: Apache-2.0
// A training for those who watch it: its epochs as lines of JSON, and as TensorBoard reads them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "octconv/train/trainer.h"

namespace octconv::train {

/// Names of the files in a training's folder. TensorBoard takes a file whose name has "tfevents".
inline constexpr const char* kHistoryFile = "history.jsonl";
inline constexpr const char* kEventFile = "events.out.tfevents.octconv";

/// A line of JSON for each epoch. A number that is not finite is null.
[[nodiscard]] std::string history_lines(const std::vector<EpochRecord>& history);

/// The whole event file.
[[nodiscard]] std::string history_events(const std::vector<EpochRecord>& history);

/// Brings both files of the folder to this history, which is that of the checkpoint: what they lack
/// is appended, so that who reads them sees them grow. A file that holds anything else, such as
/// epochs after that of the checkpoint, is replaced.
/// @throws FileError
void write_run_log(const std::filesystem::path& folder, const std::vector<EpochRecord>& history);

}  // namespace octconv::train
