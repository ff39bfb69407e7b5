// SPDX-License-Identifier: Apache-2.0
#include "train/run_log.h"

#include <nlohmann/json.hpp>

#include "octconv/base/file.h"
#include "train/event_file.h"

namespace octconv::train {
namespace {

void bring_to(const std::filesystem::path& path, const std::string& wanted) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    write_file(path, wanted);
    return;
  }
  const std::string there = read_file(path);
  if (!wanted.starts_with(there)) {
    write_file(path, wanted);
  } else if (there.size() < wanted.size()) {
    append_to_file(path, std::string_view{wanted}.substr(there.size()));
  }
}

}  // namespace

std::string history_lines(const std::vector<EpochRecord>& history) {
  std::string lines;
  for (const EpochRecord& r : history) {
    const nlohmann::ordered_json line{{"epoch", r.epoch},
                                      {"step", r.step},
                                      {"learning_rate", r.learning_rate},
                                      {"train_loss", r.train_loss},
                                      {"train_accuracy", r.train_accuracy},
                                      {"test_loss", r.test_loss},
                                      {"test_accuracy", r.test_accuracy},
                                      {"test_top5_accuracy", r.test_top5_accuracy},
                                      {"images_per_second", r.images_per_second},
                                      {"seconds", r.seconds},
                                      {"time", r.time}};
    lines += line.dump() + "\n";
  }
  return lines;
}

std::string history_events(const std::vector<EpochRecord>& history) {
  if (history.empty()) return "";
  std::string events = version_event(history.front().time - history.front().seconds);
  for (const EpochRecord& r : history) {
    events += scalar_event(r.time, r.step,
                           {{"loss/train", r.train_loss},
                            {"loss/test", r.test_loss},
                            {"accuracy/train", r.train_accuracy},
                            {"accuracy/test", r.test_accuracy},
                            {"accuracy/test_top5", r.test_top5_accuracy},
                            {"learning_rate", r.learning_rate},
                            {"images_per_second", r.images_per_second},
                            {"epoch", static_cast<double>(r.epoch)}});
  }
  return events;
}

void write_run_log(const std::filesystem::path& folder, const std::vector<EpochRecord>& history) {
  bring_to(folder / kHistoryFile, history_lines(history));
  bring_to(folder / kEventFile, history_events(history));
}

}  // namespace octconv::train
