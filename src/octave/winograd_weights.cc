// SPDX-License-Identifier: Apache-2.0
#include "octave/winograd_weights.h"

#include <algorithm>

#include "kernels/weights.h"
#include "octave/winograd_pass.h"
#include "octconv/base/parallel.h"

namespace octconv::octave {

void pack_winograd(const ConvOptions& options, const WeightView& weight,
                   const kernels::ConvKernel& kernel, TensorPool* pool, ConvPass& pass) {
  const kernels::WinogradTile tile = winograd_tile(pass.method, options.rank());
  const std::int64_t taps = tile.y == 1 ? 3 : 9;  // that are transformed together
  const std::int64_t depth_taps = options.kernel.elements() / taps;
  std::int64_t depth = 0;
  for (const PassInput& input : pass.inputs) depth += depth_taps * input.path.columns;
  const std::int64_t elements = kernel.vectors(pass.outputs) * kernel.lanes * depth;
  pass.point_stride = kernels::winograd_plane(elements);
  pass.transformed = Tensor(Shape{tile.points() * pass.point_stride}, pool, Contents::kUnwritten);
  // Nothing reads what lies between the planes, but it must not be left to what the memory held.
  for (std::int64_t point = 0; point < tile.points(); ++point) {
    float* const plane = pass.transformed.data() + point * pass.point_stride;
    std::fill(plane + elements, plane + pass.point_stride, 0.0F);
  }
  const std::int64_t full = 2 * kernel.lanes;  // outputs of a block but the last
  parallel_for(kernel.blocks(pass.outputs), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block) {
      const std::int64_t first = block * full;  // output
      const std::int64_t width = kernel.block_vectors(pass.outputs, block) * kernel.lanes;
      float* to = pass.transformed.data() + first * depth;
      for (const PassInput& input : pass.inputs) {
        for (std::int64_t tap = 0; tap < depth_taps; ++tap) {
          for (std::int64_t column = 0; column < input.path.columns; column += kColumnsAtOnce) {
            kernels::Weights some =
                weight.some(input.path, first, std::min(width, pass.outputs - first), column,
                            std::min(kColumnsAtOnce, input.path.columns - column));
            some.first += tap * taps * some.tap_step;
            some.taps = taps;
            kernels::transform_weights(tile, some,
                                       {.out = to, .width = width, .plane = pass.point_stride});
            to += some.columns * width;
          }
        }
      }
    }
  });
}

}  // namespace octconv::octave
