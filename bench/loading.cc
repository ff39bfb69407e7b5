// SPDX-License-Identifier: Apache-2.0
// How fast training gets its images from files, beside decoding the same files and nothing else.
//
// usage: octconv_loading_bench FOLDER [WORKERS [SIZE [ROUNDS]]]
//   FOLDER  pictures or videos by class, as `octconv train --data` takes them; its training files
//           are read
//
// In turns: every file is decoded in full by so many threads (of a video every frame, of which
// every eighth becomes pixels); and all are made into batches of 64, of videos 8, as training wants
// them (a random part of each, of a video in a random clip of 8 frames, resized, mirrored,
// normalised), without and with varied colours. Prints medians, and the throughput as a
// share of bare decoding.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "image/video.h"
#include "median.h"
#include "octconv/base/file.h"
#include "octconv/image/dataset.h"
#include "octconv/image/image.h"
#include "train/loader.h"
#include "train/prefetch.h"

namespace {

constexpr std::int64_t kBatch = 64;
constexpr std::int64_t kClips = 8;          // of a batch of those
constexpr std::int64_t kClasses = 1 << 20;  // more than there are

double seconds_of(const std::function<void()>& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void decode_video(const std::string& path, std::int64_t stride) {
  octconv::image::Video video(path);
  while (video.next()) {
    if ((video.passed() - 1) % stride == 0) static_cast<void>(video.frame());
  }
}

void decode_all(const octconv::LabelledImages& images, std::int64_t workers) {
  std::atomic<std::int64_t> next{0};
  std::vector<std::jthread> threads;
  for (std::int64_t i = 0; i < workers; ++i) {
    threads.emplace_back([&] {
      for (std::int64_t at = next++; at < images.count(); at = next++) {
        const std::string path = images.path(at).string();
        if (images.are_clips()) {
          decode_video(path, images.frame_stride);
        } else {
          static_cast<void>(octconv::decode_image(octconv::read_file(path), path, images.channels));
        }
      }
    });
  }
}

void load_all(const octconv::train::Loader& loader, const octconv::train::Augmentation& how,
              std::int64_t workers) {
  const std::int64_t count = loader.images().count();
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  const std::int64_t batch = loader.images().are_clips() ? kClips : kBatch;
  octconv::train::Prefetcher batches(loader, std::move(order), batch, how, workers);
  for (std::int64_t first = 0; first < count; first += batch) static_cast<void>(batches.next());
}

void run(const std::string& folder, std::int64_t workers, std::int64_t size, int rounds) {
  const octconv::Dataset data = octconv::open_dataset(folder, {.size = size});
  const octconv::train::Loader loader(data.train, data.mean, data.deviation, kClasses, "training");
  const octconv::train::Augmentation plain{
      .random_start = data.train.are_clips(), .random_crop = true, .flip = true, .seed = 1};
  octconv::train::Augmentation coloured = plain;
  coloured.colour_jitter = 0.4;
  coloured.colour_noise = 0.1;
  std::vector<double> bare;
  std::vector<double> cut;
  std::vector<double> varied;
  for (int round = 0; round <= rounds; ++round) {
    const double a = seconds_of([&] { decode_all(data.train, workers); });
    const double b = seconds_of([&] { load_all(loader, plain, workers); });
    const double c = seconds_of([&] { load_all(loader, coloured, workers); });
    if (round == 0) continue;  // files come into the system's memory
    bare.push_back(a);
    cut.push_back(b);
    varied.push_back(c);
  }
  const auto count = static_cast<double>(data.train.count());
  std::printf("%lld files, %lld workers, %lld x %lld\n", static_cast<long long>(data.train.count()),
              static_cast<long long>(workers), static_cast<long long>(size),
              static_cast<long long>(size));
  const double decoding = count / median(bare);
  std::printf("%-46s %8.0f files/s\n", "decoded in full, nothing else", decoding);
  for (const auto& [name, times] : {std::pair("batches: cut, resized, mirrored, normalised", &cut),
                                    std::pair("batches, colours varied too", &varied)}) {
    const double throughput = count / median(*times);
    std::printf("%-46s %8.0f files/s  %.2f\n", name, throughput, throughput / decoding);
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc < 2) {
      std::fprintf(stderr, "usage: octconv_loading_bench FOLDER [WORKERS [SIZE [ROUNDS]]]\n");
      return 2;
    }
    run(argv[1], argc > 2 ? std::stoll(argv[2]) : 1, argc > 3 ? std::stoll(argv[3]) : 224,
        argc > 4 ? std::stoi(argv[4]) : 5);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
