// SPDX-License-Identifier: Apache-2.0
// How well a model does on videos, of one view or of several.
#include <algorithm>
#include <cmath>
#include <functional>

#include <gmock/gmock.h>

#include "octconv/base/error.h"
#include "octconv/base/file.h"
#include "octconv/base/parallel.h"
#include "support/scratch.h"
#include "support/video_files.h"
#include "workflow/evaluate.h"
#include "workflow/preprocess.h"
#include "workflow/sample.h"
#include "workflow/samples.h"

namespace octconv::workflow {
namespace {

using testing::HasSubstr;

constexpr std::int64_t kClasses = 3;
constexpr std::int64_t kVideos = 6;
constexpr std::int64_t kFrames = 4;
constexpr std::int64_t kStride = 5;
constexpr std::int64_t kSize = 8;

// The mean of each channel over frames and pixels, then a linear layer that takes differences of
// brightness far apart.
Model clip_model() {
  Graph graph("mean", {1, 2, 2});
  const NodeId input = graph.add("input", Input{3}, {});
  const NodeId pooled = graph.add("pool", GlobalPool{}, {input});
  graph.add_output(graph.add("linear", Linear{.out_channels = kClasses}, {pooled}));
  graph.set_default_extents({kFrames, kSize, kSize});
  Model model{.graph = graph, .weights = initial_weights(graph, 5)};
  model.preprocessing = {.mean = {0.2F, 0.3F, 0.4F},
                         .deviation = {0.05F, 0.1F, 0.2F},
                         .extents = {kFrames, kSize, kSize},
                         .classes = {"a", "b", "c"},
                         .frame_stride = kStride};
  return model;
}

class EvaluateClips : public ScratchFolder {
 protected:
  EvaluateClips() {
    for (int i = 0; i < kVideos; ++i) {
      const std::string name{static_cast<char>('a' + i % kClasses),
                             '/',
                             static_cast<char>('0' + i),
                             '.',
                             'a',
                             'v',
                             'i'};
      write_video(folder_ / "val" / name, 10 + 13 * i, 24, 60);
      if (i < kClasses) write_video(folder_ / "train" / name, 2);
    }
    data_ = open_dataset(folder_.string(), {.size = 99});
  }

  Dataset data_;
};

std::vector<double> probabilities(const Model& model, const Clip& clip) {
  const auto pixels = static_cast<std::size_t>(clip.frames * clip.height * clip.width);
  std::vector<double> result;
  double sum = 0;
  for (std::size_t o = 0; o < kClasses; ++o) {
    double logit = model.weights.at("linear.bias").values()[o];
    for (std::size_t c = 0; c < 3; ++c) {
      double mean = 0;
      for (std::size_t p = 0; p < pixels; ++p) mean += clip.pixels[p * 3 + c] / 255.0;
      mean /= static_cast<double>(pixels);
      logit += (mean - model.preprocessing.mean[c]) / model.preprocessing.deviation[c] *
               model.weights.at("linear.weight").values()[o * 3 + c];
    }
    result.push_back(std::exp(logit));
    sum += result.back();
  }
  for (double& value : result) value /= sum;
  return result;
}

TEST_F(EvaluateClips, AveragesTheProbabilitiesOfTheViews) {
  const Model model = clip_model();
  const ClipTiming timing{.frames = kFrames, .stride = kStride};
  for (const std::int64_t views : {1, 3, 10, 30}) {
    SCOPED_TRACE(views);
    double loss = 0;
    std::int64_t correct = 0;
    for (std::int64_t i = 0; i < kVideos; ++i) {
      // All of them one by one, read anew.
      const std::int64_t clips = views >= 10 ? 10 : 1;
      const std::int64_t crops = views / clips;
      std::vector<double> mean(kClasses);
      for (std::int64_t view = 0; view < views; ++view) {
        const ClipChoice one{
            .starts =
                [&](std::int64_t count) {
                  const std::int64_t room = std::max<std::int64_t>(count - kFrames * kStride, 0);
                  return std::vector{clips == 1 ? room / 2 : view / crops * room / 9};
                },
            .crops =
                [&](std::int64_t height, std::int64_t width) {
                  EXPECT_EQ(height, 24);
                  EXPECT_EQ(width, 60);
                  if (crops == 1)
                    return std::vector<Rectangle>{
                        {.top = 1.5, .left = 19.5, .height = 21, .width = 21}};
                  return std::vector<Rectangle>{
                      {.left = 18.0 * static_cast<double>(view % 3), .height = 24, .width = 24}};
                }};
        const Clip clip = read_clips(data_.test.path(i), 3, timing, one, kSize, kSize).front();
        const std::vector<double> own = probabilities(model, clip);
        for (std::size_t c = 0; c < kClasses; ++c) mean[c] += own[c] / static_cast<double>(views);
      }
      const auto label = static_cast<std::size_t>(data_.test.labels[static_cast<std::size_t>(i)]);
      loss -= std::log(mean[label]) / kVideos;
      if (*std::max_element(mean.begin(), mean.end()) == mean[label]) ++correct;
    }
    const DetailedEvaluation result =
        evaluate_in_detail(model, "m", data_, {.views = views == 1 ? 0 : views});
    EXPECT_EQ(result.total.images, kVideos);
    EXPECT_EQ(result.total.top1_correct, correct);
    // Outputs up to about 30 in floats, of sums of a few hundred terms in any order.
    EXPECT_NEAR(result.total.loss, loss, 1e-4);
    EXPECT_EQ(result.views, views);
    EXPECT_EQ(result.frames, kFrames);
    EXPECT_EQ(result.frame_stride, kStride);
    EXPECT_EQ(result.height, kSize);
  }
}

TEST_F(EvaluateClips, ThreadsDecodeInTurnsAndTheFirstBrokenVideoIsNamed) {
  const Model model = clip_model();
  const int before = thread_count();
  std::vector<double> losses;
  for (const int threads : {1, 4, 9}) {
    set_thread_count(threads);
    losses.push_back(evaluate_in_detail(model, "model", data_, {.views = 10}).total.loss);
  }
  EXPECT_EQ(losses[1], losses[0]);
  EXPECT_EQ(losses[2], losses[0]);
  const auto& test = data_.test;
  for (const std::int64_t broken : {4, 2}) write_file(test.path(broken), "no video");
  for (const int threads : {1, 4}) {
    set_thread_count(threads);
    EXPECT_THAT([&] { static_cast<void>(evaluate_in_detail(model, "model", data_, {})); },
                testing::ThrowsMessage<FormatError>(HasSubstr(test.path(2).string())));
  }
  set_thread_count(before);
}

TEST_F(EvaluateClips, TakesOtherSizesAndStrides) {
  const Model model = clip_model();
  const DetailedEvaluation own = evaluate_in_detail(model, "m", data_);
  const DetailedEvaluation other =
      evaluate_in_detail(model, "m", data_, {.images = 4, .size = 20, .frame_stride = 1});
  EXPECT_EQ(other.height, 20);
  EXPECT_EQ(other.width, 20);
  EXPECT_EQ(other.frames, kFrames);
  EXPECT_EQ(other.frame_stride, 1);
  EXPECT_EQ(other.total.images, 4);
  EXPECT_NE(other.total.loss, own.total.loss);
  Model silent = clip_model();
  silent.preprocessing.frame_stride = 0;
  EXPECT_EQ(evaluate_in_detail(silent, "m", data_).frame_stride, 8);
}

std::string message(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST_F(EvaluateClips, WhatDoesNotGoTogetherIsRefused) {
  const Model model = clip_model();
  EXPECT_THAT(message([&] { evaluate_in_detail(model, "m", data_, {.views = 5}); }),
              HasSubstr("views must be 1, 3, 10 or 30, got 5"));
  EXPECT_THAT(message([&] { evaluate(mean_model(3, kClasses, kSize), "m", data_); }),
              HasSubstr("three-dimensional"));
  const Dataset pictures = random_dataset(4, kSize, 3, kClasses);
  EXPECT_THAT(message([&] { evaluate(model, "m", pictures); }), HasSubstr("two-dimensional"));
  const Model flat = mean_model(3, kClasses, kSize);
  EXPECT_THAT(message([&] { evaluate_in_detail(flat, "m", pictures, {.views = 30}); }),
              HasSubstr("views 30 is for videos"));
  EXPECT_THAT(message([&] { evaluate_in_detail(flat, "m", pictures, {.frame_stride = 2}); }),
              HasSubstr("frame stride 2 is for videos"));
  EXPECT_THAT(message([&] { Samples(flat, "m", folder_.string(), 3); }), HasSubstr("holds videos"));
}

TEST(PreprocessorOfClips, SeparatesChannelsAndKeepsFrames) {
  Clip clip{.frames = kFrames, .height = kSize, .width = kSize, .channels = 3};
  for (std::int64_t i = 0; i < kFrames * kSize * kSize * 3; ++i)
    clip.pixels.push_back(static_cast<std::uint8_t>(i * 7 % 251));
  const Preprocessor preprocessor(clip_model());
  Tensor batch = preprocessor.make_batch(2);
  ASSERT_EQ(batch.shape(), Shape({2, 3, kFrames, kSize, kSize}));
  preprocessor.fill(clip, batch, 1);
  const Preprocessing known = clip_model().preprocessing;
  const std::size_t pixels = kFrames * kSize * kSize;
  for (std::size_t c = 0; c < 3; ++c) {
    for (std::size_t p = 0; p < pixels; ++p) {
      const double level = clip.pixels[p * 3 + c] / 255.0;
      EXPECT_FLOAT_EQ(batch.values()[(3 + c) * pixels + p],
                      static_cast<float>((level - known.mean[c]) / known.deviation[c]));
    }
  }
  clip.frames = 2;
  EXPECT_THROW(preprocessor.fill(clip, batch, 0), InvalidArgument);
}

}  // namespace
}  // namespace octconv::workflow
