// SPDX-License-Identifier: Apache-2.0
// The binary files of CIFAR-10 and CIFAR-100, written here as their format is published.
#include "image/cifar.h"

#include <functional>

#include <gmock/gmock.h>

#include "octconv/base/error.h"
#include "octconv/base/random.h"
#include "support/scratch.h"

namespace octconv::image {
namespace {

using testing::HasSubstr;

// Few images, so that tests are quick.
CifarKind small(CifarKind kind) {
  kind.images = 4;
  kind.test_images = 3;
  return kind;
}

class Cifar : public ScratchFolder {
 protected:
  // Planes of red, green and blue behind the label bytes; fine label i % classes.
  void write_part(std::string_view file, const CifarKind& kind, std::int64_t count) {
    std::string bytes;
    Random random(static_cast<std::uint64_t>(file.size()));
    for (std::int64_t i = 0; i < count; ++i) {
      if (kind.label_bytes == 2) bytes += '\x13';
      bytes += static_cast<char>((i + 7) % kind.classes);
      for (int value = 0; value < 3 * 1024; ++value) bytes += static_cast<char>(random.below(256));
    }
    write(std::string(file), bytes);
  }

  void write_all(const CifarKind& kind) {
    for (const std::string_view file : kind.train_files) write_part(file, kind, kind.images);
    write_part(kind.test_file, kind, kind.test_images);
  }

  std::string message(const std::function<void()>& act) const {
    try {
      act();
    } catch (const FormatError& error) {
      return error.what();
    }
    return "no error";
  }
};

TEST_F(Cifar, ReadsPlanesAndFineLabels) {
  for (const CifarKind& kind : {small(cifar10()), small(cifar100())}) {
    write_all(kind);
    const Dataset data = read_cifar(folder_, "tiny", kind);
    const auto files = static_cast<std::int64_t>(kind.train_files.size());
    ASSERT_EQ(data.train.count(), 4 * files);
    ASSERT_EQ(data.test.count(), 3);
    EXPECT_EQ(data.train.height, 32);
    EXPECT_EQ(data.train.channels, 3);
    EXPECT_EQ(data.train.labels[3], (3 + 7) % kind.classes);
    EXPECT_EQ(data.classes.size(), static_cast<std::size_t>(kind.classes));
    EXPECT_EQ(data.classes[9], "9");
    // The bytes of the test file once more.
    Random random(static_cast<std::uint64_t>(kind.test_file.size()));
    for (std::size_t image = 0; image < 3; ++image) {
      for (std::size_t c = 0; c < 3; ++c) {
        for (std::size_t pixel = 0; pixel < 1024; ++pixel) {
          ASSERT_EQ(data.test.pixels[(image * 1024 + pixel) * 3 + c], random.below(256));
        }
      }
    }
  }
}

TEST_F(Cifar, TakesClassNamesFromTheirFile) {
  const CifarKind kind = small(cifar10());
  write_all(kind);
  write("batches.meta.txt",
        "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n");
  EXPECT_EQ(read_cifar(folder_, "tiny", kind).classes[8], "ship");
  write("batches.meta.txt", "airplane\nautomobile\n");
  EXPECT_THAT(message([&] { static_cast<void>(read_cifar(folder_, "tiny", kind)); }),
              HasSubstr("names 2 classes"));
}

TEST_F(Cifar, AFileOfAnotherSizeIsRefused) {
  const CifarKind kind = small(cifar10());
  write_all(kind);
  const std::filesystem::path path = folder_ / "data_batch_3.bin";
  for (const std::uintmax_t size : {0U, 1U, 3073 * 3U, 3073 * 4U - 1, 3073 * 4U + 1}) {
    std::filesystem::resize_file(path, size);
    EXPECT_THAT(message([&] { static_cast<void>(read_cifar(folder_, "tiny", kind)); }),
                HasSubstr("data_batch_3.bin' has " + std::to_string(size) + " bytes"));
  }
  // Opened by name of the folder, as many as were published are wanted.
  EXPECT_THAT(message([&] { static_cast<void>(open_dataset(folder_.string())); }),
              HasSubstr("10000 images of CIFAR-10 have 30730000"));
  std::filesystem::remove(path);
  EXPECT_THROW(static_cast<void>(read_cifar(folder_, "tiny", kind)), FileError);
}

TEST_F(Cifar, ALabelOutOfRangeIsRefused) {
  const CifarKind kind = small(cifar100());
  write_all(kind);
  std::string bytes(static_cast<std::size_t>(3 * 3074), '\0');
  bytes[3074 + 1] = 100;
  write("test.bin", bytes);
  EXPECT_THAT(message([&] { static_cast<void>(read_cifar(folder_, "tiny", kind)); }),
              HasSubstr("label of image 1 is 100"));
}

TEST_F(Cifar, TheWholeOneIsOpenedByItsFolder) {
  write_all(cifar10());
  const Dataset data = open_dataset(folder_.string(), {.size = 32});
  EXPECT_EQ(data.train.count(), 50000);
  EXPECT_EQ(data.test.count(), 10000);
  ASSERT_EQ(data.mean.size(), 3U);
  EXPECT_NEAR(data.mean[1], 0.5, 1e-3);  // of uniform bytes
  EXPECT_THROW(static_cast<void>(open_dataset(folder_.string(), {.size = 33})), InvalidArgument);
}

}  // namespace
}  // namespace octconv::image
