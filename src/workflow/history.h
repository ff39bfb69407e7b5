// SPDX-License-Identifier: Apache-2.0
// What trainings say of their epochs, as they wrote it down.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace octconv::workflow {

inline constexpr const char* kHistoryName = "history.jsonl";

// A line of the file. What was not finite is not a number.
struct HistoryEpoch {
  std::int64_t epoch = 0;
  std::int64_t step = 0;  // since the beginning
  double learning_rate = 0;
  double train_loss = 0;
  double train_accuracy = 0;  // accuracies are in [0, 1]
  double test_loss = 0;
  double test_accuracy = 0;
  double test_top5_accuracy = 0;
  double images_per_second = 0;
  double seconds = 0;
  double time = 0;  // since 1970
};

// The training in one folder.
struct History {
  std::string name;              // that tells it from the others
  std::filesystem::path folder;  // as it was given
  std::vector<HistoryEpoch> epochs;

  // Of the highest accuracy; the first of several. Requires an epoch.
  [[nodiscard]] const HistoryEpoch& best() const;
};

// Throws FileError if the file cannot be read; FormatError naming it and the line if a line is no
// object of JSON, lacks a number or holds something else in its place, or has an epoch that is not
// the next; FormatError for a file without a line.
std::vector<HistoryEpoch> read_history(const std::filesystem::path& file);
// The same of a file's text; `name` stands for the file in errors.
std::vector<HistoryEpoch> parse_history(std::string_view text, const std::string& name);

// The same for each folder. A training is called like its folder, or by the whole path where two
// would have the same name. Throws InvalidArgument for a folder that is named twice.
std::vector<History> read_histories(const std::vector<std::string>& folders);

}  // namespace octconv::workflow
