// SPDX-License-Identifier: Apache-2.0
// Clips of videos as network input, and training on them.
#include <filesystem>
#include <numeric>
#include <set>
#include <tuple>

#include <gmock/gmock.h>

#include "octconv/base/error.h"
#include "octconv/base/file.h"
#include "octconv/graph/octavize.h"
#include "octconv/image/crop.h"
#include "octconv/train/trainer.h"
#include "support/scratch.h"
#include "support/video_files.h"
#include "train/prefetch.h"

namespace octconv::train {
namespace {

using testing::HasSubstr;

constexpr std::int64_t kSize = 8;
constexpr std::int64_t kFrames = 4;
constexpr std::int64_t kStride = 3;
constexpr int kHeight = 32;
constexpr int kWidth = 48;
constexpr std::int64_t kFrameValues = kSize * kSize * 3;

class Clips : public ScratchFolder {
 protected:
  // Videos of 20 to 35 frames of two classes.
  Clips() {
    for (int i = 0; i < kVideos; ++i) write_video(folder_ / "train" / name(i), length(i));
    for (int i = 0; i < 4; ++i) write_video(folder_ / "val" / name(i), length(i));
    data_ = open();
    // Levels come as they are.
    data_.mean = {0, 0, 0};
    data_.deviation = {1, 1, 1};
  }

  static constexpr int kVideos = 12;
  static std::string name(int i) {
    return std::string(i % 2 == 0 ? "a/" : "b/") + static_cast<char>('a' + i) + ".avi";
  }
  static int length(int i) { return 20 + i * 5 % 16; }

  Dataset open() const {
    return open_dataset(folder_.string(),
                        {.size = kSize, .frames = kFrames, .frame_stride = kStride});
  }
  Loader loader() const { return {data_.train, data_.mean, data_.deviation, 2, "training"}; }
  // Frames of the video that image `index` is of.
  std::int64_t frames_of(std::int64_t index) const {
    return length(data_.train.files[static_cast<std::size_t>(index)][2] - 'a');
  }

  Dataset data_;
};

std::vector<float> filled(const Loader& loader, std::int64_t index, const Augmentation& how) {
  std::vector<float> values(static_cast<std::size_t>(loader.image_size()));
  loader.fill(index, how, values.data());
  return values;
}

// The number of a frame of a clip, and its blue level at the left edge and at the right one.
std::tuple<std::int64_t, double, double> seen(const std::vector<float>& clip, std::int64_t frame) {
  const float* values = clip.data() + frame * kFrameValues;
  return {frame_number(255.0 * values[0], 255.0 * values[1]), 255.0 * values[2],
          255.0 * values[3 * (kSize - 1) + 2]};
}

TEST_F(Clips, BeginAtARandomFrameWithOneCropAndMirrorForAll) {
  const Loader clips = loader();
  std::set<bool> mirrored;
  std::set<std::int64_t> starts;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    for (const std::int64_t index : {0, 7}) {
      const std::vector<float> clip = filled(
          clips, index, {.random_start = true, .random_crop = true, .flip = true, .seed = seed});
      // The draws as they are documented: the start, the crop, no shift, the mirror.
      Random random(derive_seed(seed, static_cast<std::uint64_t>(index)));
      const std::int64_t room = frames_of(index) - kFrames * kStride;
      const auto start =
          static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(room + 1)));
      const Rectangle part = random_crop(kHeight, kWidth, random);
      static_cast<void>(random.below(1));
      static_cast<void>(random.below(1));
      const bool flipped = random.below(2) == 1;
      mirrored.insert(flipped);
      starts.insert(start);
      // Blue levels at the centres of the first and last columns. JPEG halves the columns of
      // colours, edges of crops are rounded to pixels.
      const double step = part.width / kSize;
      const double first = 16 + 224 * (part.left + step / 2 - 0.5) / kWidth;
      const double last = 16 + 224 * (part.left + part.width - step / 2 - 0.5) / kWidth;
      const double pixel = 224.0 / kWidth;
      for (std::int64_t t = 0; t < kFrames; ++t) {
        const auto [number, left, right] = seen(clip, t);
        EXPECT_EQ(number, start + kStride * t) << "seed " << seed << ", frame " << t;
        EXPECT_NEAR(left, flipped ? last : first, 2 * pixel);
        EXPECT_NEAR(right, flipped ? first : last, 2 * pixel);
      }
    }
  }
  EXPECT_EQ(mirrored.size(), 2U);
  EXPECT_GT(starts.size(), 5U);
}

TEST_F(Clips, AreTheMiddleOfTheirVideosWithoutAugmentation) {
  const Loader clips = loader();
  for (std::int64_t index = 0; index < clips.images().count(); ++index) {
    const std::vector<float> values = filled(clips, index, {});
    const Clip clip = clip_at(data_.train, index);
    const std::int64_t start = (frames_of(index) - kFrames * kStride) / 2;
    ASSERT_EQ(values.size(), clip.pixels.size());
    for (std::size_t i = 0; i < values.size(); ++i)
      EXPECT_EQ(values[i], static_cast<float>(clip.pixels[i]) / 255.0F);
    EXPECT_EQ(std::get<0>(seen(values, 0)), start);
  }
}

TEST_F(Clips, AreTheSameBitsWithAnyNumberOfWorkers) {
  const Loader clips = loader();
  const Augmentation how{
      .random_start = true, .random_crop = true, .flip = true, .colour_jitter = 0.4, .seed = 6};
  std::vector<std::int64_t> order(kVideos);
  std::iota(order.begin(), order.end(), std::int64_t{0});
  for (const std::int64_t workers : {1, 4}) {
    Prefetcher batches(clips, order, 5, how, workers);
    std::int64_t index = 0;
    for (int batch = 0; batch < 3; ++batch) {
      const LoadedBatch loaded = batches.next();
      for (std::size_t i = 0; i < loaded.labels.size(); ++i, ++index) {
        const std::vector<float> alone = filled(clips, index, how);
        EXPECT_TRUE(std::equal(alone.begin(), alone.end(), loaded.pixels.get() + i * alone.size()))
            << index << " of " << workers << " workers";
      }
    }
    EXPECT_EQ(index, kVideos);
  }
  Augmentation other = how;
  other.seed = 7;
  EXPECT_NE(filled(clips, 3, how), filled(clips, 3, other));
}

// One octave convolution over frames and pixels.
Graph small_network() {
  Graph graph("small", Shape{1, 2, 2});
  graph.set_policy({.stride_mode = StrideMode::kPool, .octave_stages = {true, false}});
  const auto conv = [&](const std::string& name, NodeId from, int stage) {
    const Shape ones{1, 1, 1};
    return graph.add(name,
                     Conv{.out_channels = 4,
                          .kernel = {3, 3, 3},
                          .stride = ones,
                          .dilation = ones,
                          .padding_begin = ones,
                          .padding_end = ones},
                     {from}, stage);
  };
  NodeId x = conv("conv1", graph.add("input", Input{3}, {}), 0);
  x = graph.add("relu", Activation{}, {graph.add("norm", BatchNorm{}, {x})}, 0);
  x = graph.add("pool", GlobalPool{}, {conv("conv2", x, 1)});
  graph.add_output(graph.add("classes", Linear{.out_channels = 2}, {x}));
  return octavize(graph, {.alpha = 0.5}).graph;
}

class Skipped : public Observer {
 public:
  void on_skipped(const SkippedImage& image) override { all.push_back(image); }
  std::vector<SkippedImage> all;
};

TrainOptions small_options() {
  return {.epochs = 2, .batch_size = 4, .learning_rate = 0.01, .seed = 1, .threads = 1};
}

TEST_F(Clips, TrainingOnThemDoesNotDependOnWorkers) {
  TrainOptions options = small_options();
  std::vector<double> losses;
  for (const std::int64_t workers : {1, 3}) {
    options.workers = workers;
    const TrainResult result = octconv::train::train(small_network(), data_, options);
    EXPECT_EQ(result.model.preprocessing.extents, Shape({kFrames, kSize, kSize}));
    EXPECT_EQ(result.model.preprocessing.frame_stride, kStride);
    losses.push_back(result.history.back().train_loss);
    losses.push_back(result.history.back().test_loss);
  }
  EXPECT_EQ(losses[0], losses[2]);
  EXPECT_EQ(losses[1], losses[3]);
}

TEST_F(Clips, ABrokenVideoIsNamedOnceAndLeftOut) {
  const std::filesystem::path path = folder_ / "train" / name(3);
  const std::string bytes = read_file(path);
  write_file(path, std::string_view(bytes).substr(0, bytes.size() / 8));
  data_ = open();
  Skipped observer;
  static_cast<void>(octconv::train::train(small_network(), data_, small_options(), &observer));
  ASSERT_EQ(observer.all.size(), 1U);
  EXPECT_EQ(observer.all[0].path, path);
  EXPECT_THAT(observer.all[0].why, HasSubstr(path.string()));
}

TEST_F(Clips, NetworksForPicturesAreRefused) {
  Graph graph("flat", Shape{2, 2});
  const NodeId pooled = graph.add("pool", GlobalPool{}, {graph.add("input", Input{3}, {})});
  graph.add_output(graph.add("classes", Linear{.out_channels = 2}, {pooled}));
  try {
    static_cast<void>(octconv::train::train(graph, data_, small_options()));
    FAIL();
  } catch (const InvalidArgument& error) {
    EXPECT_THAT(error.what(), HasSubstr("the network has rank 2, clips have 3"));
  }
}

TEST_F(Clips, ACheckpointOfAnotherStrideIsRefused) {
  TrainOptions options = small_options();
  options.folder = folder_ / "run";
  options.epochs = 1;
  static_cast<void>(octconv::train::train(small_network(), data_, options));
  options.resume = true;
  Dataset other = data_;
  other.train.frame_stride = other.test.frame_stride = kStride + 1;
  try {
    static_cast<void>(octconv::train::train(small_network(), other, options));
    FAIL();
  } catch (const InvalidArgument& error) {
    EXPECT_THAT(error.what(), HasSubstr("data_frame_stride 3, not 4"));
  }
}

}  // namespace
}  // namespace octconv::train
