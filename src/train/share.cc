// SPDX-License-Identifier: Apache-2.0
#include "train/share.h"

namespace octconv::train {

std::vector<std::int64_t> share_of(std::int64_t count, std::int64_t rank, std::int64_t size,
                                   bool mirrored) {
  // A unit is a position, or a position and its mirror image, or the one in the middle.
  const std::int64_t units = mirrored ? (count + 1) / 2 : count;
  const std::int64_t begin = units * rank / size;
  const std::int64_t end = units * (rank + 1) / size;
  std::vector<std::int64_t> share;
  for (std::int64_t unit = begin; unit < end; ++unit) share.push_back(unit);
  if (!mirrored) return share;
  for (std::int64_t unit = end; unit-- > begin;) {
    if (count - 1 - unit != unit) share.push_back(count - 1 - unit);
  }
  return share;
}

std::vector<std::int64_t> share_of_batches(const std::vector<std::int64_t>& order,
                                           std::int64_t batch,
                                           const std::vector<std::int64_t>& share) {
  std::vector<std::int64_t> images;
  const auto count = static_cast<std::int64_t>(order.size());
  for (std::int64_t first = 0; first < count; first += batch) {
    for (const std::int64_t i : share) images.push_back(order[static_cast<std::size_t>(first + i)]);
  }
  return images;
}

}  // namespace octconv::train
