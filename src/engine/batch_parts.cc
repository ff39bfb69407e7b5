// SPDX-License-Identifier: Apache-2.0
#include "engine/batch_parts.h"

namespace octconv::engine {
namespace {

// Floats of working memory that a last-level cache holds beside the weights. A batch whose values
// are larger is run in parts: what a layer has made would be far away when the next wants it.
constexpr std::int64_t kNearFloats = std::int64_t{7} << 20;

}  // namespace

BatchParts divide_batch(const Network::Program& program, std::int64_t batch,
                        const std::vector<Shape>& extents) {
  const auto make = [&](std::int64_t images) {
    return std::make_unique<const Execution>(program, images, extents);
  };
  // Kept values are those of the whole batch.
  if (batch < 2 || !program.keep.empty()) return {.batch = batch, .part = make(batch), .rest = {}};
  const std::int64_t one = std::max<std::int64_t>(1, make(1)->arena_elements());
  const std::int64_t most = std::clamp<std::int64_t>(kNearFloats / one, 1, batch);
  const std::int64_t parts = (batch + most - 1) / most;
  const std::int64_t images = (batch + parts - 1) / parts;
  BatchParts planned{.batch = batch, .part = make(images), .rest = {}};
  if (batch % images != 0) planned.rest = make(batch % images);
  return planned;
}

}  // namespace octconv::engine
