// SPDX-License-Identifier: Apache-2.0
#include "octave/winograd_gradient.h"

#include <algorithm>
#include <bit>

#include "octave/winograd_pass.h"
#include "octconv/base/parallel.h"
#include "octconv/octave/conv_method.h"

namespace octconv::octave {
namespace {

using kernels::correlation_kernel;
using kernels::Extents3;
using kernels::product;
using kernels::to_three;
using kernels::WinogradTile;

// Tiles that are transformed before their products are added to the sums: more of them, and the
// sums are read and written less often.
constexpr std::int64_t kLeastTiles = 32;
constexpr std::int64_t kMostTiles = 128;

// Parts have at least so many tiles each; the memory of all is no more than so many floats.
constexpr std::int64_t kPartTiles = 128;
constexpr std::int64_t kMostParts = 16;
constexpr std::int64_t kPartsFloats = 2 * 1024 * 1024;

// Sums of a block of rows, which stay in a second-level cache.
constexpr std::int64_t kBlockFloats = 256 * 1024;

// What transforms cost, in products of a vector with a number: of a tile's vector of channels, and
// of a vector of the sums. Measured on a core with AVX-512 (Zen 4); most of it is moving memory.
constexpr double kTileCost = 540;
constexpr double kSumsCost = 700;

// What reads `window` at each tile.
TapGrid grid_over_tiles(const ConvOptions& options, const Extents3& window, const Shape& padding,
                        const WinogradTile& tile, const Shape& map, std::int64_t channels) {
  ConvOptions reads = options;
  reads.kernel = last_axes(window, options.rank());
  reads.padding_begin = padding;
  ConvPath path;
  path.stride = last_axes({1, tile.y, tile.x}, options.rank());
  return {reads, path, map, channels};
}

// Floats from one tile to the next: tiles that are far apart must not all want the same places of
// the first-level cache.
std::int64_t pitch_of(std::int64_t columns) {
  constexpr std::int64_t kFar = 128;
  return columns < kFar ? columns : kernels::winograd_plane(columns);
}

// What the products of a pair of sides cost for each tile: rows times columns.
double products_of(std::int64_t rows, std::int64_t columns) {
  return static_cast<double>(rows) * static_cast<double>(columns / correlation_kernel().lanes);
}

}  // namespace

std::int64_t even_parts(std::int64_t most) noexcept {
  return static_cast<std::int64_t>(
      std::bit_floor(static_cast<std::uint64_t>(std::max<std::int64_t>(most, 1))));
}

void add_parts(float* all, std::int64_t parts, std::int64_t each) {
  constexpr std::int64_t kGrain = 16 * 1024;
  parallel_for(each, kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t part = 1; part < parts; ++part) {
      const float* const from = all + part * each;
      for (std::int64_t i = begin; i < end; ++i) all[i] += from[i];
    }
  });
}

WinogradGradient::WinogradGradient(const ConvOptions& options, const ConvPath& path,
                                   std::int64_t batch, const Shape& map, const Shape& out,
                                   const float* src, const Prologue& prologue, const float* diff)
    : options_(options),
      path_(path),
      tile_(winograd_tile(ConvMethod::kWinograd4, options.rank())),
      tiles_(to_three(out, 1)),
      input_{.grid = grid_over_tiles(options,
                                     {to_three(options.kernel, 1)[0], WinogradTile::points(tile_.y),
                                      WinogradTile::points(tile_.x)},
                                     options.padding_begin, tile_, map, path.columns),
             .map = src,
             .prologue = prologue,
             .channels = path.columns,
             .taps = to_three(options.kernel, 1)[0],
             .values = tile_.points(),
             .columns = to_three(options.kernel, 1)[0] * whole_vectors(path.columns),
             .transform = kernels::winograd_gradient_kernel(tile_).input},
      diff_{.grid = grid_over_tiles(options, {1, tile_.y, tile_.x},
                                    Shape::filled(options.rank(), 0), tile_, out, path.rows),
            .map = diff,
            .prologue = {},
            .channels = path.rows,
            .taps = 1,
            .values = tile_.outputs(),
            .columns = whole_vectors(path.rows),
            .transform = kernels::winograd_gradient_kernel(tile_).diff},
      zeros_(static_cast<std::size_t>(std::max(path.columns, path.rows))) {
  input_.pitch = pitch_of(input_.columns);
  diff_.pitch = pitch_of(diff_.columns);
  tiles_[1] = (tiles_[1] + tile_.y - 1) / tile_.y;
  tiles_[2] = (tiles_[2] + tile_.x - 1) / tile_.x;
  all_tiles_ = batch * product(tiles_);
  turned_ = input_.taps == 1 && products_of(input_.channels, diff_.columns) <
                                    products_of(diff_.channels, input_.columns);
  // So that points and sums move about as much memory.
  const std::int64_t balanced =
      2 * input_.columns * diff_.columns / (input_.columns + diff_.columns);
  group_tiles_ = std::min(std::clamp(balanced, kLeastTiles, kMostTiles), all_tiles_);
  block_rows_ = rows().channels;
  if (has_parts()) {
    parts_ = even_parts(std::min(
        {all_tiles_ / kPartTiles, kMostParts, kPartsFloats / (sums() + group_elements())}));
  } else {
    const std::int64_t step = correlation_kernel().outputs;
    const std::int64_t most = kBlockFloats / points() / lanes().columns / step * step;
    block_rows_ = std::clamp(most, std::min(step, block_rows_), block_rows_);
  }
}

std::int64_t WinogradGradient::slots(std::int64_t tasks) const {
  return std::min<std::int64_t>(tasks, thread_count());
}

std::int64_t WinogradGradient::scratch_elements() const {
  return has_parts() ? parts_ * sums() + slots(parts_) * group_elements()
                     : group_elements() + slots(blocks()) * sums();
}

WinogradGradient::Sums WinogradGradient::sums_at(float* memory, Range rows) const {
  return {
      .at = memory, .plane = kernels::winograd_plane(rows.size() * lanes().columns), .rows = rows};
}

double WinogradGradient::cost() const {
  const auto width = static_cast<double>(correlation_kernel().lanes);
  const auto tiles = static_cast<double>(all_tiles_);
  const double products = products_of(rows().channels, lanes().columns);
  const double vectors = static_cast<double>(input_.columns + diff_.columns) / width;
  // Along one axis a tile has as many points as along each of two.
  const double share = tile_.y == 1 ? 1 / static_cast<double>(WinogradTile::points(tile_.x)) : 1;
  return tiles * (static_cast<double>(points()) * products + share * kTileCost * vectors) +
         share * kSumsCost * products;
}

// The points of some tiles of a group, whose first is tile `first`.
void WinogradGradient::transform(const Side& side, std::int64_t first, Range tiles,
                                 float* to) const {
  TileRows rows;  // left uninitialised on purpose
  for (std::int64_t tile = tiles.begin; tile < tiles.end; tile += kTilesAtOnce) {
    const std::int64_t count = std::min(kTilesAtOnce, tiles.end - tile);
    for (std::int64_t tap = 0; tap < side.taps; ++tap) {
      side.grid.fill_windows(side.map, zeros_.data(), tiles_, first + tile, first + tile + count,
                             {tap * side.values, (tap + 1) * side.values}, rows.data());
      side.transform({.rows = rows.data(),
                      .tiles = count,
                      .channels = side.channels,
                      .out = to + tile * side.pitch + tap * (side.columns / side.taps),
                      .columns = side.pitch,
                      .plane = plane(side),
                      .far = kernels::is_far(all_tiles_ * tile_.outputs(), side.channels),
                      .prologue = side.prologue,
                      .zeros = zeros_.data()});
    }
  }
}

// Those of both sides.
void WinogradGradient::transform(std::int64_t first, Range tiles, float* group) const {
  transform(input_, first, tiles, group);
  transform(diff_, first, tiles, group + diffs_offset());
}

// The products of a group of `count` tiles at some points.
void WinogradGradient::multiply(const float* group, std::int64_t count, bool adds, Range points,
                                const Sums& sums) const {
  const float* const inputs = group;
  const float* const diffs = group + diffs_offset();
  for (std::int64_t point = points.begin; point < points.end; ++point) {
    correlation_kernel().run_dense(
        {.src = (turned_ ? diffs : inputs) + point * plane(lanes()),
         .pitch = lanes().pitch,
         .columns = lanes().columns,
         .diff = (turned_ ? inputs : diffs) + point * plane(rows()) + sums.rows.begin,
         .stride = rows().pitch,
         .outputs = sums.rows.size(),
         .pixels = count,
         .sums = sums.at + point * sums.plane,
         .adds = adds});
  }
}

// The sums become the weight's gradient.
void WinogradGradient::finish(const Sums& sums, std::span<float> weight) const {
  kernels::winograd_gradient_kernel(tile_).taps(
      {.sums = sums.at, .plane = sums.plane, .columns = lanes().columns}, 0, sums.rows.size());
  const std::int64_t all_columns = options_.in.total();
  const std::int64_t all_taps = options_.kernel.elements();
  const std::int64_t taps = all_taps / input_.taps;  // of a plane
  const std::int64_t padded = input_.columns / input_.taps;
  const auto store = [&](std::int64_t output, std::int64_t column, const float* from,
                         std::int64_t tap_step) {
    float* to =
        weight.data() + ((path_.row + output) * all_columns + path_.column + column) * all_taps;
    for (std::int64_t depth = 0; depth < input_.taps; ++depth, from += tap_step) {
      for (std::int64_t tap = 0; tap < taps; ++tap) *to++ = from[tap * sums.plane];
    }
  };
  const float* from = sums.at;
  for (std::int64_t row = sums.rows.begin; row < sums.rows.end; ++row, from += lanes().columns) {
    for (std::int64_t lane = 0; lane < lanes().channels; ++lane) {
      turned_ ? store(lane, row, from + lane, 0) : store(row, lane, from + lane, padded);
    }
  }
}

// Adds the products of some tiles, group by group. With one part all threads work on a group.
void WinogradGradient::add_tiles(Range tiles, const Sums& sums, float* group) const {
  const std::int64_t grain = parts_ == 1 ? 1 : kMostTiles;  // no smaller than a group
  for (std::int64_t first = tiles.begin; first < tiles.end; first += group_tiles_) {
    const std::int64_t count = std::min(group_tiles_, tiles.end - first);
    parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end) {
      transform(first, {begin, end}, group);
    });
    parallel_for(points(), grain, [&](std::int64_t begin, std::int64_t end) {
      multiply(group, count, first > tiles.begin, {begin, end}, sums);
    });
  }
}

// Many tiles.
void WinogradGradient::run_parts(std::span<float> weight, float* scratch) const {
  const Range all_rows{0, rows().channels};
  float* const groups = scratch + parts_ * sums();
  parallel_tasks(parts_, slots(parts_), [&](std::int64_t part, std::int64_t slot) {
    add_tiles({all_tiles_ * part / parts_, all_tiles_ * (part + 1) / parts_},
              sums_at(scratch + part * sums(), all_rows), groups + slot * group_elements());
  });
  add_parts(scratch, parts_, sums());
  const Sums all = sums_at(scratch, all_rows);
  parallel_for(all_rows.end, 1, [&](std::int64_t begin, std::int64_t end) {
    finish({.at = all.at + begin * lanes().columns, .plane = all.plane, .rows = {begin, end}},
           weight);
  });
}

// Few tiles, whose points all fit into memory: the sums need not.
void WinogradGradient::run_blocks(std::span<float> weight, float* scratch) const {
  float* const group = scratch;
  parallel_for(all_tiles_, 1, [&](std::int64_t begin, std::int64_t end) {
    transform(0, {begin, end}, group);
  });
  parallel_tasks(blocks(), slots(blocks()), [&](std::int64_t block, std::int64_t slot) {
    const Range block_rows{block * block_rows_,
                           std::min((block + 1) * block_rows_, rows().channels)};
    const Sums sums = sums_at(scratch + group_elements() + slot * this->sums(), block_rows);
    multiply(group, all_tiles_, false, {0, points()}, sums);
    finish(sums, weight);
  });
}

void WinogradGradient::run(std::span<float> weight, float* scratch) const {
  has_parts() ? run_parts(weight, scratch) : run_blocks(weight, scratch);
}

}  // namespace octconv::octave
