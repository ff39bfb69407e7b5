// SPDX-License-Identifier: Apache-2.0
// Data sets: the real one against published facts, and files that lie about themselves.
#include "octconv/image/dataset.h"

#include <cmath>
#include <cstdlib>
#include <functional>

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <zlib.h>

#include "octconv/base/error.h"
#include "octconv/base/random.h"
#include "support/scratch.h"

namespace octconv {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string big_endian(std::uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16),
          static_cast<char>(value >> 8), static_cast<char>(value)};
}

std::string idx(const std::vector<std::uint32_t>& extents, const std::string& values) {
  std::string bytes = big_endian(0x0800 | static_cast<std::uint32_t>(extents.size()));
  for (const std::uint32_t extent : extents) bytes += big_endian(extent);
  return bytes + values;
}

std::string gzip(const std::string& bytes) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, MAX_WBITS + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
  std::string packed(bytes.size() + 100, '\0');
  std::string source = bytes;
  stream.next_in = reinterpret_cast<Bytef*>(source.data());
  stream.avail_in = static_cast<uInt>(source.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

std::string random_pixels(std::size_t count, std::uint64_t seed) {
  Random random(seed);
  std::string pixels(count, '\0');
  for (char& pixel : pixels) pixel = static_cast<char>(random.below(256));
  return pixels;
}

void expect_format_error(const std::function<void()>& call, const std::string& what) {
  try {
    call();
    ADD_FAILURE() << "no error; expected " << what;
  } catch (const FormatError& error) {
    EXPECT_THAT(error.what(), HasSubstr(what));
  }
}

/// A folder with five training and three test images of 4 x 6 pixels.
class IdxFolder : public ScratchFolder {
 protected:
  IdxFolder() {
    write("train-images-idx3-ubyte", idx({5, 4, 6}, train_pixels_));
    write("train-labels-idx1-ubyte", idx({5}, std::string("\0\1\2\2\1", 5)));
    write("t10k-images-idx3-ubyte", idx({3, 4, 6}, random_pixels(3 * 4 * 6, 2)));
    write("t10k-labels-idx1-ubyte", idx({3}, std::string("\2\0\1", 3)));
  }
  [[nodiscard]] Dataset open() const { return open_dataset(folder_.string()); }

  const std::string train_pixels_ = random_pixels(5 * 4 * 6, 1);
};

TEST(FashionMnist, IsAsPublished) {
  const Dataset dataset = open_dataset("fashion-mnist");
  EXPECT_EQ(dataset.train.count(), 60000);
  EXPECT_EQ(dataset.test.count(), 10000);
  EXPECT_EQ(dataset.train.height, 28);
  EXPECT_EQ(dataset.train.width, 28);
  EXPECT_EQ(dataset.train.channels, 1);
  EXPECT_EQ(dataset.train.pixels.size(), 60000U * 28 * 28);
  EXPECT_EQ(dataset.test.pixels.size(), 10000U * 28 * 28);
  // First labels as `zcat ... | xxd` shows them; every class has 6000 and 1000 images.
  EXPECT_THAT(std::vector(dataset.train.labels.begin(), dataset.train.labels.begin() + 8),
              ElementsAre(9, 0, 0, 3, 0, 2, 7, 2));
  EXPECT_THAT(std::vector(dataset.test.labels.begin(), dataset.test.labels.begin() + 8),
              ElementsAre(9, 2, 1, 1, 6, 1, 4, 6));
  for (std::int32_t label = 0; label < 10; ++label) {
    EXPECT_EQ(std::count(dataset.train.labels.begin(), dataset.train.labels.end(), label), 6000);
    EXPECT_EQ(std::count(dataset.test.labels.begin(), dataset.test.labels.end(), label), 1000);
  }
  ASSERT_EQ(dataset.classes.size(), 10U);
  EXPECT_EQ(dataset.classes[9], "Ankle boot");
  // The figures that everyone's preprocessing uses, 0.2860 and 0.3530, to their last digit.
  ASSERT_EQ(dataset.mean.size(), 1U);
  ASSERT_EQ(dataset.deviation.size(), 1U);
  EXPECT_NEAR(dataset.mean[0], 0.2860, 5e-5);
  EXPECT_NEAR(dataset.deviation[0], 0.3530, 5e-5);
}

TEST(OpenDataset, SuggestsTheNearestNameForAnUnknownOne) {
  try {
    static_cast<void>(open_dataset("fashon-mnist"));
    FAIL();
  } catch (const InvalidArgument& error) {
    EXPECT_THAT(error.what(), HasSubstr("did you mean 'fashion-mnist'?"));
  }
  EXPECT_THROW(static_cast<void>(open_dataset("")), InvalidArgument);
}

TEST_F(IdxFolder, NamesAreLookedForWhereTheEnvironmentSays) {
  ASSERT_EQ(::setenv("OCTCONV_DATA", folder_.c_str(), 1), 0);
  try {
    static_cast<void>(open_dataset("fashion-mnist"));
    ADD_FAILURE();
  } catch (const FileError& error) {
    EXPECT_THAT(error.what(), HasSubstr("apt-get install dataset-fashion-mnist"));
    EXPECT_THAT(error.what(), HasSubstr((folder_ / "fashion-mnist").string()));
  }
  const std::filesystem::path mnist = folder_ / "mnist";
  std::filesystem::create_directory(mnist);
  for (const auto& file : std::filesystem::directory_iterator(folder_)) {
    if (file.is_regular_file()) {
      std::filesystem::rename(file.path(), mnist / file.path().filename());
    }
  }
  EXPECT_EQ(open_dataset("mnist").classes.size(), 10U);
  ::unsetenv("OCTCONV_DATA");
}

TEST_F(IdxFolder, HoldsWhatItsFilesSay) {
  const Dataset dataset = open();
  EXPECT_EQ(dataset.name, folder_.filename());
  EXPECT_EQ(dataset.train.height, 4);
  EXPECT_EQ(dataset.train.width, 6);
  EXPECT_EQ(std::string(dataset.train.pixels.begin(), dataset.train.pixels.end()), train_pixels_);
  EXPECT_THAT(dataset.train.labels, ElementsAre(0, 1, 2, 2, 1));
  EXPECT_THAT(dataset.test.labels, ElementsAre(2, 0, 1));
  EXPECT_THAT(dataset.classes, ElementsAre("0", "1", "2"));
  EXPECT_EQ(open_dataset(folder_.string() + "/").name, folder_.filename());
}

TEST_F(IdxFolder, StatisticsEqualTwoPassesInLongDouble) {
  long double mean = 0;
  for (const char pixel : train_pixels_) mean += static_cast<std::uint8_t>(pixel) / 255.0L;
  mean /= static_cast<long double>(train_pixels_.size());
  long double variance = 0;
  for (const char pixel : train_pixels_) {
    variance += std::pow(static_cast<std::uint8_t>(pixel) / 255.0L - mean, 2);
  }
  variance /= static_cast<long double>(train_pixels_.size());
  const Dataset dataset = open();
  EXPECT_FLOAT_EQ(dataset.mean[0], static_cast<float>(mean));
  EXPECT_FLOAT_EQ(dataset.deviation[0], static_cast<float>(std::sqrt(variance)));
}

TEST_F(IdxFolder, ImagesWithoutContrastAreNotDividedByZero) {
  write("train-images-idx3-ubyte", idx({5, 4, 6}, std::string(5 * 4 * 6, '\x40')));
  EXPECT_EQ(open().deviation[0], 1.0F);
}

TEST_F(IdxFolder, CompressedFilesHoldTheSame) {
  std::filesystem::remove(folder_ / "train-images-idx3-ubyte");
  write("train-images-idx3-ubyte.gz", gzip(idx({5, 4, 6}, train_pixels_)));
  const Dataset dataset = open();
  EXPECT_EQ(std::string(dataset.train.pixels.begin(), dataset.train.pixels.end()), train_pixels_);
}

TEST_F(IdxFolder, EveryTruncationOfACompressedFileIsAFormatError) {
  std::filesystem::remove(folder_ / "train-images-idx3-ubyte");
  const std::string packed = gzip(idx({5, 4, 6}, train_pixels_));
  for (std::size_t size = 0; size < packed.size(); ++size) {
    write("train-images-idx3-ubyte.gz", packed.substr(0, size));
    EXPECT_THROW(static_cast<void>(open()), FormatError) << size;
  }
}

TEST_F(IdxFolder, EveryTruncationOfAPlainFileIsAFormatError) {
  const std::string whole = idx({5, 4, 6}, train_pixels_);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    write("train-images-idx3-ubyte", whole.substr(0, size));
    expect_format_error([&] { static_cast<void>(open()); }, "truncated");
  }
}

TEST_F(IdxFolder, ACompressedFileWithAWrongChecksumIsAFormatError) {
  std::filesystem::remove(folder_ / "train-images-idx3-ubyte");
  std::string packed = gzip(idx({5, 4, 6}, train_pixels_));
  packed[packed.size() - 8] = static_cast<char>(packed[packed.size() - 8] ^ 1);
  write("train-images-idx3-ubyte.gz", packed);
  expect_format_error([&] { static_cast<void>(open()); }, "incorrect data check");
}

TEST_F(IdxFolder, BytesAfterTheValuesAreAFormatError) {
  const std::string whole = idx({5, 4, 6}, train_pixels_);
  write("train-images-idx3-ubyte", whole + '\0');
  expect_format_error([&] { static_cast<void>(open()); }, "goes on after the last value");
  std::filesystem::remove(folder_ / "train-images-idx3-ubyte");
  write("train-images-idx3-ubyte.gz", gzip(whole + '\0'));
  expect_format_error([&] { static_cast<void>(open()); }, "goes on after the last value");
  write("train-images-idx3-ubyte.gz", gzip(whole) + '\0');
  expect_format_error([&] { static_cast<void>(open()); }, "bytes follow the compressed data");
}

TEST_F(IdxFolder, ExtentsLargerThanTheFileCouldHoldAllocateNothing) {
  // 2^32 - 1 images of 1 x 1, and a product that would not fit in 64 bits.
  const std::string many = idx({0xffffffff, 1, 1}, "x");
  const std::string overflow = idx({0xffffffff, 0xffffffff, 0xffffffff}, "x");
  for (const std::string& bytes : {many, overflow}) {
    write("train-images-idx3-ubyte", bytes);
    EXPECT_THROW(static_cast<void>(open()), FormatError);
  }
  std::filesystem::remove(folder_ / "train-images-idx3-ubyte");
  for (const std::string& bytes : {many, overflow}) {
    write("train-images-idx3-ubyte.gz", gzip(bytes));
    EXPECT_THROW(static_cast<void>(open()), FormatError);
  }
  struct rusage usage {};
  ASSERT_EQ(::getrusage(RUSAGE_SELF, &usage), 0);
  EXPECT_LT(usage.ru_maxrss,
            2 << 20);  // in units of 1024 bytes: half of what the first file claims
}

TEST_F(IdxFolder, FilesThatContradictEachOtherAreNamed) {
  write("train-labels-idx1-ubyte", idx({4}, std::string("\0\1\2\2", 4)));
  expect_format_error([&] { static_cast<void>(open()); }, "has 5 images");
  write("train-labels-idx1-ubyte", idx({5}, std::string("\0\1\2\2\1", 5)));
  write("t10k-labels-idx1-ubyte", idx({3}, std::string("\2\3\1", 3)));
  expect_format_error([&] { static_cast<void>(open()); }, "the label of test image 1 is 3");
  write("t10k-labels-idx1-ubyte", idx({3}, std::string("\2\0\1", 3)));
  write("t10k-images-idx3-ubyte", idx({3, 6, 4}, random_pixels(3 * 4 * 6, 2)));
  expect_format_error([&] { static_cast<void>(open()); },
                      "training images are 4 x 6, but test images 6 x 4");
}

TEST_F(IdxFolder, OtherKindsOfFileAreRefused) {
  write("train-images-idx3-ubyte", idx({5, 24}, train_pixels_));  // rank 2
  expect_format_error([&] { static_cast<void>(open()); },
                      "not an idx file of unsigned bytes with 3 extents");
  write("train-images-idx3-ubyte", "hello, world");
  expect_format_error([&] { static_cast<void>(open()); }, "not an idx file");
  write("train-images-idx3-ubyte", idx({0, 4, 6}, ""));
  expect_format_error([&] { static_cast<void>(open()); }, "extent 0 is 0");
}

TEST_F(IdxFolder, AMissingFileIsNamed) {
  std::filesystem::remove(folder_ / "t10k-labels-idx1-ubyte");
  try {
    static_cast<void>(open());
    FAIL();
  } catch (const FileError& error) {
    EXPECT_THAT(error.what(), HasSubstr("has no file 't10k-labels-idx1-ubyte'"));
  }
}

}  // namespace
}  // namespace octconv
