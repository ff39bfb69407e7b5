// SPDX-License-Identifier: Apache-2.0
// Folders of pictures by class as data sets.
#include <algorithm>

#include <gmock/gmock.h>

#include "octconv/base/error.h"
#include "octconv/image/crop.h"
#include "octconv/image/dataset.h"
#include "support/picture_files.h"
#include "support/scratch.h"

namespace octconv {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class PictureFolder : public ScratchFolder {
 protected:
  std::string message() const {
    try {
      static_cast<void>(open_dataset(folder_.string()));
    } catch (const FileError& error) {
      return error.what();
    }
    return "no error";
  }

  void picture(const std::string& name) const {
    Random random(1);
    write_picture(folder_ / name, random_picture(6, 5, 100, random));
  }
};

TEST_F(PictureFolder, ListsClassesAndFilesByName) {
  for (const char* name :
       {"train/zebra/b.png", "train/zebra/a.JPG", "train/ant/deeper/c.webp", "train/ant/a.bmp",
        "train/ant/.hidden.png", "val/zebra/x.tiff", "val/ant/1.png"}) {
    picture(name);
  }
  write("train/ant/notes.txt", "not a picture");
  const Dataset data = open_dataset(folder_.string(), {.size = 8});
  EXPECT_THAT(data.classes, ElementsAre("ant", "zebra"));
  EXPECT_THAT(data.train.files,
              ElementsAre("ant/a.bmp", "ant/deeper/c.webp", "zebra/a.JPG", "zebra/b.png"));
  EXPECT_THAT(data.train.labels, ElementsAre(0, 0, 1, 1));
  EXPECT_THAT(data.test.files, ElementsAre("ant/1.png", "zebra/x.tiff"));
  EXPECT_THAT(data.test.labels, ElementsAre(0, 1));
  EXPECT_EQ(data.train.path(1), folder_ / "train/ant/deeper/c.webp");
  EXPECT_TRUE(data.train.pixels.empty());
  EXPECT_EQ(data.train.height, 8);
  EXPECT_EQ(data.train.channels, 3);
  EXPECT_FLOAT_EQ(data.mean[0] * 255, 123.68F);
  EXPECT_FLOAT_EQ(data.deviation[2] * 255, 57.375F);
  EXPECT_EQ(open_dataset(folder_.string()).test.width, 224);
}

TEST_F(PictureFolder, AnImageIsTheMiddleOfItsFile) {
  Random random(2);
  const cv::Mat picture = random_picture(40, 64, 80, random);
  write_picture(folder_ / "train/a/1.png", picture);
  write_picture(folder_ / "test/a/1.png", picture);
  const Dataset data = open_dataset(folder_.string(), {.size = 7});
  const Image image = image_at(data.test, 0);
  // 35 of 40 pixels become 7: each is the mean of 5 x 5.
  for (int y = 0; y < 7; ++y) {
    for (int x = 0; x < 7; ++x) {
      for (int c = 0; c < 3; ++c) {
        double sum = 0;
        for (int i = 0; i < 25; ++i)
          sum += picture.at<cv::Vec3b>(3 + 5 * y + i / 5, 15 + 5 * x + i % 5)[2 - c];
        EXPECT_NEAR(image.pixels[static_cast<std::size_t>((y * 7 + x) * 3 + c)], sum / 25, 0.51);
      }
    }
  }
}

TEST_F(PictureFolder, WhatIsMissingIsNamed) {
  std::filesystem::create_directories(folder_ / "train");
  EXPECT_THAT(message(), HasSubstr("no folder 'val' or 'test'"));
  std::filesystem::create_directories(folder_ / "val");
  EXPECT_THAT(message(), HasSubstr("wants one a class"));
  picture("train/a/1.png");
  EXPECT_THAT(message(), HasSubstr("/val' has no pictures"));
  picture("val/b/1.png");
  EXPECT_THAT(message(), HasSubstr("class 'b' that there are no training images of"));
  std::filesystem::create_directories(folder_ / "train/b");
  EXPECT_THAT(message(), HasSubstr("no pictures of class 'b'"));
  picture("train/b/1.png");
  EXPECT_EQ(message(), "no error");
}

TEST_F(PictureFolder, SizesOutOfRangeAreRefused) {
  picture("train/a/1.png");
  picture("val/a/1.png");
  for (const std::int64_t size : {-1, 20000}) {
    EXPECT_THROW(static_cast<void>(open_dataset(folder_.string(), {.size = size})),
                 InvalidArgument);
  }
}

TEST_F(PictureFolder, AFileThatIsNoPictureIsNamedWhenItIsUsed) {
  picture("train/a/1.png");
  std::filesystem::create_directories(folder_ / "val/a");
  write("val/a/1.png", "this is a text");
  const Dataset data = open_dataset(folder_.string());
  try {
    static_cast<void>(image_at(data.test, 0));
    FAIL();
  } catch (const FormatError& error) {
    EXPECT_THAT(error.what(), HasSubstr("val/a/1.png"));
  }
}

}  // namespace
}  // namespace octconv
