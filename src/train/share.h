// SPDX-License-Identifier: Apache-2.0
// What each of several processes takes of a batch.
#pragma once

#include <cstdint>
#include <vector>

namespace octconv::train {

/// Positions in [0, count) that are of rank `rank` of `size`, rising. Every position is of one
/// rank, and the shares differ by at most one; by at most two if `mirrored`.
///
/// @param mirrored  a share holds with every position i also count - 1 - i, so that reversing each
///                  share reverses the whole: mixup then pairs the images that it would pair in one
///                  process
[[nodiscard]] std::vector<std::int64_t> share_of(std::int64_t count, std::int64_t rank,
                                                 std::int64_t size, bool mirrored);

/// The images of a share of each batch, one batch after the other.
/// @param order  of whole batches
/// @param batch  images of each
[[nodiscard]] std::vector<std::int64_t> share_of_batches(const std::vector<std::int64_t>& order,
                                                         std::int64_t batch,
                                                         const std::vector<std::int64_t>& share);

}  // namespace octconv::train
