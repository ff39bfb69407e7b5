// SPDX-License-Identifier: Apache-2.0
// Accuracy and loss against plain counting in double.
#include "workflow/evaluate.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <gmock/gmock.h>

#include <unistd.h>

#include "octconv/base/error.h"
#include "octconv/base/file.h"
#include "octconv/graph/cost.h"
#include "workflow/evaluate_report.h"
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

// What an image is taken for, counted by hand.
TEST(EvaluateInDetail, CountsWhatEachClassIsTakenFor) {
  constexpr std::int64_t kCount = 130;
  constexpr std::size_t kClasses = 7;
  const Model model = mean_model(3, kClasses, 5);
  const Dataset data = random_dataset(kCount, 5, 3, kClasses);
  std::vector<std::int64_t> taken_for(kClasses * kClasses);
  std::vector<std::int64_t> images(kClasses);
  for (std::int64_t i = 0; i < kCount; ++i) {
    const std::vector<double> logits = mean_model_logits(model, data.test, i);
    const auto label = static_cast<std::size_t>(data.test.labels[static_cast<std::size_t>(i)]);
    const auto taken =
        static_cast<std::size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
    ++taken_for[label * kClasses + taken];
    ++images[label];
  }
  const DetailedEvaluation result = evaluate_in_detail(model, "m", data);
  EXPECT_EQ(result.taken_for, taken_for);
  std::int64_t found = 0;
  for (std::size_t label = 0; label < kClasses; ++label) {
    EXPECT_EQ(result.classes[label].images, images[label]);
    EXPECT_EQ(result.classes[label].top1_correct, taken_for[label * (kClasses + 1)]);
    found += result.classes[label].top1_correct;
    std::int64_t most = 0;
    for (std::size_t other = 0; other < kClasses; ++other) {
      if (other != label) most = std::max(most, taken_for[label * kClasses + other]);
    }
    const std::int64_t other = result.confused_with(static_cast<std::int64_t>(label));
    ASSERT_EQ(other >= 0, most > 0);
    if (most == 0) continue;
    EXPECT_NE(other, static_cast<std::int64_t>(label));
    EXPECT_EQ(taken_for[label * kClasses + static_cast<std::size_t>(other)], most);
  }
  EXPECT_EQ(result.total.top1_correct, found);
  EXPECT_GT(found, 0);
}

// A constant image has the same mean at every size.
TEST(EvaluateInDetail, ResizesImagesInMemoryAndCountsTheWork) {
  const Model model = mean_model(1, 3, 5);
  Dataset data = random_dataset(9, 5, 1, 3);
  for (std::size_t i = 0; i < data.test.pixels.size(); ++i) {
    data.test.pixels[i] = static_cast<std::uint8_t>(20 * (i / 25));
  }
  const DetailedEvaluation own = evaluate_in_detail(model, "m", data);
  EXPECT_EQ(own.height, 5);
  for (const std::int64_t size : {1, 4, 16}) {
    const DetailedEvaluation other = evaluate_in_detail(model, "m", data, {.size = size});
    EXPECT_EQ(other.height, size);
    EXPECT_EQ(other.width, size);
    EXPECT_EQ(other.macs, cost(model.graph, {size, size}).macs);
    EXPECT_EQ(other.taken_for, own.taken_for);
    EXPECT_NEAR(other.total.loss, own.total.loss, 1e-6);
  }
}

// The network's mean says which part of a picture it saw.
TEST(EvaluateInDetail, CutsTheMiddleOutOfFiles) {
  constexpr std::int64_t kHeight = 64;
  constexpr std::int64_t kWidth = 80;
  // 0.875 of 64 are 56: the middle is a square of 56 pixels, with one of 28 in it.
  const auto inside = [](std::int64_t y, std::int64_t x, std::int64_t side) {
    return std::abs(2 * y + 1 - kHeight) < side && std::abs(2 * x + 1 - kWidth) < side;
  };
  Image picture{.height = kHeight, .width = kWidth, .channels = 3};
  for (std::int64_t y = 0; y < kHeight; ++y) {
    for (std::int64_t x = 0; x < kWidth; ++x) {
      const std::uint8_t level = inside(y, x, 28) ? 250 : inside(y, x, 56) ? 100 : 0;
      picture.pixels.insert(picture.pixels.end(), 3, level);
    }
  }
  const std::filesystem::path folder =
      std::filesystem::path(testing::TempDir()) / ("octconv-cut-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  write_file(folder / "a.png", encode_png(picture));
  Dataset files = random_dataset(1, 4, 3, 3);
  files.test = {.height = 224,
                .width = 224,
                .channels = 3,
                .labels = {1},
                .folder = folder,
                .files = {"a.png"}};
  // As bright as the middle: a quarter of it 250, the rest 100.
  Dataset bright = random_dataset(1, 4, 3, 3);
  bright.test.pixels.assign(24, 137);
  bright.test.pixels.insert(bright.test.pixels.end(), 24, 138);
  bright.test.labels = {1};
  const Model model = mean_model(3, 3, 4);
  const double expected = evaluate(model, "m", bright).loss;
  // Of sizes at which no pixel is rounded.
  for (const std::int64_t size : {0, 4, 28, 56}) {
    EXPECT_NEAR(evaluate_in_detail(model, "m", files, {.size = size}).total.loss, expected, 1e-5)
        << size;
  }
  std::filesystem::remove_all(folder);
}

TEST(EvaluateInDetail, AnOutputThatIsNoNumberIsTakenForNone) {
  Model model = mean_model(1, 3, 5);
  model.weights.at("linear.bias").data()[2] = std::numeric_limits<float>::quiet_NaN();
  const DetailedEvaluation result = evaluate_in_detail(model, "m", random_dataset(8, 5, 1, 3));
  EXPECT_EQ(result.total.images, 8);
  EXPECT_THAT(result.taken_for, testing::Each(0));
  EXPECT_THAT(confusion_html(result, "m", random_dataset(8, 5, 1, 3)),
              testing::HasSubstr("8 images were taken for no class"));
}

TEST(EvaluateInDetail, RefusesSizes) {
  const Dataset data = random_dataset(4, 5, 1, 3);
  EXPECT_THAT(
      [&] {
        static_cast<void>(evaluate_in_detail(mean_model(1, 3, 5), "m", data, {.size = 16385}));
      },
      testing::ThrowsMessage<InvalidArgument>(testing::HasSubstr("16385")));
}

TEST(ConfusionImage, IsDarkerTheMoreWereTakenForAClass) {
  DetailedEvaluation evaluation{.classes = std::vector<Evaluation>(3),
                                .taken_for = {4, 0, 0,  //
                                              1, 1, 2,  //
                                              0, 0, 0}};
  evaluation.classes[0].images = 4;
  evaluation.classes[1].images = 4;
  const Image image = confusion_image(evaluation);
  ASSERT_EQ(image.height, image.width);
  constexpr std::int64_t kCell = 48;
  const std::int64_t margin = image.height - 3 * kCell;  // with the numbers
  ASSERT_GT(margin, 0);
  const auto red = [&](std::int64_t row, std::int64_t column) {
    const std::int64_t at =
        (margin + row * kCell + kCell / 2) * image.width + margin + column * kCell + kCell / 2;
    return static_cast<int>(image.pixels[static_cast<std::size_t>(3 * at)]);
  };
  EXPECT_EQ(red(0, 0), 8);
  EXPECT_EQ(red(0, 1), 255);
  EXPECT_EQ(red(1, 0), 193);  // 255 - 247 / 4, rounded
  EXPECT_EQ(red(1, 2), 132);  // 255 - 247 / 2, rounded
  EXPECT_EQ(red(2, 2), 255);  // no images
  // Black pixels beside each row, and above each column: of 0, 1 and 2, at 4 pixels a dot.
  for (const bool columns : {false, true}) {
    std::vector<std::int64_t> black(3);
    for (std::int64_t along = margin; along < image.height; ++along) {
      for (std::int64_t across = 0; across < margin; ++across) {
        const std::int64_t at =
            columns ? across * image.width + along : along * image.width + across;
        if (image.pixels[static_cast<std::size_t>(3 * at)] == 0)
          ++black[static_cast<std::size_t>((along - margin) / kCell)];
      }
    }
    EXPECT_THAT(black, testing::ElementsAre(4 * 12, 4 * 8, 4 * 11)) << columns;
  }
}

TEST(ConfusionImage, IsDrawnForAnyNumberOfClasses) {
  for (const std::size_t classes : {1U, 2U, 9U, 10U, 11U, 36U, 60U, 100U, 720U, 721U}) {
    DetailedEvaluation evaluation{.classes = std::vector<Evaluation>(classes),
                                  .taken_for = std::vector<std::int64_t>(classes * classes)};
    evaluation.classes.back().images = 1;
    evaluation.taken_for.back() = 1;
    const Image image = confusion_image(evaluation);
    EXPECT_EQ(image.pixels.size(), static_cast<std::size_t>(3 * image.height * image.width));
    EXPECT_GE(image.height, static_cast<std::int64_t>(classes));
    EXPECT_EQ(image.pixels[image.pixels.size() - 3], 8) << classes;  // the last cell
  }
}

TEST(ClassTable, AClassWithoutImagesHasNoShares) {
  DetailedEvaluation evaluation{.classes = std::vector<Evaluation>(2), .taken_for = {1, 3, 0, 0}};
  evaluation.classes[0] = {.images = 4, .top1_correct = 1, .top5_correct = 4, .loss = 0.5};
  EXPECT_EQ(class_table(evaluation, {"cat", "dog"}).text(),
            "class  images  found  accuracy     top 5    loss  most taken for    share\n"
            "-----  ------  -----  --------  --------  ------  --------------  -------\n"
            "cat         4      1   25.00 %  100.00 %  0.5000  dog             75.00 %\n"
            "dog         0      0         -         -       -  -                     -\n");
}

TEST(Evaluate, RefusesAModelOfOtherData) {
  const Dataset data = random_dataset(4, 5, 1, 3);
  EXPECT_THROW(static_cast<void>(evaluate(mean_model(3, 3, 5), "m", data)), InvalidArgument);
  EXPECT_THROW(static_cast<void>(evaluate(mean_model(1, 4, 5), "m", data)), InvalidArgument);
}

}  // namespace
}  // namespace octconv::workflow
