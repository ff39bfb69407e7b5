// SPDX-License-Identifier: Apache-2.0
// Accuracy and loss against plain counting in double.
#include "workflow/evaluate.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <gmock/gmock.h>

#include "octconv/base/error.h"
#include "workflow/sample.h"

namespace octconv::workflow {
namespace {

TEST(AddResult, CountsTheRankOfTheLabel) {
  Evaluation evaluation;
  const std::vector<float> logits{1, 6, 5, 4, 3, 2, 0};
  for (const std::int32_t label : {1, 2, 5, 0, 6}) add_result(logits, label, evaluation);
  EXPECT_EQ(evaluation.images, 5);
  EXPECT_EQ(evaluation.top1_correct, 1);
  EXPECT_EQ(evaluation.top5_correct, 3);
}

TEST(AddResult, OfEqualOutputsTheFirstIsTaken) {
  Evaluation evaluation;
  const std::vector<float> logits{2, 2, 2};
  for (const std::int32_t label : {0, 1, 2}) add_result(logits, label, evaluation);
  EXPECT_EQ(evaluation.top1_correct, 1);
  EXPECT_DOUBLE_EQ(evaluation.loss, std::log(3.0));
}

TEST(AddResult, LossIsStableForLargeOutputs) {
  Evaluation evaluation;
  add_result(std::vector<float>{3e38F, -3e38F}, 0, evaluation);
  EXPECT_EQ(evaluation.loss, 0);
  add_result(std::vector<float>{1000, 1001}, 0, evaluation);
  EXPECT_NEAR(evaluation.loss, std::log(1 + std::exp(1.0)) / 2, 1e-12);
}

TEST(AddResult, NotANumberIsNeverCorrect) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const auto& logits : {std::vector<float>{nan, 1},
                             {1, nan},
                             {nan, nan},
                             {std::numeric_limits<float>::infinity(), 1}}) {
    Evaluation evaluation;
    add_result(logits, 0, evaluation);
    EXPECT_EQ(evaluation.top1_correct, 0);
    EXPECT_EQ(evaluation.top5_correct, 0);
    EXPECT_FALSE(std::isfinite(evaluation.loss));
  }
}

TEST(Evaluate, EqualsCountingByHand) {
  constexpr std::int64_t kCount = 230;  // not a whole number of batches
  const Model model = mean_model(3, 7, 5);
  const Dataset data = random_dataset(kCount, 5, 3, 7);
  std::int64_t top1 = 0;
  std::int64_t top5 = 0;
  double loss = 0;
  for (std::int64_t i = 0; i < kCount; ++i) {
    const std::vector<double> logits = mean_model_logits(model, data.test, i);
    const double own =
        logits[static_cast<std::size_t>(data.test.labels[static_cast<std::size_t>(i)])];
    const auto better =
        std::count_if(logits.begin(), logits.end(), [&](double logit) { return logit > own; });
    top1 += better == 0 ? 1 : 0;
    top5 += better < 5 ? 1 : 0;
    double sum = 0;
    for (const double logit : logits) sum += std::exp(logit - own);
    loss += std::log(sum);
  }
  const Evaluation evaluation = evaluate(model, "m", data);
  EXPECT_EQ(evaluation.images, kCount);
  EXPECT_EQ(evaluation.top1_correct, top1);
  EXPECT_EQ(evaluation.top5_correct, top5);
  EXPECT_NEAR(evaluation.loss, loss / kCount, 1e-5);
  EXPECT_GT(top1, 0);
  EXPECT_LT(top1, kCount);
}

TEST(Evaluate, TakesTheFirstImagesOnly) {
  const Dataset data = random_dataset(20, 5, 1, 3);
  EXPECT_EQ(evaluate(mean_model(1, 3, 5), "m", data, 7).images, 7);
  EXPECT_EQ(evaluate(mean_model(1, 3, 5), "m", data, 21).images, 20);
}

TEST(Evaluate, RefusesAModelOfOtherData) {
  const Dataset data = random_dataset(4, 5, 1, 3);
  EXPECT_THROW(static_cast<void>(evaluate(mean_model(3, 3, 5), "m", data)), InvalidArgument);
  EXPECT_THROW(static_cast<void>(evaluate(mean_model(1, 4, 5), "m", data)), InvalidArgument);
}

}  // namespace
}  // namespace octconv::workflow
