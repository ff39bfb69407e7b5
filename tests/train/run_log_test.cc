// SPDX-License-Identifier: Apache-2.0
// What a training leaves for those who watch it is what its checkpoint says.
#include "train/run_log.h"

#include <limits>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <nlohmann/json.hpp>

#include "octconv/base/error.h"
#include "octconv/base/file.h"
#include "support/scratch.h"
#include "train/event_reader.h"

namespace octconv::train {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;
using RunLog = ScratchFolder;

EpochRecord record(std::int64_t epoch) {
  const auto number = static_cast<double>(epoch);
  return {.epoch = epoch,
          .train_loss = 1 / number / 3,
          .train_accuracy = 1 - 0.5 / number,
          .test_loss = 0.7 / number,
          .test_accuracy = 1 - 0.3 / number,
          .test_top5_accuracy = 1 - 0.1 / number,
          .learning_rate = 0.1 / number,
          .images_per_second = 1234.5,
          .seconds = 8.25,
          .step = 40 * epoch,
          .time = 1e9 + 10 * number};
}

std::vector<EpochRecord> records(std::int64_t count) {
  std::vector<EpochRecord> all;
  for (std::int64_t epoch = 1; epoch <= count; ++epoch) all.push_back(record(epoch));
  return all;
}

ino_t inode(const std::filesystem::path& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) throw FileError("stat " + path.string());
  return found.st_ino;
}

TEST_F(RunLog, HasALineAndAnEventForEachEpoch) {
  write_run_log(folder_, records(3));
  std::istringstream lines(read_file(folder_ / kHistoryFile));
  const std::vector<Event> events = read_events(read_file(folder_ / kEventFile));
  ASSERT_EQ(events.size(), 4U);
  EXPECT_EQ(events[0].version, "brain.Event:2");
  EXPECT_EQ(events[0].time, record(1).time - record(1).seconds);
  std::string line;
  for (std::int64_t epoch = 1; epoch <= 3; ++epoch) {
    ASSERT_TRUE(std::getline(lines, line));
    const nlohmann::json json = nlohmann::json::parse(line);
    const EpochRecord expected = record(epoch);
    const Event& event = events[static_cast<std::size_t>(epoch)];
    EXPECT_EQ(json.at("epoch"), expected.epoch);
    EXPECT_EQ(json.at("step"), expected.step);
    EXPECT_EQ(event.step, expected.step);
    EXPECT_EQ(json.at("time"), expected.time);
    EXPECT_EQ(event.time, expected.time);
    EXPECT_EQ(json.at("seconds"), expected.seconds);
    const std::map<std::string, std::pair<std::string, double>> numbers{
        {"loss/train", {"train_loss", expected.train_loss}},
        {"loss/test", {"test_loss", expected.test_loss}},
        {"accuracy/train", {"train_accuracy", expected.train_accuracy}},
        {"accuracy/test", {"test_accuracy", expected.test_accuracy}},
        {"accuracy/test_top5", {"test_top5_accuracy", expected.test_top5_accuracy}},
        {"learning_rate", {"learning_rate", expected.learning_rate}},
        {"images_per_second", {"images_per_second", expected.images_per_second}},
        {"epoch", {"epoch", static_cast<double>(expected.epoch)}}};
    ASSERT_EQ(event.scalars.size(), numbers.size());
    for (const auto& [tag, value] : event.scalars) {
      const auto& [name, number] = numbers.at(tag);
      EXPECT_EQ(value, static_cast<float>(number)) << tag;
      EXPECT_EQ(json.at(name).get<double>(), number) << name;
    }
  }
  EXPECT_FALSE(std::getline(lines, line));
}

TEST_F(RunLog, FilesGrowInPlace) {
  write_run_log(folder_, records(1));
  const ino_t history = inode(folder_ / kHistoryFile);
  const ino_t events = inode(folder_ / kEventFile);
  write_run_log(folder_, records(2));
  write_run_log(folder_, records(2));
  EXPECT_EQ(inode(folder_ / kHistoryFile), history);
  EXPECT_EQ(inode(folder_ / kEventFile), events);
  EXPECT_EQ(read_file(folder_ / kHistoryFile), history_lines(records(2)));
  EXPECT_EQ(read_file(folder_ / kEventFile), history_events(records(2)));
}

TEST_F(RunLog, EpochsAfterTheCheckpointAreDropped) {
  write_run_log(folder_, records(3));
  write_run_log(folder_, records(1));
  EXPECT_EQ(read_file(folder_ / kHistoryFile), history_lines(records(1)));
  EXPECT_EQ(read_file(folder_ / kEventFile), history_events(records(1)));
}

TEST_F(RunLog, ATornEndIsCompleted) {
  const std::string lines = history_lines(records(2));
  const std::string events = history_events(records(2));
  for (std::size_t cut : {std::size_t{0}, std::size_t{1}, lines.size() / 2, lines.size() - 1}) {
    write_file(folder_ / kHistoryFile, lines.substr(0, cut));
    write_file(folder_ / kEventFile, events.substr(0, cut));
    write_run_log(folder_, records(2));
    EXPECT_EQ(read_file(folder_ / kHistoryFile), lines);
    EXPECT_EQ(read_file(folder_ / kEventFile), events);
  }
}

TEST_F(RunLog, WhatIsOfAnotherTrainingIsReplaced) {
  write_file(folder_ / kHistoryFile, "something else\n");
  write_file(folder_ / kEventFile, "something else");
  write_run_log(folder_, records(2));
  EXPECT_EQ(read_file(folder_ / kHistoryFile), history_lines(records(2)));
  EXPECT_EQ(read_file(folder_ / kEventFile), history_events(records(2)));
}

TEST_F(RunLog, ANumberThatIsNotFiniteIsNull) {
  std::vector<EpochRecord> all = records(1);
  all[0].test_loss = std::numeric_limits<double>::infinity();
  const nlohmann::json line = nlohmann::json::parse(history_lines(all));
  EXPECT_TRUE(line.at("test_loss").is_null());
}

TEST_F(RunLog, AFileThatCannotBeWrittenIsNamed) {
  std::filesystem::create_directory(folder_ / kHistoryFile);
  EXPECT_THAT([&] { write_run_log(folder_, records(1)); },
              ThrowsMessage<FileError>(HasSubstr(kHistoryFile)));
}

}  // namespace
}  // namespace octconv::train
