// SPDX-License-Identifier: Apache-2.0
// Predictions against the network computed by hand.
#include "workflow/predict.h"

#include <cmath>
#include <filesystem>
#include <numeric>

#include <gmock/gmock.h>
#include <unistd.h>

#include "octconv/base/error.h"
#include "octconv/base/file.h"
#include "workflow/preprocess.h"
#include "workflow/sample.h"

namespace octconv::workflow {
namespace {

TEST(Softmax, SumsToOneAlsoForLargeValues) {
  const std::vector<double> probabilities = softmax(std::vector<float>{1000, 1000, -1000});
  EXPECT_DOUBLE_EQ(probabilities[0], 0.5);
  EXPECT_DOUBLE_EQ(probabilities[1], 0.5);
  EXPECT_DOUBLE_EQ(probabilities[2], 0);
}

TEST(Predictor, NamesTheBestClassesInOrder) {
  const Model model = mean_model(3, 6, 5);
  const LabelledImages images = random_images(1, 5, 3, 6, 3);
  const std::vector<double> logits = mean_model_logits(model, images, 0);
  double sum = 0;
  for (const double logit : logits) sum += std::exp(logit);
  const std::vector<Prediction> predictions = Predictor(model, "m").predict(image_at(images, 0), 4);
  ASSERT_EQ(predictions.size(), 4U);
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    const auto index = static_cast<std::size_t>(predictions[i].index);
    EXPECT_NEAR(predictions[i].probability, std::exp(logits[index]) / sum, 1e-6);
    EXPECT_EQ(predictions[i].label, "class " + std::to_string(index));
    const auto better = std::count_if(logits.begin(), logits.end(),
                                      [&](double logit) { return logit > logits[index]; });
    EXPECT_EQ(better, static_cast<std::ptrdiff_t>(i));
  }
}

TEST(Predictor, GivesAllClassesIfAskedForMore) {
  const Model model = mean_model(1, 3, 5);
  const std::vector<Prediction> predictions =
      Predictor(model, "m").predict(image_at(random_images(1, 5, 1, 3, 3), 0), 100);
  ASSERT_EQ(predictions.size(), 3U);
  EXPECT_NEAR(predictions[0].probability + predictions[1].probability + predictions[2].probability,
              1, 1e-12);
}

TEST(Predictor, ReadsAColourPictureAsGreyForAOneChannelNetwork) {
  const Model model = mean_model(1, 3, 5);
  Predictor predictor(model, "m");
  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) /
                                     ("octconv-predict-" + std::to_string(::getpid()) + ".png");
  // Every pixel the same colour, whose grey is 0.299 * 200 + 0.587 * 100 + 0.114 * 50 = 124.2.
  Image colour{.height = 5, .width = 5, .channels = 3};
  for (int i = 0; i < 25; ++i) colour.pixels.insert(colour.pixels.end(), {200, 100, 50});
  write_file(path, encode_png(colour));
  const Image grey{
      .height = 5, .width = 5, .channels = 1, .pixels = std::vector<std::uint8_t>(25, 124)};
  const std::vector<Prediction> from_file = predictor.predict(path, 3);
  const std::vector<Prediction> expected = predictor.predict(grey, 3);
  std::filesystem::remove(path);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(from_file[i].index, expected[i].index);
    EXPECT_EQ(from_file[i].probability, expected[i].probability);
  }
}

TEST(Predictor, WithoutNamesClassesAreNumbers) {
  Model model = mean_model(1, 3, 5);
  model.preprocessing.classes.clear();
  const std::vector<Prediction> predictions =
      Predictor(model, "m").predict(image_at(random_images(1, 5, 1, 3, 3), 0), 1);
  EXPECT_EQ(predictions[0].label, std::to_string(predictions[0].index));
}

TEST(Predictor, RefusesWhatItCannotDo) {
  const Model model = mean_model(1, 3, 5);
  Predictor predictor(model, "m");
  const LabelledImages images = random_images(1, 5, 3, 3, 3);
  EXPECT_THROW(static_cast<void>(predictor.predict(image_at(images, 0), 1)), InvalidArgument);
  EXPECT_THROW(static_cast<void>(predictor.predict(image_at(random_images(1, 5, 1, 3, 3), 0), 0)),
               InvalidArgument);
  EXPECT_THROW(static_cast<void>(predictor.predict(std::filesystem::path("absent.png"), 1)),
               FileError);
  EXPECT_THROW(Predictor(mean_model(2, 3, 5), "m"), Unsupported);
}

}  // namespace
}  // namespace octconv::workflow
