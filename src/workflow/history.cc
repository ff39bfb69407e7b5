// SPDX-License-Identifier: Apache-2.0
#include "workflow/history.h"

#include <algorithm>
#include <set>

#include "octconv/base/error.h"
#include "octconv/base/file.h"
#include "workflow/json_lines.h"

namespace octconv::workflow {
namespace {

HistoryEpoch epoch_from(const JsonLine& line) {
  return {.epoch = line.whole("epoch"),
          .step = line.whole("step"),
          .learning_rate = line.number("learning_rate"),
          .train_loss = line.number("train_loss"),
          .train_accuracy = line.number("train_accuracy"),
          .test_loss = line.number("test_loss"),
          .test_accuracy = line.number("test_accuracy"),
          .test_top5_accuracy = line.number("test_top5_accuracy"),
          .images_per_second = line.number("images_per_second"),
          .seconds = line.number("seconds"),
          .time = line.number("time")};
}

std::filesystem::path resolved(const std::string& folder) {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::weakly_canonical(folder, error);
  return error ? std::filesystem::path(folder) : path;
}

}  // namespace

const HistoryEpoch& History::best() const {
  return *std::max_element(epochs.begin(), epochs.end(),
                           [](const HistoryEpoch& a, const HistoryEpoch& b) {
                             return a.test_accuracy < b.test_accuracy;
                           });
}

std::vector<HistoryEpoch> read_history(const std::filesystem::path& file) {
  return parse_history(read_file(file), file.string());
}

std::vector<HistoryEpoch> parse_history(std::string_view text, const std::string& name) {
  std::vector<HistoryEpoch> epochs;
  for (const JsonLine& line : parse_json_lines(text, name)) {
    epochs.push_back(epoch_from(line));
    const auto expected = static_cast<std::int64_t>(epochs.size());
    if (epochs.back().epoch != expected) {
      line.fail("epoch " + std::to_string(epochs.back().epoch) + " where " +
                std::to_string(expected) + " is the next");
    }
  }
  if (epochs.empty()) throw FormatError("'" + name + "' has no epochs");
  return epochs;
}

std::vector<History> read_histories(const std::vector<std::string>& folders) {
  std::vector<History> histories;
  std::set<std::filesystem::path> known;
  std::set<std::string> names;
  for (const std::string& folder : folders) {
    const std::filesystem::path path = resolved(folder);
    if (!known.insert(path).second) throw InvalidArgument("'" + folder + "' is named twice");
    histories.push_back({.name = path.has_filename() ? path.filename().string()
                                                     : path.parent_path().filename().string(),
                         .folder = folder,
                         .epochs = read_history(std::filesystem::path(folder) / kHistoryName)});
    names.insert(histories.back().name);
  }
  if (names.size() < histories.size()) {
    for (History& history : histories) history.name = history.folder.string();
  }
  return histories;
}

}  // namespace octconv::workflow
