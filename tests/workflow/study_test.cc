// SPDX-License-Identifier: Apache-2.0
// Studies are read as they are written, refused where they are not whole, and summed up as by hand.
#include "workflow/study.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "octconv/base/error.h"
#include "support/scratch.h"
#include "workflow/study_report.h"

namespace octconv::workflow {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using testing::ThrowsMessage;
using Json = nlohmann::json;
using ReadStudy = ScratchFolder;

Json sample() {
  return {{"about", "a sample"},
          {"data", "fashion-mnist"},
          {"network", "resnet20"},
          {"seeds", {3, 1}},
          {"train", {{"epochs", 3}, {"schedule", "onecycle"}}},
          {"variants",
           {{{"name", "vanilla"}},
            {{"name", "octave"},
             {"network", "resnet32"},
             {"alpha", 0.5},
             {"stride_mode", "pool_twice"},
             {"exchange", "none"},
             {"downsample", "max"},
             {"low_to_high", "upsample_then_conv"},
             {"zero_gamma", true},
             {"train", {{"epochs", 5}, {"flip", false}}}}}}};
}

TEST_F(ReadStudy, GivesWhatWasWritten) {
  const Study study = read_study(write("s.json", sample().dump()));
  EXPECT_EQ(study.data, "fashion-mnist");
  EXPECT_EQ(study.opening.size, 0);
  EXPECT_THAT(study.seeds, ElementsAre(3, 1));
  ASSERT_EQ(study.variants.size(), 2U);
  const StudyVariant& vanilla = study.variants[0];
  EXPECT_EQ(vanilla.name, "vanilla");
  EXPECT_EQ(vanilla.network, "resnet20");
  EXPECT_EQ(vanilla.octave.alpha, 0);
  EXPECT_EQ(vanilla.octave.stride_mode, std::nullopt);
  EXPECT_EQ(vanilla.octave.exchange, Exchange::kBoth);
  EXPECT_FALSE(vanilla.zero_gamma);
  EXPECT_THAT(vanilla.train, ElementsAre(Pair("epochs", "3"), Pair("schedule", "\"onecycle\"")));
  const StudyVariant& octave = study.variants[1];
  EXPECT_EQ(octave.network, "resnet32");
  EXPECT_EQ(octave.octave.alpha, 0.5);
  EXPECT_EQ(octave.octave.stride_mode, StrideMode::kPoolTwice);
  EXPECT_EQ(octave.octave.exchange, Exchange::kNone);
  EXPECT_EQ(octave.octave.downsample, Downsample::kMax);
  EXPECT_EQ(octave.octave.low_to_high, LowToHigh::kUpsampleThenConv);
  EXPECT_TRUE(octave.zero_gamma);
  EXPECT_THAT(octave.train, ElementsAre(Pair("epochs", "5"), Pair("flip", "false"),
                                        Pair("schedule", "\"onecycle\"")));
}

TEST_F(ReadStudy, RefusesWhatIsNoStudy) {
  const auto refuses = [&](const std::string& text, const std::string& why) {
    const std::filesystem::path file = write("s.json", text);
    EXPECT_THAT([&] { static_cast<void>(read_study(file)); },
                ThrowsMessage<Error>(AllOf(HasSubstr(file.string()), HasSubstr(why))))
        << text;
  };
  const auto with = [](const std::string& pointer, const Json& value) {
    Json study = sample();
    study[Json::json_pointer(pointer)] = value;
    return study.dump();
  };
  refuses("{\n\"data\": \"x\",\n\"seeds\": [0,]\n}", ", line 3: no JSON");
  refuses("", ", line 1: no JSON");
  refuses(std::string(100000, '['), "nested too deeply");
  refuses("{\"size\": 1e999}", "has a number that is too large");
  refuses("[]", "is no object");
  for (const char* member : {"data", "seeds", "variants"}) {
    Json study = sample();
    study.erase(member);
    refuses(study.dump(), "lacks '" + std::string(member) + "'");
  }
  refuses(with("/variant", 1), "unknown member 'variant'; did you mean 'variants'?");
  refuses(with("/variants/1/alhpa", 1), "variant 2 has an unknown member 'alhpa'; did you mean");
  refuses(with("/data", 1), "'data', which must be text");
  refuses(with("/size", 1.5), "'size', which must be a whole number");
  refuses(with("/seeds", Json::array()), "'seeds', which must be a list");
  refuses(with("/seeds/0", -1), "the seed -1");
  refuses(with("/seeds/0", 1), "the seed 1 twice");
  refuses(with("/train", 1), "'train', which must be an object");
  refuses(with("/variants/0", 1), "variant 1 is no object");
  refuses(with("/variants/0/name", ""), "variant 1 has an empty name");
  refuses(with("/variants/0/name", "octave"), "the variant 'octave' twice");
  refuses(with("/variants/0/name", "octave!"), "whose folder 'octave-seed0' is another's too");
  refuses(with("/variants/0/zero_gamma", "yes"), "'zero_gamma', which must be true or false");
  refuses(with("/variants/0/alpha", "half"), "'alpha', which must be a number");
  refuses(with("/variants/0/alpha", 1.25), "1.25");
  refuses(with("/variants/0/exchange", "some"), "'some'");
  refuses(with("/variants/0/stride_mode", "pol"), "'pol'");
  Json study = sample();
  study.erase("network");
  refuses(study.dump(), "variant 1 lacks 'network', and so does the study");
}

TEST(RunFolder, HasNoBlanksAndNoSlashes) {
  EXPECT_EQ(run_folder("alpha 0.5, low to high only", 2), "alpha-0.5-low-to-high-only-seed2");
  EXPECT_EQ(run_folder("../up (2)", 0), "..-up-2-seed0");
}

StudyResult two_variants() {
  StudyResult result;
  result.data_name = "sample";
  result.study.seeds = {0, 1, 2};
  result.study.variants = {{.name = "a", .network = "resnet20"},
                           {.name = "b", .network = "resnet20", .octave = {.alpha = 0.5}},
                           {.name = "c", .network = "resnet20"}};
  const auto run = [](const char* variant, std::uint64_t seed, double accuracy, std::int64_t macs) {
    return StudyRun{
        .variant = variant, .seed = seed, .accuracy = accuracy, .top5_accuracy = 0.9, .macs = macs};
  };
  result.runs = {run("a", 0, 0.5, 1000), run("a", 1, 0.25, 1000), run("b", 0, 0.5, 600),
                 run("b", 1, 0.5, 600), run("b", 2, 0.875, 600)};
  return result;
}

TEST(Summarise, EqualsComputingByHand) {
  const std::vector<StudySummary> all = summarise(two_variants());
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].runs, 2);
  EXPECT_EQ(all[0].accuracy, 0.375);
  EXPECT_NEAR(all[0].deviation.value(), 0.125 * std::sqrt(2), 1e-15);
  EXPECT_EQ(all[0].difference, std::nullopt);
  EXPECT_EQ(all[1].runs, 3);
  EXPECT_EQ(all[1].accuracy, 0.625);
  // Deviations -0.125, -0.125, 0.25: squares add up to 0.09375.
  EXPECT_NEAR(all[1].deviation.value(), std::sqrt(0.09375 / 2), 1e-15);
  // Seeds 0 and 1 alone are in both: 0 and 0.25.
  EXPECT_EQ(all[1].difference.value(), 0.125);
  EXPECT_NEAR(all[1].difference_deviation.value(), 0.125 * std::sqrt(2), 1e-15);
  EXPECT_EQ(all[2].runs, 0);
  EXPECT_EQ(all[2].deviation, std::nullopt);
}

TEST(StudyTable, SaysWhatIsNotKnown) {
  EXPECT_EQ(study_table(two_variants()).text(),
            "variant  runs  accuracy, %     sd  to first     sd  multiply-adds  share\n"
            "-------  ----  -----------  -----  --------  -----  -------------  -----\n"
            "a           2        37.50  17.68         -      -          1,000  1.000\n"
            "b           3        62.50  21.65    +12.50  17.68            600  0.600\n"
            "c           0            -      -         -      -              -      -\n");
}

TEST(StudyTable, OneRunHasNoDeviation) {
  StudyResult result = two_variants();
  result.runs = {result.runs[0], result.runs[2]};
  const std::vector<StudySummary> all = summarise(result);
  EXPECT_EQ(all[0].deviation, std::nullopt);
  EXPECT_EQ(all[1].difference.value(), 0);
  EXPECT_EQ(all[1].difference_deviation, std::nullopt);
  const Json json = Json::parse(study_json(result));
  EXPECT_TRUE(json["variants"][0]["deviation"].is_null());
  EXPECT_TRUE(json["variants"][2]["accuracy"].is_null());
  EXPECT_EQ(json["planned"], 9);
}

}  // namespace
}  // namespace octconv::workflow
