// SPDX-License-Identifier: Apache-2.0
// Batches made ahead: what is in them, whoever makes them.
#include "train/prefetch.h"

#include <algorithm>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octconv/base/error.h"
#include "support/picture_files.h"
#include "support/scratch.h"

namespace octconv::train {
namespace {

constexpr std::int64_t kSize = 16;

class PrefetchedFiles : public ScratchFolder {
 protected:
  PrefetchedFiles() {
    write_picture_folder(folder_, 22, 2);
    data_ = open_dataset(folder_.string(), {.size = kSize});
  }

  Loader loader() const { return {data_.train, data_.mean, data_.deviation, 2, "training"}; }

  Dataset data_;
};

const Augmentation kAll{.random_crop = true, .flip = true, .seed = 4};

struct Read {
  std::vector<std::vector<float>> pixels;  // by batch
  std::vector<std::vector<std::int64_t>> labels;
  std::vector<std::int64_t> broken;
};

Read read_all(const Loader& loader, std::int64_t batch, std::int64_t workers) {
  const std::vector<std::int64_t> order = shuffled(loader.images().count(), 9);
  Prefetcher batches(loader, order, batch, kAll, workers);
  Read read;
  for (std::size_t first = 0; first < order.size(); first += static_cast<std::size_t>(batch)) {
    const LoadedBatch loaded = batches.next();
    read.pixels.emplace_back(loaded.pixels.get(),
                             loaded.pixels.get() + static_cast<std::int64_t>(loaded.labels.size()) *
                                                       loader.image_size());
    read.labels.push_back(loaded.labels);
    for (const BrokenImage& image : loaded.broken) read.broken.push_back(image.index);
  }
  return read;
}

TEST_F(PrefetchedFiles, AreTheSameBitsWithAnyNumberOfWorkers) {
  const Loader files = loader();
  const Read one = read_all(files, 4, 1);
  ASSERT_EQ(one.labels.size(), 6U);
  EXPECT_EQ(one.labels[5].size(), 2U);  // the rest of 22
  for (const std::int64_t workers : {2, 5}) {
    const Read read = read_all(files, 4, workers);
    EXPECT_EQ(read.pixels, one.pixels) << workers;
    EXPECT_EQ(read.labels, one.labels) << workers;
  }
}

TEST_F(PrefetchedFiles, AreWhatTheLoaderMakesInTheWantedOrder) {
  const Loader files = loader();
  const Read read = read_all(files, 22, 2);
  const std::vector<std::int64_t> order = shuffled(22, 9);
  for (std::size_t i = 0; i < order.size(); ++i) {
    std::vector<float> alone(static_cast<std::size_t>(files.image_size()));
    files.fill(order[i], kAll, alone.data());
    EXPECT_TRUE(
        std::equal(alone.begin(), alone.end(),
                   read.pixels[0].begin() + static_cast<std::ptrdiff_t>(i) * files.image_size()));
    EXPECT_EQ(read.labels[0][i], data_.train.labels[static_cast<std::size_t>(order[i])]);
  }
}

TEST_F(PrefetchedFiles, ThatAreBrokenAreLeftOutAndNamed) {
  const Read whole = read_all(loader(), 22, 2);
  constexpr std::int64_t kTruncated = 3;
  constexpr std::int64_t kGone = 15;
  const std::filesystem::path path = data_.train.path(kTruncated);
  std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
  std::filesystem::remove(data_.train.path(kGone));
  const Loader files = loader();
  for (const std::int64_t workers : {1, 5}) {
    const Read read = read_all(files, 22, workers);
    EXPECT_THAT(read.broken, testing::UnorderedElementsAre(kTruncated, kGone));
    ASSERT_EQ(read.labels[0].size(), 20U);
    // The others are as they were.
    std::size_t kept = 0;
    const std::vector<std::int64_t> order = shuffled(22, 9);
    const std::int64_t size = files.image_size();
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (order[i] == kTruncated || order[i] == kGone) continue;
      EXPECT_TRUE(std::equal(whole.pixels[0].begin() + static_cast<std::ptrdiff_t>(i) * size,
                             whole.pixels[0].begin() + static_cast<std::ptrdiff_t>(i + 1) * size,
                             read.pixels[0].begin() + static_cast<std::ptrdiff_t>(kept) * size));
      ++kept;
    }
  }
  Prefetcher batches(files, {kTruncated}, 1, {}, 1);
  const LoadedBatch none = batches.next();
  EXPECT_TRUE(none.labels.empty());
  ASSERT_EQ(none.broken.size(), 1U);
  EXPECT_THAT(none.broken[0].why, testing::HasSubstr(path.string()));
}

TEST_F(PrefetchedFiles, NeedNotAllBeFetched) {
  const Loader files = loader();
  for (int i = 0; i < 20; ++i) {
    Prefetcher batches(files, shuffled(22, 1), 3, {}, 2);
    if (i % 2 == 0) {
      EXPECT_EQ(batches.next().labels.size(), 3U);
    }
  }
}

}  // namespace
}  // namespace octconv::train
