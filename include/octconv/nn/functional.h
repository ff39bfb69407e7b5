// SPDX-License-Identifier: Apache-2.0
// What a network needs around octave convolutions, on octave values.
#pragma once

#include <cstdint>
#include <vector>

#include "octconv/base/api.h"
#include "octconv/nn/oct_conv.h"
#include "octconv/nn/oct_tensor.h"

namespace octconv::nn {

/// `function` of each frequency that there is: any operation that looks at one pixel at a time.
template <class Function>
[[nodiscard]] OctTensor apply(const OctTensor& value, Function&& function) {
  return {value.high.defined() ? function(value.high) : at::Tensor(),
          value.low.defined() ? function(value.low) : at::Tensor(), value.extents};
}

/// LibTorch's function of that name, of each frequency.
/// @{
[[nodiscard]] OCTCONV_API OctTensor relu(const OctTensor& value);
[[nodiscard]] OCTCONV_API OctTensor relu6(const OctTensor& value);
[[nodiscard]] OCTCONV_API OctTensor leaky_relu(const OctTensor& value,
                                               double negative_slope = 0.01);
[[nodiscard]] OCTCONV_API OctTensor sigmoid(const OctTensor& value);
[[nodiscard]] OCTCONV_API OctTensor hardsigmoid(const OctTensor& value);
[[nodiscard]] OCTCONV_API OctTensor silu(const OctTensor& value);
[[nodiscard]] OCTCONV_API OctTensor hardswish(const OctTensor& value);
[[nodiscard]] OCTCONV_API OctTensor gelu(const OctTensor& value);
/// @}

/// Zeroes elements with probability `p` in training.
/// @throws c10::Error for p outside [0, 1]
[[nodiscard]] OCTCONV_API OctTensor dropout(const OctTensor& value, double p, bool training);

/// The values' low channels behind one another, and their high channels: the result's channels are
/// not in the order of an ordinary concatenation.
/// @throws InvalidArgument for an empty list or values of different grids
[[nodiscard]] OCTCONV_API OctTensor cat(const std::vector<OctTensor>& values);

/// Every channel times the gate's, [n, low + high], low channels first.
/// @throws InvalidArgument if the gate has another number of channels
[[nodiscard]] OCTCONV_API OctTensor scale(const OctTensor& value, const at::Tensor& gate);

/// Mean over all pixels of each channel: [n, low + high], low channels first.
[[nodiscard]] OCTCONV_API at::Tensor global_average(const OctTensor& value);

/// Attention between all positions (`octconv::Attention`), with gradients.
///
/// @param queries     [n, c, extents...]
/// @param keys        [n, c, others...]
/// @param attributes  [n, d, others...]
/// @returns [n, d, extents...]
/// @throws InvalidArgument for shapes that do not belong together
[[nodiscard]] OCTCONV_API at::Tensor attend(const at::Tensor& queries, const at::Tensor& keys,
                                            const at::Tensor& attributes, double factor);

/// Pools the full grid to `extents` pixels and the low grid to ceil(extents / octave), as torch's
/// adaptive pooling does.
/// @{
[[nodiscard]] OCTCONV_API OctTensor adaptive_average_pool(const OctTensor& value,
                                                          const Shape& extents,
                                                          const Shape& octave);
[[nodiscard]] OCTCONV_API OctTensor adaptive_max_pool(const OctTensor& value, const Shape& extents,
                                                      const Shape& octave);
/// @}

/// Both grids `factor` times as large along each axis. An odd full grid times an even factor leaves
/// the low one with a cell too many, which is cut off.
[[nodiscard]] OCTCONV_API OctTensor upsample(const OctTensor& value, const Shape& factor,
                                             const Shape& octave,
                                             Upsample how = Upsample::kNearest);

/// One tensor on the full grid, [n, low + high, extents...]: the low channels upsampled, first.
[[nodiscard]] OCTCONV_API at::Tensor merge(const OctTensor& value, const Shape& octave,
                                           Upsample how = Upsample::kNearest);

/// The reverse of `merge`: the first `channels.low` channels are brought to the low grid.
/// @throws InvalidArgument if the tensor has another number of channels; Unsupported for
///         Downsample::kStridedConv, which has weights
[[nodiscard]] OCTCONV_API OctTensor split(const at::Tensor& x, const ChannelSplit& channels,
                                          const Shape& octave,
                                          Downsample how = Downsample::kAverage);

}  // namespace octconv::nn
