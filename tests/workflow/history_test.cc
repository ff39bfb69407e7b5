// SPDX-License-Identifier: Apache-2.0
// Trainings are read as they were written, and what is not whole is named.
#include "workflow/history.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "octconv/base/error.h"
#include "support/scratch.h"
#include "workflow/history_report.h"

namespace octconv::workflow {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::ThrowsMessage;
using ReadHistory = ScratchFolder;

nlohmann::json line(std::int64_t epoch, double test_accuracy) {
  return {{"epoch", epoch},
          {"step", 40 * epoch},
          {"learning_rate", 0.1},
          {"train_loss", 0.5},
          {"train_accuracy", 0.75},
          {"test_loss", 0.625},
          {"test_accuracy", test_accuracy},
          {"test_top5_accuracy", 0.875},
          {"images_per_second", 1000},
          {"seconds", 3.5},
          {"time", 1e9}};
}

std::string lines(std::initializer_list<double> accuracies) {
  std::string text;
  std::int64_t epoch = 0;
  for (const double accuracy : accuracies) text += line(++epoch, accuracy).dump() + "\n";
  return text;
}

TEST_F(ReadHistory, GivesWhatWasWritten) {
  const std::vector<HistoryEpoch> epochs = read_history(write("h", lines({0.25, 0.5})));
  ASSERT_EQ(epochs.size(), 2U);
  EXPECT_EQ(epochs[1].epoch, 2);
  EXPECT_EQ(epochs[1].step, 80);
  EXPECT_EQ(epochs[1].learning_rate, 0.1);
  EXPECT_EQ(epochs[1].train_loss, 0.5);
  EXPECT_EQ(epochs[1].train_accuracy, 0.75);
  EXPECT_EQ(epochs[1].test_loss, 0.625);
  EXPECT_EQ(epochs[1].test_accuracy, 0.5);
  EXPECT_EQ(epochs[1].test_top5_accuracy, 0.875);
  EXPECT_EQ(epochs[1].images_per_second, 1000);
  EXPECT_EQ(epochs[1].seconds, 3.5);
  EXPECT_EQ(epochs[1].time, 1e9);
}

TEST_F(ReadHistory, NullIsNoNumberAndLeavesAGapInTheCurve) {
  nlohmann::json diverged = line(2, 0.5);
  diverged["test_loss"] = nullptr;
  std::filesystem::create_directory(folder_ / "run");
  write("run/history.jsonl", lines({0.25}) + diverged.dump() + "\n" + line(3, 0.5).dump() + "\n");
  const std::vector<History> all = read_histories({(folder_ / "run").string()});
  EXPECT_TRUE(std::isnan(all[0].epochs[1].test_loss));
  EXPECT_THAT(history_html(all), Not(HasSubstr("nan")));
}

TEST_F(ReadHistory, NamesFileLineAndWhy) {
  const auto refuses = [&](const std::string& text, const std::string& why) {
    const std::filesystem::path file = write("h", text);
    EXPECT_THAT([&] { static_cast<void>(read_history(file)); },
                ThrowsMessage<FormatError>("'" + file.string() + "'" + why));
  };
  refuses("", " has no epochs");
  refuses(lines({0.5}) + "[1]\n", ", line 2: no object of JSON");
  refuses(lines({0.5}) + "\n", ", line 2: no object of JSON");
  refuses(lines({0.5, 0.5}) + "{\"epoch\": 3", ", line 3: no object of JSON");
  refuses("{\"epoch\": 1e999}\n", ", line 1: no object of JSON");
  refuses(std::string(100000, '[') + "\n", ", line 1: no object of JSON");
  refuses(line(3, 0.5).dump() + "\n", ", line 1: epoch 3 where 1 is the next");
  const nlohmann::json whole_line = line(1, 0.5);
  for (const auto& item : whole_line.items()) {
    nlohmann::json broken = whole_line;
    broken.erase(item.key());
    refuses(broken.dump(), ", line 1: '" + item.key() + "' is missing");
    broken[item.key()] = "text";
    const bool whole = item.key() == "epoch" || item.key() == "step";
    refuses(broken.dump(),
            ", line 1: '" + item.key() + (whole ? "' is no whole number" : "' is no number"));
  }
}

TEST_F(ReadHistory, TheBestEpochIsTheFirstOfTheHighest) {
  std::filesystem::create_directory(folder_ / "run");
  write("run/history.jsonl", lines({0.25, 0.5, 0.375, 0.5}));
  EXPECT_EQ(read_histories({(folder_ / "run").string()})[0].best().epoch, 2);
}

TEST_F(ReadHistory, TrainingsAreCalledSoThatTheyDiffer) {
  for (const char* name : {"one", "two", "other/one"}) {
    std::filesystem::create_directories(folder_ / name);
    write(std::string(name) + "/history.jsonl", lines({0.5}));
  }
  const std::string one = (folder_ / "one").string();
  const std::string two = (folder_ / "two").string() + "/";
  const std::string other = (folder_ / "other/one").string();
  std::vector<History> all = read_histories({one, two});
  EXPECT_EQ(all[0].name, "one");
  EXPECT_EQ(all[1].name, "two");
  all = read_histories({one, other});
  EXPECT_EQ(all[0].name, one);
  EXPECT_EQ(all[1].name, other);
  EXPECT_THAT(
      [&] {
        static_cast<void>(read_histories({one, (folder_ / "other/../one").string()}));
      },
      ThrowsMessage<InvalidArgument>(HasSubstr("is named twice")));
}

}  // namespace
}  // namespace octconv::workflow
