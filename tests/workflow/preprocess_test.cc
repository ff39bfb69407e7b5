// SPDX-License-Identifier: Apache-2.0
// From pictures to network inputs.
#include "workflow/preprocess.h"

#include <gmock/gmock.h>

#include "octconv/base/error.h"
#include "workflow/sample.h"

namespace octconv::workflow {
namespace {

TEST(Preprocessor, ScalesShiftsAndSeparatesChannels) {
  const Model model = mean_model(3, 2, 4);
  const LabelledImages images = random_images(5, 4, 3, 2, 7);
  const Tensor batch = Preprocessor(model).batch_of(images, 2, 3);
  ASSERT_EQ(batch.shape(), Shape({3, 3, 4, 4}));
  for (std::size_t n = 0; n < 3; ++n) {
    for (std::size_t c = 0; c < 3; ++c) {
      for (std::size_t p = 0; p < 16; ++p) {
        const double pixel = images.pixels[((n + 2) * 16 + p) * 3 + c] / 255.0;
        const double expected =
            (pixel - model.preprocessing.mean[c]) / model.preprocessing.deviation[c];
        EXPECT_FLOAT_EQ(batch.values()[(n * 3 + c) * 16 + p], static_cast<float>(expected));
      }
    }
  }
}

TEST(Preprocessor, ResizesToTheModelsExtents) {
  const Model model = mean_model(1, 2, 6);
  const Image image{
      .height = 3, .width = 9, .channels = 1, .pixels = std::vector<std::uint8_t>(27, 51)};
  const Preprocessor preprocessor(model);
  Tensor batch = preprocessor.make_batch(1);
  preprocessor.fill(image, batch, 0);
  ASSERT_EQ(batch.shape(), Shape({1, 1, 6, 6}));
  EXPECT_THAT(batch.values(), testing::Each(testing::FloatEq((0.2F - 0.25F) / 0.5F)));
}

TEST(Preprocessor, RefusesImagesWithOtherChannels) {
  const Model model = mean_model(1, 2, 4);
  const Preprocessor preprocessor(model);
  Tensor batch = preprocessor.make_batch(1);
  const Image image{
      .height = 4, .width = 4, .channels = 3, .pixels = std::vector<std::uint8_t>(48)};
  EXPECT_THROW(preprocessor.fill(image, batch, 0), InvalidArgument);
}

void expect_refused(const Model& model, const std::string& why) {
  try {
    check_classifier(model, "m.onnx");
    ADD_FAILURE() << "expected: " << why;
  } catch (const Unsupported& error) {
    EXPECT_THAT(error.what(), testing::StartsWith("'m.onnx': "));
    EXPECT_THAT(error.what(), testing::HasSubstr(why));
  }
}

TEST(CheckClassifier, NamesWhatAModelLacks) {
  EXPECT_NO_THROW(check_classifier(mean_model(3, 2, 4), "m.onnx"));
  expect_refused(mean_model(2, 2, 4), "takes 2");
  Model model = mean_model(1, 2, 4);
  model.preprocessing.classes.pop_back();
  expect_refused(model, "names 1 classes, but has 2 outputs");
  model.preprocessing.classes.clear();
  EXPECT_NO_THROW(check_classifier(model, "m.onnx"));
  model.preprocessing.mean.clear();
  expect_refused(model, "mean");
  model = mean_model(1, 2, 4);
  model.preprocessing.extents = {};
  expect_refused(model, "size");
  model.graph = Graph("row", {2});
  model.graph.add_output(
      model.graph.add("pool", GlobalPool{}, {model.graph.add("input", Input{1}, {})}));
  expect_refused(model, "two-dimensional");
  model.graph = Graph("map", {2, 2});
  model.graph.add_output(
      model.graph.add("relu", Activation{}, {model.graph.add("input", Input{1}, {})}));
  expect_refused(model, "one number per class");
}

}  // namespace
}  // namespace octconv::workflow
