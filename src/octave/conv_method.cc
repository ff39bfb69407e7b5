// SPDX-License-Identifier: Apache-2.0
#include "octconv/octave/conv_method.h"

#include <algorithm>
#include <cstdint>

#include "kernels/extents3.h"
#include "kernels/winograd.h"
#include "octave/winograd_pass.h"

namespace octconv {

using kernels::Extents3;
using kernels::to_three;

bool has_winograd(const ConvOptions& options, const ConvPath& path) {
  const Extents3 kernel = to_three(options.kernel, 1);
  const Extents3 dilation = to_three(options.dilation, 1);
  const Extents3 stride = to_three(path.stride, 1);
  const bool x = kernel[2] == 3 && dilation[2] == 1;
  const bool y = options.rank() == 1 || (kernel[1] == 3 && dilation[1] == 1);
  return x && y && kernel[0] <= octave::kMostPlanes && stride == Extents3{1, 1, 1} &&
         path.groups == 1;
}

namespace {

// Costs in the time of one multiply-add of a vector; measured on a core with AVX-512 (Zen 5), where
// they give the times of ResNet-50's layers within a fifth.
struct Costs {
  double input;   // of transforming a vector of channels of one tile
  double output;  // of transforming it back
};
constexpr Costs kTwo{.input = 100, .output = 80};
constexpr Costs kFour{.input = 250, .output = 250};
constexpr double kWeight = 0.6;  // of bringing one weight near

std::int64_t divide_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

// Rows that the products' tiles compute for so many: the last tile may be a third or two thirds of
// one.
std::int64_t computed_rows(std::int64_t rows) {
  return divide_up(rows, kernels::kTilePixels / 3) * (kernels::kTilePixels / 3);
}

// How often a batch brings its weights near: once for an image, but for small ones once for as many
// as `together`, of which an image has `each`.
double reads(std::int64_t batch, std::int64_t each, std::int64_t together) {
  const auto images = static_cast<double>(batch) * static_cast<double>(std::min(each, together));
  return std::max(1.0, images / static_cast<double>(together));
}

// What one sum costs.
double cost_of(ConvMethod method, const ConvOptions& options, const Extents3& extents,
               std::int64_t batch, std::int64_t columns, std::int64_t rows) {
  constexpr std::int64_t kPixels = 1024;  // of a task
  constexpr std::int64_t kTiles = 64;     // of a group

  const std::int64_t lanes = kernels::conv_kernel().lanes;
  const std::int64_t taps = options.kernel.elements();
  const auto vectors = static_cast<double>(divide_up(rows, lanes));
  const auto depth = static_cast<double>(columns);
  if (method == ConvMethod::kDirect) {
    const std::int64_t pixels = kernels::product(extents);
    return static_cast<double>(taps) * depth *
           (static_cast<double>(computed_rows(batch * pixels)) * vectors +
            reads(batch, pixels, kPixels) * kWeight * static_cast<double>(rows));
  }
  const kernels::WinogradTile tile = octave::winograd_tile(method, options.rank());
  const std::int64_t depth_taps = taps / (tile.y == 1 ? 3 : 9);
  const std::int64_t tiles =
      extents[0] * divide_up(extents[1], tile.y) * divide_up(extents[2], tile.x);
  const Costs& costs = method == ConvMethod::kWinograd2 ? kTwo : kFour;
  // Along one axis a tile has as many points as along each of two.
  const double share =
      tile.y == 1 ? 1 / static_cast<double>(kernels::WinogradTile::points(tile.x)) : 1;
  const double products = static_cast<double>(tile.points()) * depth *
                          static_cast<double>(depth_taps) *
                          (static_cast<double>(computed_rows(batch * tiles)) * vectors +
                           reads(batch, tiles, kTiles) * kWeight * static_cast<double>(rows));
  const auto inputs = static_cast<double>(divide_up(columns, lanes) * depth_taps);
  return products + static_cast<double>(batch * tiles) * share *
                        (costs.input * inputs + costs.output * vectors);
}

// The sum that a path is part of.
ConvMethod ConvMethods::*sum_of(const ConvPath& path) {
  if (path.dst == Frequency::kLow) return &ConvMethods::low;
  return path.upsampled() && !path.upsample_first ? &ConvMethods::low_to_high : &ConvMethods::high;
}

}  // namespace

bool can_use_winograd(const ConvOptions& options, ConvMethod ConvMethods::*sum) {
  bool any = false;
  for (const ConvPath& path : conv_paths(options)) {
    if (sum_of(path) != sum) continue;
    if (!has_winograd(options, path)) return false;
    any = true;
  }
  return any;
}

ConvMethods choose_methods(const ConvOptions& options, const Shape& extents, std::int64_t batch) {
  ConvMethods methods;
  for (ConvMethod ConvMethods::*sum :
       {&ConvMethods::high, &ConvMethods::low_to_high, &ConvMethods::low}) {
    if (!can_use_winograd(options, sum)) continue;
    Extents3 grid{};
    std::int64_t columns = 0;
    std::int64_t rows = 0;
    for (const ConvPath& path : conv_paths(options)) {
      if (sum_of(path) != sum) continue;
      grid = to_three(path_extents(options, path, extents), 1);
      columns += path.columns;
      rows = path.rows;
    }
    double least = cost_of(ConvMethod::kDirect, options, grid, batch, columns, rows);
    for (const ConvMethod method : {ConvMethod::kWinograd2, ConvMethod::kWinograd4}) {
      const double cost = cost_of(method, options, grid, batch, columns, rows);
      if (cost >= least) continue;
      least = cost;
      methods.*sum = method;
    }
  }
  return methods;
}

std::string_view to_string(ConvMethod method) noexcept {
  switch (method) {
    case ConvMethod::kDirect:
      return "direct";
    case ConvMethod::kWinograd2:
      return "winograd2";
    case ConvMethod::kWinograd4:
      return "winograd4";
  }
  return "?";
}

}  // namespace octconv
