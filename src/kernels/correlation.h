// SPDX-License-Identifier: Apache-2.0
// Correlation of two maps over pixels, channels last: the gradient of a convolution's weights.
#pragma once

#include <cstdint>

namespace octconv::kernels {

/// sums[block][input][o] += sum over pixels p: rows[tap][p][c] * diff[block][p][o]
///
/// An input is a tap and a channel, tap by tap. A block is some of the outputs.
struct Correlation {
  const float* const* rows = nullptr;  ///< [tap][pitch], as for the convolution
  std::int64_t pitch = 0;
  std::int64_t taps = 0;
  std::int64_t first_channel = 0;  ///< of those read at each row
  std::int64_t channels = 0;
  const float* diff = nullptr;  ///< made by `pack`
  std::int64_t outputs = 0;
  std::int64_t pixels = 0;  ///< at most kCorrelationPixels
  float* sums = nullptr;    ///< `sums(taps * channels, outputs)` of them
};

inline constexpr std::int64_t kCorrelationPixels = 256;

/// The correlation for one instruction set. Adds pixel by pixel: a sum does not depend on how
/// blocks are divided between calls.
struct CorrelationKernel {
  std::int64_t lanes = 0;          ///< floats in a vector
  std::int64_t block_vectors = 0;  ///< of a block but perhaps the last
  std::int64_t tile_inputs = 0;    ///< inputs that are computed at once

  /// Brings rows of outputs, `stride` floats apart, into the order of blocks: `panels(...)` floats.
  void (*pack)(const float* diff, std::int64_t stride, std::int64_t pixels, std::int64_t outputs,
               float* to) = nullptr;
  /// Outputs of blocks [block_begin, block_end).
  void (*run)(const Correlation& all, std::int64_t block_begin, std::int64_t block_end) = nullptr;

  [[nodiscard]] std::int64_t blocks(std::int64_t outputs) const noexcept {
    const std::int64_t width = lanes * block_vectors;
    return (outputs + width - 1) / width;
  }
  /// Outputs of one pixel, filled up to whole vectors.
  [[nodiscard]] std::int64_t padded(std::int64_t outputs) const noexcept {
    return (outputs + lanes - 1) / lanes * lanes;
  }
  /// Inputs, filled up to whole tiles.
  [[nodiscard]] std::int64_t padded_inputs(std::int64_t inputs) const noexcept {
    return (inputs + tile_inputs - 1) / tile_inputs * tile_inputs;
  }
  [[nodiscard]] std::int64_t panels(std::int64_t pixels, std::int64_t outputs) const noexcept {
    return pixels * padded(outputs);
  }
  [[nodiscard]] std::int64_t sums(std::int64_t inputs, std::int64_t outputs) const noexcept {
    return padded_inputs(inputs) * padded(outputs);
  }
  /// Where the sum of an input and an output is.
  [[nodiscard]] std::int64_t place(std::int64_t inputs, std::int64_t outputs, std::int64_t input,
                                   std::int64_t output) const noexcept {
    const std::int64_t width = lanes * block_vectors;
    const std::int64_t first = output / width * width;
    const std::int64_t own = padded(outputs) - first < width ? padded(outputs) - first : width;
    return padded_inputs(inputs) * first + input * own + output - first;
  }
};

/// The one for this processor's best instruction set.
[[nodiscard]] const CorrelationKernel& correlation_kernel() noexcept;

}  // namespace octconv::kernels
