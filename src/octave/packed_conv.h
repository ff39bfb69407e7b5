// SPDX-License-Identifier: Apache-2.0
// What an octave convolution consists of at run time, as far as it does not depend on the input's
// extents.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/conv_tile.h"
#include "kernels/weights.h"
#include "octconv/octave/conv.h"
#include "octconv/octave/conv_method.h"
#include "octconv/octave/conv_plan.h"
#include "octconv/tensor/tensor.h"

namespace octconv {
namespace octave {

/// Row pointers that one task keeps on its stack; bounds the taps of a slice.
inline constexpr std::int64_t kRowPointers = 2048;

/// A map that convolutions read: an input, or what is made of another map.
struct ConvMap {
  enum class Kind {
    kInput,
    kPooled,    ///< averages of windows; in an adjoint, sums
    kEnlarged,  ///< nearest
    kPadded,    ///< with zeros beside its rows, so that the pixels of a kernel's row are one run
  };
  Kind kind = Kind::kInput;
  std::size_t from = 0;  ///< index of the map that it is made of
  Shape window;          ///< of the pool, and its stride; or the factors
  std::int64_t channels = 0;
};

/// One path within a pass.
struct PassInput {
  ConvPath path;
  std::size_t map = 0;
  /// Taps along the last axis that are read as if they were channels: a kernel's row of a padded
  /// map with few channels. Otherwise 1.
  std::int64_t row_taps = 1;

  /// Channels that are read at one tap, within each group.
  [[nodiscard]] std::int64_t columns() const noexcept { return path.columns * row_taps; }
};

struct Range {
  std::int64_t begin = 0;
  std::int64_t end = 0;

  [[nodiscard]] std::int64_t size() const noexcept { return end - begin; }
};

/// What is accumulated at once: all of a short sum. The weights of a block of a longer one would
/// not stay in a second-level cache beside those of the next block.
struct Slice {
  std::array<Range, 2> taps;      ///< of each input
  std::array<Range, 2> columns;   ///< of each input: channels within a group
  Tensor weights;                 ///< [group] times what the kernel wants
  std::int64_t group_stride = 0;  ///< floats of one group's weights

  /// Products in one of its sums.
  [[nodiscard]] std::int64_t depth() const noexcept {
    return taps[0].size() * columns[0].size() + taps[1].size() * columns[1].size();
  }
};

/// Paths that are accumulated into the same registers: all those into one frequency whose
/// convolutions have its grid, or the one that is to be upsampled.
struct ConvPass {
  Frequency dst = Frequency::kHigh;
  std::vector<PassInput> inputs;  ///< 0 to 2, with the same groups
  std::int64_t groups = 1;
  std::int64_t outputs = 0;  ///< channels of one group
  bool depthwise = false;
  bool upsampled = false;       ///< result goes to the scratch, for the pass after this one
  bool adds_upsampled = false;  ///< the pass before this one made an addend
  ConvMethod method = ConvMethod::kDirect;
  std::vector<Slice> slices;      ///< of the direct method: at least one
  Tensor transformed;             ///< of Winograd's: [point] times what the kernel wants
  std::int64_t point_stride = 0;  ///< floats of one point's weights
  Tensor bias;                    ///< [group][outputs, padded to whole vectors]
  std::int64_t bias_stride = 0;   ///< floats of one group's bias

  /// The weights that are read first.
  [[nodiscard]] const float* first() const noexcept {
    return method == ConvMethod::kDirect ? slices.front().weights.data() : transformed.data();
  }
};

/// Columns of some rows that are packed before those of the next rows: what lies between them in
/// memory is read while it is near.
inline constexpr std::int64_t kColumnsAtOnce = 32;

/// A weight [out, columns, taps] as its paths read it.
struct WeightView {
  const float* data = nullptr;
  std::int64_t columns = 0;
  std::int64_t taps = 0;
  /// Of the convolution whose adjoint is packed; null: the weight is the packed one's own.
  const ConvOptions* adjoint_of = nullptr;

  /// Rows and columns of a path from some on, all taps. Requires indices within the path's block.
  [[nodiscard]] kernels::Weights some(const ConvPath& path, std::int64_t row, std::int64_t rows,
                                      std::int64_t column,
                                      std::int64_t some_columns) const noexcept;
};

}  // namespace octave

struct OctConvWeights::Packed {
  /// The weights that a run reads first.
  [[nodiscard]] const float* first() const noexcept {
    return passes.empty() ? nullptr : passes.front().first();
  }

  ConvOptions options;
  bool adjoint = false;  ///< pools sum, and what is enlarged is shared out among real pixels
  const kernels::ConvKernel* kernel = nullptr;
  std::vector<octave::ConvMap>
      maps;                  ///< [0] the high input, [1] the low input, then pooled ones in order
  std::size_t averages = 0;  ///< which map is those of the high input's cells; 0: none
  std::vector<octave::ConvPass> passes;
  Tensor zeros;  ///< stands for pixels outside of the image, and for an absent bias
};

namespace octave {

/// @param pool  holds what is packed; null: memory of its own
/// @throws as OctConvWeights
[[nodiscard]] OctConvWeights::Packed pack_conv(const ConvOptions& options,
                                               std::span<const float> weight,
                                               std::span<const float> bias,
                                               const ConvMethods& methods, TensorPool* pool);

/// The convolution that takes the gradient of the output to that of the input.
/// @throws as `OctConvWeights::adjoint`
[[nodiscard]] OctConvWeights::Packed pack_adjoint(const ConvOptions& options,
                                                  std::span<const float> weight,
                                                  const ConvMethods& methods, TensorPool* pool);

}  // namespace octave
}  // namespace octconv
