// SPDX-License-Identifier: Apache-2.0
#include "octave/winograd_weights.h"

#include <algorithm>
#include <array>

#include "kernels/winograd.h"
#include "octave/winograd_pass.h"
#include "octconv/base/parallel.h"

namespace octconv::octave {
namespace {

using kernels::WinogradTile;

using Axis = std::array<std::array<double, 3>, 6>;

// Output channels that are transformed side by side.
constexpr std::int64_t kSide = 16;
using Side = std::array<double, kSide>;

// Kernels' points: [y][x] of them, a stride apart.
class Transform {
 public:
  explicit Transform(const WinogradTile& tile)
      : two_axes_(tile.y > 1),
        points_y_(WinogradTile::points(tile.y)),
        points_x_(WinogradTile::points(tile.x)),
        matrix_(kernels::winograd_weights(tile.x)) {}

  // Of 3 x 3 weights, or of 3: those of `count` output channels.
  void operator()(const std::array<Side, 9>& weights, std::int64_t count, std::int64_t stride,
                  float* to) const {
    for (std::int64_t y = 0; y < points_y_; ++y) {
      std::array<Side, 3> line;
      for (std::size_t x = 0; x < 3; ++x) {
        line[x] = two_axes_ ? along(y, weights[x], weights[3 + x], weights[6 + x]) : weights[x];
      }
      for (std::int64_t x = 0; x < points_x_; ++x, to += stride) {
        const Side point = along(x, line[0], line[1], line[2]);
        std::transform(point.begin(), point.begin() + count, to,
                       [](double value) { return static_cast<float>(value); });
      }
    }
  }

 private:
  [[nodiscard]] Side along(std::int64_t point, const Side& a, const Side& b, const Side& c) const {
    const std::array<double, 3>& row = matrix_[static_cast<std::size_t>(point)];
    Side result;
    for (std::size_t i = 0; i < result.size(); ++i)
      result[i] = row[0] * a[i] + row[1] * b[i] + row[2] * c[i];
    return result;
  }

  bool two_axes_;
  std::int64_t points_y_;
  std::int64_t points_x_;
  const Axis& matrix_;
};

}  // namespace

void pack_winograd(const ConvOptions& options, const WeightView& weight,
                   const kernels::ConvKernel& kernel, TensorPool* pool, ConvPass& pass) {
  const WinogradTile tile = winograd_tile(pass.method, options.rank());
  const Transform transform(tile);
  const std::int64_t taps = tile.y == 1 ? 3 : 9;  // that are transformed together
  const std::int64_t depth_taps = options.kernel.elements() / taps;
  std::int64_t columns = 0;
  for (const PassInput& input : pass.inputs) columns += depth_taps * input.path.columns;
  pass.point_stride = kernel.vectors(pass.outputs) * kernel.lanes * columns;
  pass.transformed = Tensor(Shape{tile.points() * pass.point_stride}, pool, Contents::kUnwritten);
  // All blocks but the last are of one width.
  const std::int64_t full = kernel.block_vectors(pass.outputs, 0) * kernel.lanes;
  parallel_for(kernel.blocks(pass.outputs), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block) {
      const std::int64_t first = block * full;  // output
      const std::int64_t width = kernel.block_vectors(pass.outputs, block) * kernel.lanes;
      const std::int64_t last = std::min(first + width, pass.outputs);
      float* to = pass.transformed.data() + first * columns;
      for (std::int64_t point = 0; last - first < width && point < tile.points(); ++point) {
        std::fill_n(to + point * pass.point_stride, width * columns, 0.0F);
      }
      for (std::int64_t tap = 0; tap < depth_taps; ++tap) {
        for (const PassInput& input : pass.inputs) {
          const WeightView::Element corner = weight.element(input.path, first, 0);
          for (std::int64_t column = 0; column < input.path.columns; ++column, to += width) {
            const float* from =
                corner.first + column * weight.column_step() + tap * taps * corner.tap_step;
            for (std::int64_t o = first; o < last; o += kSide) {
              const std::int64_t count = std::min(kSide, last - o);
              std::array<Side, 9> weights{};
              for (std::int64_t side = 0; side < count; ++side, from += weight.row_step()) {
                for (std::int64_t i = 0; i < taps; ++i) {
                  weights[static_cast<std::size_t>(i)][static_cast<std::size_t>(side)] =
                      static_cast<double>(from[i * corner.tap_step] * corner.factor);
                }
              }
              transform(weights, count, pass.point_stride, to + (o - first));
            }
          }
        }
      }
    }
  });
}

}  // namespace octconv::octave
