// SPDX-License-Identifier: Apache-2.0
#include "train/prefetch.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "octconv/base/error.h"

namespace octconv::train {
namespace {

// Batches in work or waiting: the one that is wanted next, and enough that no worker waits for it.
constexpr std::size_t kAhead = 3;

}  // namespace

struct Prefetcher::Pending {
  std::span<const std::int64_t> images;
  std::unique_ptr<float[]> pixels;
  std::vector<std::optional<std::string>> broken;  // why, by image
  std::size_t taken = 0;                           // images that a worker has begun
  std::size_t done = 0;
  std::exception_ptr failure;
};

Prefetcher::Prefetcher(const Loader& loader, std::vector<std::int64_t> order, std::int64_t batch,
                       const Augmentation& augmentation, std::int64_t workers)
    : loader_(loader), order_(std::move(order)), batch_(batch), augmentation_(augmentation) {
  while (pending_.size() < kAhead && planned_ < order_.size()) add_pending();
  for (std::int64_t i = 0; i < workers; ++i) workers_.emplace_back([this] { work(); });
}

Prefetcher::~Prefetcher() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_left_.notify_all();
}

void Prefetcher::add_pending() {
  const std::size_t count = std::min(static_cast<std::size_t>(batch_), order_.size() - planned_);
  auto pending = std::make_shared<Pending>();
  pending->images = std::span(order_).subspan(planned_, count);
  pending->pixels = std::make_unique_for_overwrite<float[]>(
      count * static_cast<std::size_t>(loader_.image_size()));
  pending->broken.resize(count);
  planned_ += count;
  pending_.push_back(std::move(pending));
}

void Prefetcher::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto open = [&] {
      return std::find_if(pending_.begin(), pending_.end(),
                          [](const auto& p) { return p->taken < p->images.size(); });
    };
    work_left_.wait(lock, [&] { return stopping_ || open() != pending_.end(); });
    if (stopping_) return;
    const std::shared_ptr<Pending> mine = *open();
    const std::size_t i = mine->taken++;
    lock.unlock();
    std::optional<std::string> broken;
    std::exception_ptr failure;
    try {
      loader_.fill(mine->images[i], augmentation_,
                   mine->pixels.get() + i * static_cast<std::size_t>(loader_.image_size()));
    } catch (const FileError& error) {
      broken = error.what();
    } catch (const FormatError& error) {
      broken = error.what();
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    mine->broken[i] = std::move(broken);
    if (failure) mine->failure = failure;
    if (++mine->done == mine->images.size()) batch_done_.notify_one();
  }
}

LoadedBatch Prefetcher::next() {
  std::shared_ptr<Pending> made;
  {
    std::unique_lock lock(mutex_);
    made = pending_.front();
    batch_done_.wait(lock, [&] { return made->done == made->images.size(); });
    pending_.pop_front();
    if (planned_ < order_.size()) add_pending();
  }
  work_left_.notify_all();
  if (made->failure) std::rethrow_exception(made->failure);
  LoadedBatch batch{.pixels = std::move(made->pixels)};
  const std::int64_t size = loader_.image_size();
  float* kept = batch.pixels.get();
  for (std::size_t i = 0; i < made->images.size(); ++i) {
    const std::int64_t index = made->images[i];
    if (made->broken[i]) {
      batch.broken.push_back({.index = index, .why = *made->broken[i]});
      continue;
    }
    const float* from = batch.pixels.get() + static_cast<std::int64_t>(i) * size;
    if (from != kept) std::copy(from, from + size, kept);
    kept += size;
    batch.labels.push_back(loader_.images().labels[static_cast<std::size_t>(index)]);
  }
  return batch;
}

}  // namespace octconv::train
