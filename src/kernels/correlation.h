// SPDX-License-Identifier: Apache-2.0
// Correlation of two maps over pixels, channels last: the gradient of a convolution's weights.
#pragma once

#include <cstdint>

#include "octconv/kernels/prologue.h"

namespace octconv::kernels {

/// sums[o][tap * step + c] = (sums[o][tap * step + c] +) sum over pixels p of
///                           src[offsets[tap][p] + c] * diff[p][o]
/// where step is `CorrelationKernel::step(channels)`.
struct Correlation {
  const float* src = nullptr;
  Prologue prologue;                      ///< of `src`
  const float* zeros = nullptr;           ///< `channels` of them: what lies at kOutside
  const std::int64_t* offsets = nullptr;  ///< [tap][pitch], in floats
  std::int64_t pitch = 0;
  std::int64_t taps = 0;
  /// So many taps after one another read pixels side by side, all channels of each: where all are
  /// on the map, one run of floats. Otherwise 1; requires `step` of the channels to be their
  /// number, and no prologue.
  std::int64_t run = 1;
  std::int64_t channels = 0;
  const float* diff = nullptr;  ///< of the first pixel and output
  std::int64_t stride = 0;      ///< floats from one of its pixels to the next
  std::int64_t pixels = 0;
  float* sums = nullptr;        ///< [output][`CorrelationKernel::row(taps, channels)`]
  std::int64_t sums_pitch = 0;  ///< floats from one output's to the next's
  bool adds = false;            ///< to the sums that are there
};

/// Which of the sums are computed.
struct CorrelationBlock {
  std::int64_t first_output = 0;
  std::int64_t end_output = 0;
  /// Of the rows of sums, in whole vectors. What is read for them is packed once for all outputs.
  /// @{
  std::int64_t first_column = 0;
  std::int64_t end_column = 0;
  /// @}
};

/// sums[o][c] = (sums[o][c] +) sum over pixels p of src[p][c] * diff[p][o]
struct DenseCorrelation {
  const float* src = nullptr;
  std::int64_t pitch = 0;    ///< floats from one of its pixels to the next
  std::int64_t columns = 0;  ///< whole vectors; floats from one row of sums to the next
  const float* diff = nullptr;
  std::int64_t stride = 0;  ///< floats from one of its pixels to the next
  std::int64_t outputs = 0;
  std::int64_t pixels = 0;
  float* sums = nullptr;
  bool adds = false;  ///< to the sums that are there
};

/// In place of the offset of a pixel that is not on the map.
inline constexpr std::int64_t kOutside = -1;

/// Pixels of one call whose values, of the channels that are read at once, stay in a first-level
/// cache.
inline constexpr std::int64_t kCorrelationPixels = 128;

/// The correlation for one instruction set. Adds pixel by pixel: a sum does not depend on how
/// they are divided between calls.
struct CorrelationKernel {
  std::int64_t lanes = 0;    ///< floats in a vector
  std::int64_t outputs = 0;  ///< that are computed at once
  std::int64_t columns = 0;  ///< for which what is read is packed at once

  void (*run)(const Correlation& all, const CorrelationBlock& block) = nullptr;
  void (*run_dense)(const DenseCorrelation& all) = nullptr;

  /// Floats from the sums of one tap to those of the next: whole vectors of channels, or, where
  /// much of these would be empty, channels without anything between.
  [[nodiscard]] std::int64_t step(std::int64_t channels) const noexcept {
    return channels < 4 * lanes ? channels : whole(channels);
  }
  /// Floats of the sums of an output, in whole vectors.
  [[nodiscard]] std::int64_t row(std::int64_t taps, std::int64_t channels) const noexcept {
    return whole(taps * step(channels));
  }
  /// So many floats, and as many more as make whole vectors.
  [[nodiscard]] std::int64_t whole(std::int64_t count) const noexcept {
    return (count + lanes - 1) / lanes * lanes;
  }
};

/// The one for this processor's best instruction set.
[[nodiscard]] const CorrelationKernel& correlation_kernel() noexcept;

}  // namespace octconv::kernels
