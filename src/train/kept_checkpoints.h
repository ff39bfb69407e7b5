// SPDX-License-Identifier: Apache-2.0
// Checkpoints of earlier epochs beside the last one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "octconv/train/trainer.h"

namespace octconv::train {

/// checkpoint-EPOCH.pt in the folder of a training.
[[nodiscard]] std::filesystem::path epoch_checkpoint_path(const std::filesystem::path& folder,
                                                          std::int64_t epoch);
/// best.pt there.
[[nodiscard]] std::filesystem::path best_checkpoint_path(const std::filesystem::path& folder);

/// The epoch with the highest test accuracy, of equal ones the first; 0 without epochs.
[[nodiscard]] std::int64_t best_epoch(const std::vector<EpochRecord>& history);

/// Gives checkpoint.pt, which is that of the last epoch, its other names: of its epoch if more than
/// one is kept, best.pt if it is the best. Removes those of epochs that are not kept any more.
/// Doing it again changes nothing. Requires an epoch.
/// @throws FileError
void keep_checkpoints(const std::filesystem::path& folder, const std::vector<EpochRecord>& history,
                      std::int64_t keep);

}  // namespace octconv::train
