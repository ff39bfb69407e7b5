// SPDX-License-Identifier: Apache-2.0
// Folders of videos by class as data sets.
#include <gmock/gmock.h>

#include "octconv/base/error.h"
#include "octconv/image/dataset.h"
#include "support/picture_files.h"
#include "support/scratch.h"
#include "support/video_files.h"

namespace octconv {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class VideoFolder : public ScratchFolder {
 protected:
  std::string message(const OpenOptions& options = {}) const {
    try {
      static_cast<void>(open_dataset(folder_.string(), options));
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

  // Two videos to learn from and one to test with.
  void write_videos() const {
    for (const char* name : {"train/jump/a.avi", "train/run/b.avi", "val/run/c.avi"})
      write_video(folder_ / name, 100, 32, 64);
  }
};

TEST_F(VideoFolder, ListsClassesAndFilesByName) {
  for (const char* name : {"train/run/b.avi", "train/run/A.MP4", "train/jump/deeper/c.webm",
                           "train/jump/.hidden.mkv", "val/run/x.mkv", "val/jump/1.mov"}) {
    std::filesystem::create_directories((folder_ / name).parent_path());
    write(name, "listed, not opened");
  }
  const Dataset data = open_dataset(folder_.string(), {.size = 16});
  EXPECT_THAT(data.classes, ElementsAre("jump", "run"));
  EXPECT_THAT(data.train.files, ElementsAre("jump/deeper/c.webm", "run/A.MP4", "run/b.avi"));
  EXPECT_THAT(data.train.labels, ElementsAre(0, 1, 1));
  EXPECT_THAT(data.test.files, ElementsAre("jump/1.mov", "run/x.mkv"));
  EXPECT_TRUE(data.train.are_clips());
  EXPECT_THAT(data.train.extents(), ElementsAre(8, 16, 16));
  EXPECT_EQ(data.test.frame_stride, 8);
  EXPECT_FLOAT_EQ(data.mean[0] * 255, 123.68F);
  const Dataset other = open_dataset(folder_.string(), {.frames = 32, .frame_stride = 2});
  EXPECT_THAT(other.test.extents(), ElementsAre(32, 224, 224));
  EXPECT_EQ(other.train.frame_stride, 2);
}

TEST_F(VideoFolder, PicturesAndVideosTogetherAreRefused) {
  write_videos();
  Random random(1);
  write_picture(folder_ / "val/jump/z.png", random_picture(6, 5, 100, random));
  EXPECT_THAT(message(), AllOf(HasSubstr("'val/jump/z.png'"), HasSubstr("'train/jump/a.avi'")));
  std::filesystem::remove(folder_ / "val/jump/z.png");
  EXPECT_EQ(message(), "no error");
}

TEST_F(VideoFolder, TimingsThatCannotBeHonouredAreRefused) {
  write_videos();
  EXPECT_THAT(message({.frames = -1}), HasSubstr("frames of a clip must be in [1, 1024], got -1"));
  EXPECT_THAT(message({.frame_stride = 2000}), HasSubstr("frame stride"));
  std::filesystem::remove_all(folder_);
  write_picture_folder(folder_, 4, 2);
  EXPECT_THAT(message({.frames = 8}), HasSubstr("holds pictures"));
  EXPECT_THAT(message({.frame_stride = 8}), HasSubstr("holds pictures"));
  EXPECT_EQ(message(), "no error");
}

TEST_F(VideoFolder, AClassWithoutVideosIsNamed) {
  write_videos();
  std::filesystem::create_directories(folder_ / "train/walk");
  EXPECT_THAT(message(), HasSubstr("no videos of class 'walk'"));
}

std::int64_t number(const Clip& clip, std::int64_t frame) {
  const auto pixel = static_cast<std::size_t>(frame * clip.height * clip.width * clip.channels);
  return frame_number(clip.pixels[pixel], clip.pixels[pixel + 1]);
}

double column(const Clip& clip, std::int64_t x) {
  return column_share(clip.pixels[static_cast<std::size_t>(x * 3 + 2)]);
}

TEST_F(VideoFolder, AClipIsTheMiddleOfItsVideoInTimeAndSpace) {
  write_videos();
  const Dataset data = open_dataset(folder_.string(), {.size = 7});
  const Clip clip = clip_at(data.test, 0);
  // 100 frames, of which a clip takes 64; of 32 x 64 pixels the middle 28 x 28.
  for (std::int64_t t = 0; t < 8; ++t) EXPECT_EQ(number(clip, t), 18 + 8 * t);
  EXPECT_NEAR(column(clip, 0), (18 + 1.5) / 64, 3.0 / 64);
  EXPECT_NEAR(column(clip, 6), (18 + 24 + 1.5) / 64, 3.0 / 64);
  EXPECT_THROW(static_cast<void>(image_at(data.test, 0)), InvalidArgument);
}

TEST_F(VideoFolder, ThirtyViewsAreTenClipsOfThreeCrops) {
  write_videos();
  const Dataset data = open_dataset(folder_.string(), {.size = 8});
  const std::vector<Clip> views = views_at(data.test, 0, {.clips = 10, .three_crops = true});
  ASSERT_EQ(views.size(), 30U);
  for (std::int64_t i = 0; i < 30; ++i) {
    const Clip& view = views[static_cast<std::size_t>(i)];
    for (std::int64_t t = 0; t < 8; ++t) EXPECT_EQ(number(view, t), i / 3 * 36 / 9 + 8 * t);
    // All 32 rows; 32 of 64 columns from 0, 16 and 32.
    const double left = 16.0 * static_cast<double>(i % 3);
    EXPECT_NEAR(column(view, 0), (left + 1.5) / 64, 3.0 / 64);
    EXPECT_NEAR(column(view, 7), (left + 28 + 1.5) / 64, 3.0 / 64);
  }
}

}  // namespace
}  // namespace octconv
