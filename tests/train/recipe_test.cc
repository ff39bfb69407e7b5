// SPDX-License-Identifier: Apache-2.0
#include "octconv/train/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octconv/base/error.h"

namespace octconv::train {
namespace {

TEST(Recipe, AllAreInRangeAndFoundByName) {
  EXPECT_EQ(recipes().size(), 3U);
  for (const Recipe& recipe : recipes()) {
    EXPECT_NO_THROW(check(recipe.options)) << recipe.name;
    EXPECT_EQ(&find_recipe(recipe.name), &recipe);
    EXPECT_FALSE(recipe.notes.empty());
  }
  try {
    static_cast<void>(find_recipe("paper"));
    FAIL();
  } catch (const InvalidArgument& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("paper-ablation, paper-mobilenet"));
  }
}

TEST(Recipe, NumbersAreThoseOfTheAuthors) {
  for (const Recipe& recipe : recipes()) {
    EXPECT_EQ(recipe.options.schedule, Schedule::kCosine);
    EXPECT_EQ(recipe.options.warmup_epochs, 5);
    EXPECT_EQ(recipe.options.momentum, 0.9);
    EXPECT_EQ(recipe.options.weight_decay, 1e-4);
    EXPECT_EQ(recipe.options.colour_jitter, 0.4);
    EXPECT_EQ(recipe.options.colour_noise, 0.1);
    EXPECT_EQ(recipe.options.crop, Crop::kResized);
  }
  const Recipe& ablation = find_recipe("paper-ablation");
  EXPECT_EQ(ablation.options.learning_rate, 0.4);
  EXPECT_EQ(ablation.options.batch_size * ablation.options.accumulate, 1024);
  EXPECT_EQ(ablation.options.label_smoothing, 0);
  const Recipe& mobilenet = find_recipe("paper-mobilenet");
  EXPECT_EQ(mobilenet.options.epochs, 120);
  EXPECT_EQ(mobilenet.options.label_smoothing, 0.1);
  const Recipe& large = find_recipe("paper-resnet152");
  EXPECT_EQ(large.options.learning_rate, 0.1);
  EXPECT_EQ(large.options.epochs, 200);
  EXPECT_EQ(large.options.batch_size * large.options.accumulate, 256);
  EXPECT_EQ(large.options.mixup, 0.2);
  EXPECT_TRUE(large.zero_gamma);
}

}  // namespace
}  // namespace octconv::train
