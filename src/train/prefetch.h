// SPDX-License-Identifier: Apache-2.0
// Batches that worker threads make ahead of their use.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "train/loader.h"

namespace octconv::train {

/// An image that could not be read.
struct BrokenImage {
  std::int64_t index = 0;  ///< of the loader's images
  std::string why;         ///< one sentence that names the file
};

/// Images that were read, in the order in which they were wanted, and the others.
struct LoadedBatch {
  std::unique_ptr<float[]> pixels;   ///< labels.size() images as `Loader::fill` has them
  std::vector<std::int64_t> labels;  ///< of each
  std::vector<BrokenImage> broken;   ///< wanted too
};

/// Makes batches one after the other, some ahead. Their contents do not depend on the workers.
class Prefetcher {
 public:
  /// @param order    indices of the loader's images; neighbours are a batch. The loader must
  /// outlive
  ///                 the prefetcher
  /// @param batch    images in a batch; the last one holds what is left
  /// @param workers  threads, >= 1
  Prefetcher(const Loader& loader, std::vector<std::int64_t> order, std::int64_t batch,
             const Augmentation& augmentation, std::int64_t workers);
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;
  /// Drops what was made ahead.
  ~Prefetcher();

  /// The next batch; waits for it. Requires that there is one.
  /// @throws what the loader throws other than FileError and FormatError
  [[nodiscard]] LoadedBatch next();

 private:
  struct Pending;

  void work();
  void add_pending();

  const Loader& loader_;
  const std::vector<std::int64_t> order_;
  const std::int64_t batch_;
  const Augmentation augmentation_;
  std::mutex mutex_;
  std::condition_variable work_left_;
  std::condition_variable batch_done_;
  std::deque<std::shared_ptr<Pending>> pending_;  // in order; the front is wanted next
  std::size_t planned_ = 0;                       // images of order_ that are in batches already
  bool stopping_ = false;
  std::vector<std::jthread> workers_;
};

}  // namespace octconv::train
