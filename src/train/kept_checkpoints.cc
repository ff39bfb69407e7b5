// SPDX-License-Identifier: Apache-2.0
#include "train/kept_checkpoints.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>

#include "octconv/base/file.h"
#include "train/checkpoint.h"

namespace octconv::train {
namespace {

constexpr std::string_view kStart = "checkpoint-";
constexpr std::string_view kEnd = ".pt";

// Of the name of an epoch's checkpoint; 0 for another name.
std::int64_t epoch_of(std::string_view name) {
  if (!name.starts_with(kStart) || !name.ends_with(kEnd)) return 0;
  name.remove_prefix(kStart.size());
  name.remove_suffix(kEnd.size());
  std::int64_t epoch = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), epoch);
  return error == std::errc{} && end == name.data() + name.size() ? epoch : 0;
}

}  // namespace

std::filesystem::path epoch_checkpoint_path(const std::filesystem::path& folder,
                                            std::int64_t epoch) {
  return folder / (std::string(kStart) + std::to_string(epoch) + std::string(kEnd));
}

std::filesystem::path best_checkpoint_path(const std::filesystem::path& folder) {
  return folder / "best.pt";
}

std::int64_t best_epoch(const std::vector<EpochRecord>& history) {
  if (history.empty()) return 0;
  return std::max_element(history.begin(), history.end(),
                          [](const EpochRecord& a, const EpochRecord& b) {
                            return a.test_accuracy < b.test_accuracy;
                          })
      ->epoch;
}

void keep_checkpoints(const std::filesystem::path& folder, const std::vector<EpochRecord>& history,
                      std::int64_t keep) {
  const std::int64_t last = history.back().epoch;
  const std::filesystem::path current = checkpoint_path(folder);
  if (best_epoch(history) == last) keep_as(current, best_checkpoint_path(folder));
  if (keep > 1) keep_as(current, epoch_checkpoint_path(folder, last));
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::int64_t epoch = epoch_of(entry.path().filename().string());
    if (epoch > 0 && (epoch <= last - keep || keep == 1))
      std::filesystem::remove(entry.path(), error);
  }
}

}  // namespace octconv::train
