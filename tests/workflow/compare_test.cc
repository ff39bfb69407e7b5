// SPDX-License-Identifier: Apache-2.0
// What compare writes, and what it refuses before it trains.
#include "workflow/compare.h"

#include <limits>

#include <gmock/gmock.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "octconv/base/error.h"
#include "report/xml.h"
#include "workflow/compare_report.h"
#include "workflow/sample.h"

namespace octconv::workflow {
namespace {

using testing::HasSubstr;
using testing::Not;

Comparison sample() {
  Comparison comparison;
  comparison.options.network = "resnet20";
  comparison.options.plan = {.epochs = 2, .seed = 7};
  comparison.data_name = "a<b";
  comparison.train_images = 60000;
  comparison.test_images = 10000;
  comparison.height = comparison.width = 28;
  comparison.channels = 1;
  comparison.classes = 10;
  comparison.threads = 2;
  comparison.processor = "CPU & more";
  comparison.started = "2024-01-02T03:04:05Z";
  comparison.picture = {
      .height = 28, .width = 28, .channels = 1, .pixels = std::vector<std::uint8_t>(784, 7)};
  comparison.picture_class = "Bag";
  for (const double alpha : {0.0, 0.25}) {
    Variant variant{.alpha = alpha,
                    .file = variant_file_name("resnet20", alpha),
                    .params = 272186,
                    .macs = alpha == 0 ? 40000000 : 30000000};
    variant.epochs = {{.epoch = 1, .train_loss = 0.5, .test_accuracy = 0.8, .seconds = 10},
                      {.epoch = 2, .train_loss = 0.25, .test_accuracy = 0.9, .seconds = 10}};
    variant.evaluation = {.images = 10000, .top1_correct = 9000, .top5_correct = 9900, .loss = 0.3};
    variant.batch = {.median_ns = 2e6, .ratio = 1};
    variant.single = {.median_ns = 3e6, .ratio = 0.75};
    comparison.variants.push_back(variant);
  }
  const Image high{
      .height = 28, .width = 28, .channels = 1, .pixels = std::vector<std::uint8_t>(784, 1)};
  const Image low{
      .height = 14, .width = 14, .channels = 1, .pixels = std::vector<std::uint8_t>(196, 1)};
  comparison.inside = InsideView{
      .alpha = 0.25,
      .predictions = {{.index = 8, .label = "Bag", .probability = 0.75}},
      .maps = {
          {.node = "relu", .channels = {12, 4}, .high = {high}, .low = {low}, .fine_share = 0.4}}};
  return comparison;
}

TEST(CompareTable, ComparesWithTheFirstRow) {
  const std::string text = compare_table(sample()).text();
  EXPECT_THAT(text, HasSubstr("90.00 %     272,186     40,000,000  1.000"));
  EXPECT_THAT(text, HasSubstr("90.00 %     272,186     30,000,000  0.750"));
  EXPECT_THAT(text, HasSubstr("2.000"));
}

TEST(CompareHtml, IsWellFormedAndShowsMapsAtTheirRelativeSize) {
  report::expect_xml(
      compare_html(sample()),
      "sizes = [(i.get(\"width\"), i.get(\"height\")) for i in root.iter(\"img\")]\n"
      "assert sizes == [(\"112\", \"112\"), (\"112\", \"112\"), (\"56\", \"56\")], sizes\n"
      "assert len(list(root.iter(\"{http://www.w3.org/2000/svg}svg\"))) == 3\n");
}

TEST(CompareHtml, SaysWhatWasDone) {
  const std::string page = compare_html(sample());
  for (const char* text : {"60,000", "10,000", "2 epochs, seed 7", "CPU &amp; more, 2 threads",
                           "a&lt;b", "40 %", "resnet20-alpha0.25.onnx", "2024-01-02T03:04:05Z"}) {
    EXPECT_THAT(page, HasSubstr(text));
  }
}

TEST(CompareHtml, SaysWhetherTheEngineAgreesWithTheModule) {
  Comparison comparison = sample();
  EXPECT_THAT(compare_html(comparison), HasSubstr("agree to within 5"));
  comparison.variants[1].epochs.back().test_accuracy = 0.8;
  EXPECT_THAT(compare_html(comparison), Not(HasSubstr("agree to within 5")));
  EXPECT_THAT(compare_html(comparison), HasSubstr(disagreements(comparison)[0]));
}

TEST(CompareHtml, StandsWithoutOctaveVariantAndWithADivergedOne) {
  Comparison comparison = sample();
  comparison.inside.reset();
  for (EpochResult& epoch : comparison.variants[1].epochs) {
    epoch.train_loss = std::numeric_limits<double>::quiet_NaN();
  }
  const std::string page = compare_html(comparison);
  report::expect_xml(page);
  EXPECT_THAT(page, Not(HasSubstr("<img")));
}

TEST(CompareJson, HoldsTheNumbers) {
  const nlohmann::json json = nlohmann::json::parse(compare_json(sample()));
  EXPECT_EQ(json["variants"].size(), 2U);
  EXPECT_EQ(json["variants"][1]["alpha"], 0.25);
  EXPECT_EQ(json["variants"][1]["accuracy"], 0.9);
  EXPECT_EQ(json["variants"][1]["macs_ratio"], 0.75);
  EXPECT_EQ(json["variants"][1]["batch"]["ms_per_image"], 2.0);
  EXPECT_EQ(json["variants"][1]["epochs"][1]["train_loss"], 0.25);
  EXPECT_EQ(json["seed"], 7);
}

TEST(CompareJson, WhatIsNotFiniteIsNull) {
  Comparison comparison = sample();
  comparison.variants[0].evaluation.loss = std::numeric_limits<double>::quiet_NaN();
  const nlohmann::json json = nlohmann::json::parse(compare_json(comparison));
  EXPECT_TRUE(json["variants"][0]["loss"].is_null());
}

TEST(Disagreements, AreMoreThanAFewImages) {
  Comparison comparison = sample();
  EXPECT_TRUE(disagreements(comparison).empty());
  comparison.variants[0].epochs.back().test_accuracy = 0.9004;
  EXPECT_TRUE(disagreements(comparison).empty());
  comparison.variants[1].epochs.back().test_accuracy = 0.91;
  ASSERT_EQ(disagreements(comparison).size(), 1U);
  EXPECT_THAT(disagreements(comparison)[0], HasSubstr("Alpha 0.25"));
}

TEST(VariantFileName, IsShort) {
  EXPECT_EQ(variant_file_name("resnet20", 0), "resnet20-alpha0.onnx");
  EXPECT_EQ(variant_file_name("resnet20", 0.125), "resnet20-alpha0.125.onnx");
}

class CheckCompare : public testing::Test {
 protected:
  CheckCompare()
      : folder_(std::filesystem::path(testing::TempDir()) /
                ("octconv-compare-" + std::to_string(::getpid()))) {
    options_.data = "fashion-mnist";
    options_.network = "resnet20";
    options_.alphas = {0, 0.25};
    options_.out = folder_;
  }
  ~CheckCompare() override { std::filesystem::remove_all(folder_); }

  void SetUp() override {
    if (!training_obstacle().empty()) GTEST_SKIP() << training_obstacle();
  }

  std::filesystem::path folder_;
  CompareOptions options_;
};

TEST_F(CheckCompare, AcceptsWhatCanBeDoneAndMakesTheFolder) {
  EXPECT_EQ(check_compare(options_).train.count(), 60000);
  EXPECT_TRUE(std::filesystem::is_directory(folder_));
}

TEST_F(CheckCompare, RefusesAlphasThatAreNoFractionsOrListedTwice) {
  for (const std::vector<double>& alphas : {std::vector<double>{},
                                            {std::numeric_limits<double>::quiet_NaN()},
                                            {0, -0.1},
                                            {1.5},
                                            {0.25, 0, 0.25}}) {
    options_.alphas = alphas;
    EXPECT_THROW(static_cast<void>(check_compare(options_)), InvalidArgument);
  }
  EXPECT_FALSE(std::filesystem::exists(folder_));
}

TEST_F(CheckCompare, RefusesUnknownNetworksAndDataAndNoEpochs) {
  options_.network = "resnet21";
  EXPECT_THROW(static_cast<void>(check_compare(options_)), InvalidArgument);
  options_.network = "resnet20";
  options_.data = "fashion";
  EXPECT_THROW(static_cast<void>(check_compare(options_)), InvalidArgument);
  options_.data = "fashion-mnist";
  options_.plan.epochs = 0;
  EXPECT_THROW(static_cast<void>(check_compare(options_)), InvalidArgument);
}

TEST_F(CheckCompare, RefusesAFolderThatCannotBeWritten) {
  options_.out = "/proc/self/octconv";
  EXPECT_THROW(static_cast<void>(check_compare(options_)), FileError);
  options_.out = folder_;
  std::filesystem::create_directories(folder_ / kReportName);
  EXPECT_THROW(static_cast<void>(check_compare(options_)), FileError);
}

TEST(Compare, IsRefusedForItsArgumentsOrForWantOfLibTorch) {
  // Which of the two depends on the build: without LibTorch nothing else is looked at.
  if (training_obstacle().empty()) {
    EXPECT_THROW(static_cast<void>(check_compare({})), InvalidArgument);
  } else {
    EXPECT_THROW(static_cast<void>(check_compare({})), Unsupported);
  }
}

}  // namespace
}  // namespace octconv::workflow
