// SPDX-License-Identifier: Apache-2.0
// The indirect convolution: tiles of pixels times blocks of output channels, channels last.
#pragma once

#include <array>
#include <cstdint>

#include "octconv/kernels/activation.h"

namespace octconv::kernels {

/// Pixels of a tile in pointer tables. A block of few channels takes all of them at once, a wider
/// block half or a third of them, so that the accumulators always fill the registers.
inline constexpr std::int64_t kTilePixels = 12;

/// Floats of a map that do not stay in a second-level cache until they are read or written again.
inline constexpr std::int64_t kFarFloats = 256 * 1024;

/// One input of the accumulation.
struct ConvSource {
  /// [tile][tap][kTilePixels]: the input pixel's first channel; a row of zeros outside of the
  /// image. Pixels that fill up the last tile must point somewhere readable.
  const float* const* rows = nullptr;
  std::int64_t taps = 0;
  std::int64_t first_channel = 0;  ///< of those read at each row
  std::int64_t channels = 0;
};

/// A second result, for pre-activation networks, which read a sum and its batch norm:
/// out[p][o] = activation(first[p][o] * scale[o] + shift[o])
struct SecondResult {
  const float* scale = nullptr;  ///< of all channels of a row
  const float* shift = nullptr;
  float* out = nullptr;  ///< rows as those of the first; null: there is no second
  Activation activation{ActivationKind::kNone};
};

/// out[p][o] = activation( bias[o] + sum of the sources: sum over tap, c: rows[p][tap][c] *
/// w[tap][c][o]
///                         + addend[p][o] + residual[p][o] )
///
/// Adds in this order, starting from the bias: a result does not depend on how pixels and blocks
/// are divided between calls.
struct ConvTiles {
  std::array<ConvSource, 2> sources;  ///< the second may have no taps
  /// [block][source][tap][channel][output of the block], padded with zeros to whole vectors.
  const float* weights = nullptr;
  const float* next = nullptr;  ///< weights that are wanted after the last block's; may be null
  const float* bias = nullptr;  ///< padded to whole vectors
  std::int64_t pixels = 0;
  /// Row pointers of one tap: `pixels` filled up to whole tiles with some that point to readable
  /// memory.
  std::int64_t pitch = 0;
  std::int64_t first_output =
      0;  ///< where the blocks' channels begin in a row of `out`, `residual`, `addend`
  std::int64_t outputs = 0;              ///< output channels of all blocks
  const float* const* addend = nullptr;  ///< a row of output channels per pixel; may be null
  const float* residual = nullptr;  ///< rows as those of `out`, may be `out` itself; may be null
  float* out = nullptr;
  std::int64_t stride = 0;  ///< from one pixel of `out` and `residual` to the next
  Activation activation{ActivationKind::kNone};
  SecondResult second;
  bool far = false;  ///< whether `out` does not stay in a second-level cache
};

/// The convolution for one instruction set.
struct ConvKernel {
  std::int64_t lanes = 0;  ///< floats in a vector
  /// Computes the output channels of blocks [block_begin, block_end) for all pixels.
  void (*run)(const ConvTiles& tiles, std::int64_t block_begin, std::int64_t block_end) = nullptr;

  /// Blocks are two vectors wide; the last takes the odd one too.
  [[nodiscard]] std::int64_t vectors(std::int64_t outputs) const noexcept {
    return (outputs + lanes - 1) / lanes;
  }
  [[nodiscard]] std::int64_t blocks(std::int64_t outputs) const noexcept {
    const std::int64_t all = vectors(outputs);
    return all < 2 ? all : all / 2;
  }
  [[nodiscard]] std::int64_t block_vectors(std::int64_t outputs,
                                           std::int64_t block) const noexcept {
    return block + 1 < blocks(outputs) ? 2 : vectors(outputs) - 2 * block;
  }
};

/// The one for this processor's best instruction set. Weights packed for it fit no other.
[[nodiscard]] const ConvKernel& conv_kernel() noexcept;

}  // namespace octconv::kernels
