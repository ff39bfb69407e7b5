// SPDX-License-Identifier: Apache-2.0
// Clips of videos: which frames and which parts are taken.
#include "octconv/image/clip.h"

#include <set>

#include <gmock/gmock.h>

#include "octconv/base/error.h"
#include "octconv/base/file.h"
#include "octconv/image/crop.h"
#include "support/scratch.h"
#include "support/video_files.h"

namespace octconv {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(ClipStarts, AreSpreadEvenlyFromTheFirstFrameToTheLastClip) {
  // 300 - 8 * 8 = 236 places after the first.
  EXPECT_THAT(clip_starts(300, {}, 10), ElementsAre(0, 26, 52, 78, 104, 131, 157, 183, 209, 236));
  EXPECT_THAT(clip_starts(300, {}, 1), ElementsAre(118));
  EXPECT_THAT(clip_starts(67, {}, 1), ElementsAre(1));
  EXPECT_THAT(clip_starts(20, {.frames = 5, .stride = 3}, 3), ElementsAre(0, 2, 5));
}

TEST(ClipStarts, OfAVideoAsLongAsAClipOrShorterAreItsFirstFrame) {
  for (const std::int64_t count : {64, 63, 1}) {
    EXPECT_THAT(clip_starts(count, {}, 10), Each(0)) << count;
    Random random(1);
    EXPECT_EQ(random_clip_start(count, {}, random), 0) << count;
  }
}

TEST(ClipStarts, AtRandomAreAllThatFit) {
  Random random(3);
  std::set<std::int64_t> seen;
  // A chance of 11 * (10 / 11)^500 = 2e-20 to miss one.
  for (int i = 0; i < 500; ++i) seen.insert(random_clip_start(74, {}, random));
  EXPECT_THAT(seen, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10));
}

TEST(ClipFrames, AreAStrideApartAndBeginAnewAtTheEnd) {
  EXPECT_THAT(clip_frames(100, 7, {.frames = 4, .stride = 3}), ElementsAre(7, 10, 13, 16));
  EXPECT_THAT(clip_frames(10, 0, {.frames = 8, .stride = 3}), ElementsAre(0, 3, 6, 9, 2, 5, 8, 1));
  EXPECT_THAT(clip_frames(1, 0, {.frames = 3, .stride = 8}), ElementsAre(0, 0, 0));
}

TEST(ClipFrames, RefuseWhatIsOutOfRange) {
  EXPECT_THROW(static_cast<void>(clip_frames(10, 10, {})), InvalidArgument);
  EXPECT_THROW(static_cast<void>(clip_frames(0, 0, {})), InvalidArgument);
  EXPECT_THROW(static_cast<void>(clip_starts(10, {}, 0)), InvalidArgument);
  EXPECT_THROW(check(ClipTiming{.frames = 0}), InvalidArgument);
  EXPECT_THROW(check(ClipTiming{.stride = 1025}), InvalidArgument);
}

TEST(SideCrops, AreTheBeginningTheMiddleAndTheEndOfTheLongerSide) {
  const auto wide = side_crops(240, 320, 256, 256);
  const double lefts[] = {0, 40, 80};
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(wide[i].left, lefts[i]);
    EXPECT_EQ(wide[i].top, 0);
    EXPECT_EQ(wide[i].height, 240);
    EXPECT_EQ(wide[i].width, 240);
  }
  const auto tall = side_crops(500, 100, 10, 20);
  const double tops[] = {0, 225, 450};
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(tall[i].top, tops[i]);
    EXPECT_EQ(tall[i].left, 0);
    EXPECT_EQ(tall[i].height, 50);
    EXPECT_EQ(tall[i].width, 100);
  }
}

// The means of a channel of a frame's columns.
double level(const Clip& clip, std::int64_t frame, std::int64_t channel, std::int64_t column) {
  double sum = 0;
  for (std::int64_t y = 0; y < clip.height; ++y) {
    const std::int64_t pixel = (frame * clip.height + y) * clip.width + column;
    sum += clip.pixels[static_cast<std::size_t>(pixel * clip.channels + channel)];
  }
  return sum / static_cast<double>(clip.height);
}

std::vector<std::int64_t> numbers(const Clip& clip) {
  std::vector<std::int64_t> numbers;
  for (std::int64_t t = 0; t < clip.frames; ++t)
    numbers.push_back(frame_number(level(clip, t, 0, 0), level(clip, t, 1, 0)));
  return numbers;
}

ClipChoice whole(std::vector<std::int64_t> starts) {
  return {.starts = [starts](std::int64_t) { return starts; },
          .crops =
              [](std::int64_t height, std::int64_t width) {
                return std::vector<Rectangle>{
                    {.height = static_cast<double>(height), .width = static_cast<double>(width)}};
              }};
}

class ReadClips : public ScratchFolder {
 protected:
  static std::string message(const std::filesystem::path& path, const ClipChoice& choice) {
    try {
      static_cast<void>(read_clips(path, 3, {}, choice, 8, 8));
    } catch (const FormatError& error) {
      return error.what();
    }
    return "no error";
  }
};

TEST_F(ReadClips, TakesExactlyTheFramesThatAreWanted) {
  for (const char* name : {"a.avi", "a.mp4", "a.mkv", "a.mov"}) {
    SCOPED_TRACE(name);
    write_video(folder_ / name, 150);
    const std::vector<std::int64_t> starts{0, 1, 85, 86, 140, 40};
    const std::vector<Clip> clips = read_clips(folder_ / name, 3, {}, whole(starts), 8, 12);
    ASSERT_EQ(clips.size(), starts.size());
    for (std::size_t i = 0; i < starts.size(); ++i) {
      EXPECT_EQ(clips[i].pixels.size(), 8U * 8 * 12 * 3);
      std::vector<std::int64_t> wanted;
      for (std::int64_t t = 0; t < 8; ++t) wanted.push_back((starts[i] + 8 * t) % 150);
      EXPECT_EQ(numbers(clips[i]), wanted);
    }
  }
}

TEST_F(ReadClips, ReadsAShortVideoAgainFromItsBeginning) {
  write_video(folder_ / "a.avi", 20);
  const Clip clip = read_clips(folder_ / "a.avi", 3, {}, whole({0}), 8, 8).front();
  EXPECT_THAT(numbers(clip), ElementsAre(0, 8, 16, 4, 12, 0, 8, 16));
}

TEST_F(ReadClips, CutsTheSamePartsOfAllFrames) {
  write_video(folder_ / "a.avi", 16, 32, 128);
  ClipChoice choice = whole({0, 8});
  choice.crops = [](std::int64_t height, std::int64_t width) {
    const auto sides = side_crops(height, width, 8, 8);
    return std::vector(sides.begin(), sides.end());
  };
  const ClipTiming timing{.frames = 4, .stride = 2};
  const std::vector<Clip> clips = read_clips(folder_ / "a.avi", 3, timing, choice, 8, 8);
  ASSERT_EQ(clips.size(), 6U);
  for (std::size_t i = 0; i < 6; ++i) {
    // Parts of 32 of 128 columns, from 0, 48 and 96.
    const double left = 48.0 * static_cast<double>(i % 3);
    const std::int64_t start = i < 3 ? 0 : 8;
    EXPECT_THAT(numbers(clips[i]), ElementsAre(start, start + 2, start + 4, start + 6));
    for (std::int64_t t = 0; t < 4; ++t) {
      for (std::int64_t x = 0; x < 8; ++x) {
        // The middle of 4 columns. JPEG halves the columns of colours, and rounds.
        const double middle = (left + 4 * static_cast<double>(x) + 1.5) / 128;
        EXPECT_NEAR(column_share(level(clips[i], t, 2, x)), middle, 4.0 / 128);
      }
    }
  }
}

TEST_F(ReadClips, MakesGreyClips) {
  write_video(folder_ / "a.avi", 8);
  const Clip clip =
      read_clips(folder_ / "a.avi", 1, {.frames = 2, .stride = 4}, whole({0}), 8, 8).front();
  EXPECT_EQ(clip.pixels.size(), 2U * 8 * 8);
  // ITU-R BT.601: 0.299 red + 0.587 green + 0.114 blue.
  const double blue = 16 + 224 * 2.5 / 48;
  EXPECT_NEAR(clip.pixels[0], 0.299 * 8 + 0.587 * 8 + 0.114 * blue, 4);
  EXPECT_NEAR(clip.pixels[64], 0.299 * 8 + 0.587 * (16 * 4 + 8) + 0.114 * blue, 4);
}

TEST_F(ReadClips, NamesWhatIsNoWholeVideo) {
  write_video(folder_ / "whole.avi", 150);
  const std::string bytes = read_file(folder_ / "whole.avi");
  write("torn.avi", bytes.substr(0, bytes.size() / 2));
  write("text.mp4", "this is a text");
  write("empty.avi", "");
  for (const char* name : {"torn.avi", "text.mp4", "empty.avi", "missing.mkv"}) {
    EXPECT_THAT(message(folder_ / name, whole({80})), HasSubstr(name));
  }
  EXPECT_THAT(message(folder_ / "torn.avi", whole({80})), HasSubstr("of 150 frames"));
  EXPECT_EQ(message(folder_ / "whole.avi", whole({80})), "no error");
}

// Writes another number of frames into the headers of an AVI file.
void announce(std::string& bytes, std::uint32_t frames) {
  const auto put = [&](const char* chunk, std::size_t offset) {
    const std::size_t at = bytes.find(chunk);
    ASSERT_NE(at, std::string::npos);
    for (int i = 0; i < 4; ++i)
      bytes[at + 8 + offset + static_cast<std::size_t>(i)] =
          static_cast<char>(frames >> 8 * i & 0xff);
  };
  put("avih", 16);  // dwTotalFrames
  put("strh", 32);  // dwLength
}

TEST_F(ReadClips, AnnouncedFramesNeedNotBeExact) {
  write_video(folder_ / "exact.avi", 100);
  std::string bytes = read_file(folder_ / "exact.avi");
  announce(bytes, 109);
  const std::filesystem::path path = write("more.avi", bytes);
  std::vector<std::int64_t> asked;
  ClipChoice choice = whole({});
  choice.starts = [&](std::int64_t count) {
    asked.push_back(count);
    return clip_starts(count, {}, 3);
  };
  const std::vector<Clip> clips = read_clips(path, 3, {}, choice, 8, 8);
  EXPECT_THAT(asked, ElementsAre(109, 100));
  EXPECT_THAT(numbers(clips[2]), ElementsAre(36, 44, 52, 60, 68, 76, 84, 92));
}

TEST_F(ReadClips, RefusesExtentsAndChannelsOutOfRange) {
  write_video(folder_ / "a.avi", 4);
  const auto read = [&](std::int64_t channels, std::int64_t height) {
    static_cast<void>(read_clips(folder_ / "a.avi", channels, {}, whole({0}), height, 8));
  };
  EXPECT_THROW(read(2, 8), InvalidArgument);
  EXPECT_THROW(read(3, 0), InvalidArgument);
  EXPECT_NO_THROW(read(3, 8));
}

}  // namespace
}  // namespace octconv
