// SPDX-License-Identifier: Apache-2.0
#include "octave/winograd_pass.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "octconv/base/parallel.h"

namespace octconv::octave {

using kernels::Extents3;
using kernels::kTilePixels;
using kernels::product;
using kernels::to_three;
using kernels::WinogradTile;

namespace {

// Floats of transformed inputs and products that stay in a second-level cache beside the weights.
constexpr std::int64_t kGroupFloats = 128 * 1024;
// Weights beyond this do not stay there: every group of tiles fetches them again.
constexpr std::int64_t kFarWeights = 192 * 1024;
// Fewer tiles in a group leave too much of the products' own tiles empty.
constexpr std::int64_t kLeastTiles = 24;

// Outputs whose places one group keeps on the stack.
constexpr std::int64_t kOutputPlaces = kRowPointers / 2;

// Extents of the tile along each axis.
Extents3 tile_extents(const WinogradTile& tile) {
  return {1, tile.y, tile.x};
}

}  // namespace

Shape last_axes(const Extents3& three, std::size_t rank) {
  return Shape(std::span(three).last(rank));
}

std::int64_t whole_vectors(std::int64_t channels) noexcept {
  const kernels::ConvKernel& kernel = kernels::conv_kernel();
  return kernel.vectors(channels) * kernel.lanes;
}

WinogradTile winograd_tile(ConvMethod method, std::size_t rank) noexcept {
  const std::int64_t outputs = method == ConvMethod::kWinograd2 ? 2 : 4;
  return {.y = rank == 1 ? 1 : outputs, .x = outputs};
}

WinogradPass::WinogradPass(const OctConvWeights::Packed& packed, const ConvPass& pass,
                           const std::vector<Shape>& maps, const Extents3& extents,
                           std::int64_t batch, const Extents3& cell, bool is_short)
    : tile_(winograd_tile(pass.method, packed.options.rank())),
      pools_(is_short && cell == Extents3{1, tile_.y == 1 ? 1 : 2, 2}),
      extents_(extents) {
  const std::size_t rank = packed.options.rank();
  const Extents3 outputs = tile_extents(tile_);
  for (std::size_t axis = 0; axis < 3; ++axis) {
    tiles_[axis] = (extents[axis] + outputs[axis] - 1) / outputs[axis];
  }
  all_tiles_ = batch * product(tiles_);
  depth_taps_ = to_three(packed.options.kernel, 1)[0];

  // A tile's inputs are the taps of a kernel as large as it, whose stride is the tile's outputs.
  ConvOptions inputs = packed.options;
  inputs.kernel =
      last_axes({depth_taps_, WinogradTile::points(tile_.y), WinogradTile::points(tile_.x)}, rank);
  std::int64_t depth = 0;  // products in a sum
  for (std::size_t i = 0; i < pass.inputs.size(); ++i) {
    ConvPath path = pass.inputs[i].path;
    path.stride = last_axes(outputs, rank);
    grids_.emplace_back(inputs, path, maps[i], packed.maps[pass.inputs[i].map].channels);
    depth += depth_taps_ * path.columns;
    columns_ += depth_taps_ * whole_vectors(path.columns);
  }
  outputs_ = whole_vectors(pass.outputs);

  const std::int64_t points = tile_.points();
  const std::int64_t each = points * (columns_ + outputs_);
  const bool far = points * depth * pass.outputs > kFarWeights;
  const std::int64_t room = (far ? 2 : 1) * kGroupFloats / std::max<std::int64_t>(1, each);
  const std::int64_t rows = std::max<std::int64_t>(1, std::ssize(pass.inputs)) * depth_taps_;
  const std::int64_t most =
      std::min({std::max(kLeastTiles, room), kRowPointers / points, kOutputPlaces / tile_.outputs(),
                kRowPointers / rows / kTilePixels * kTilePixels});
  const std::int64_t workers = thread_count();
  groups_ = (all_tiles_ + most - 1) / most;
  // Threads that have groups of their own need not wait for one another.
  if (workers > 1 && !far && groups_ < workers && all_tiles_ >= workers * kLeastTiles) {
    groups_ = workers;
  }
  group_tiles_ = groups_ == 0 ? 0 : (all_tiles_ + groups_ - 1) / groups_;
  groups_ = groups_ == 0 ? 0 : (all_tiles_ + group_tiles_ - 1) / group_tiles_;
  slots_ = groups_ >= workers && !far ? std::min(groups_, workers) : 1;
  points_plane_ = kernels::winograd_plane(group_tiles_ * columns_);
  products_plane_ = kernels::winograd_plane(group_tiles_ * outputs_);
}

WinogradPass::Group WinogradPass::group(std::int64_t index, float* scratch) const noexcept {
  const std::int64_t first = index * group_tiles_;
  return {.first = first,
          .count = std::min(group_tiles_, all_tiles_ - first),
          .points = scratch,
          .products = scratch + points_elements()};
}

// The steps of one run.
struct WinogradPass::Run {
  const WinogradPass& plan;
  const OctConvWeights::Packed& packed;
  const ConvPass& pass;
  const PassMemory& memory;
  const kernels::WinogradKernel& kernel = kernels::winograd_kernel(plan.tile_);

  // The inputs of tiles [begin, end) of a group.
  void transform(const Group& group, std::int64_t begin, std::int64_t end) const {
    const std::int64_t points = plan.tile_.points();
    TileRows rows;  // left uninitialised on purpose
    for (std::int64_t tile = begin; tile < end; tile += kTilesAtOnce) {
      const std::int64_t last = std::min(tile + kTilesAtOnce, end);
      float* to = group.points + tile * plan.columns_;
      for (std::size_t i = 0; i < pass.inputs.size(); ++i) {
        const std::int64_t channels = pass.inputs[i].path.columns;
        for (std::int64_t tap = 0; tap < plan.depth_taps_; ++tap) {
          plan.grids_[i].fill_windows(memory.inputs[i], packed.zeros.data(), plan.tiles_,
                                      group.first + tile, group.first + last,
                                      {tap * points, (tap + 1) * points}, rows.data());
          kernel.input({.rows = rows.data(),
                        .tiles = last - tile,
                        .channels = channels,
                        .out = to,
                        .columns = plan.columns_,
                        .plane = plan.points_plane_,
                        .far = kernels::is_far(plan.all_tiles_ * plan.tile_.outputs(), channels)});
          to += whole_vectors(channels);
        }
      }
    }
  }

  // The products of blocks [begin, end) of output channels.
  void multiply(const Group& group, std::int64_t begin, std::int64_t end) const {
    const std::int64_t pitch = (group.count + kTilePixels - 1) / kTilePixels * kTilePixels;
    std::array<const float*, kRowPointers> rows;
    kernels::ConvTiles tiles{.bias = packed.zeros.data(),
                             .pixels = group.count,
                             .pitch = pitch,
                             .outputs = plan.outputs_,
                             .stride = plan.outputs_};
    const float** row = rows.data();
    const float* from = group.points;
    std::int64_t depth = 0;  // products in a sum
    for (std::size_t i = 0; i < pass.inputs.size(); ++i) {
      const std::int64_t channels = pass.inputs[i].path.columns;
      tiles.sources[i] = {.rows = row, .taps = plan.depth_taps_, .channels = channels};
      depth += plan.depth_taps_ * channels;
      for (std::int64_t tap = 0; tap < plan.depth_taps_; ++tap, from += whole_vectors(channels)) {
        for (std::int64_t tile = 0; tile < pitch; ++tile) {
          *row++ = from + std::min(tile, group.count - 1) * plan.columns_;
        }
      }
    }
    for (std::int64_t point = 0; point < plan.tile_.points(); ++point) {
      for (kernels::ConvSource& source : tiles.sources) {
        source.first_channel = point * plan.points_plane_;
      }
      tiles.weights = pass.transformed.data() + point * pass.point_stride;
      // The same blocks at the next point.
      tiles.next = point + 1 == plan.tile_.points() ? memory.next
                                                    : tiles.weights + pass.point_stride +
                                                          begin * 2 * packed.kernel->lanes * depth;
      tiles.out = group.products + point * plan.products_plane_;
      packed.kernel->run(tiles, begin, end);
    }
  }

  // The outputs of channels [first, last).
  void finish(const Group& group, std::int64_t first, std::int64_t last) const {
    std::array<std::int64_t, kOutputPlaces> pixels;
    std::array<const float*, kOutputPlaces> addends;
    std::array<std::int64_t, kOutputPlaces / 2> cells;
    const std::int64_t each = plan.tile_.outputs();
    float* const averages = plan.pools_ ? memory.averages : nullptr;
    Position at(plan.tiles_, group.first);
    for (std::int64_t tile = 0; tile < group.count; ++tile, at.advance(plan.tiles_)) {
      place(at, pixels.data() + tile * each);
      if (memory.addend.map != nullptr) place_addends(at, addends.data() + tile * each);
      if (averages != nullptr) place_cells(at, cells.data() + tile * plan.tile_.cells());
    }
    kernel.output(
        {.products = group.products,
         .columns = plan.outputs_,
         .plane = plan.products_plane_,
         .tiles = group.count,
         .first = first,
         .last = last,
         .bias = pass.bias.data(),
         .pixels = pixels.data(),
         .addend = memory.addend.map == nullptr ? nullptr : addends.data(),
         .residual = memory.residual,
         .out = memory.out,
         .stride = pass.outputs,
         .far = plan.all_tiles_ * plan.tile_.outputs() * pass.outputs > kernels::kFarFloats,
         .activation = memory.activation,
         .second = memory.second,
         .averages = averages,
         .cells = cells.data()});
  }

  // Where the averages of a tile's cells lie.
  void place_cells(const Position& tile, std::int64_t* rows) const {
    const Extents3& extents = plan.extents_;
    const std::int64_t tall = plan.tile_.y == 1 ? 1 : 2;
    const std::int64_t height = (extents[1] + tall - 1) / tall;
    const std::int64_t width = (extents[2] + 1) / 2;
    for (std::int64_t i = 0; i < plan.tile_.y / tall; ++i) {
      const std::int64_t y = tile.y * plan.tile_.y / tall + i;
      const std::int64_t row = ((tile.image * extents[0] + tile.z) * height + y) * width;
      for (std::int64_t j = 0; j < plan.tile_.x / 2; ++j) {
        const std::int64_t x = tile.x * plan.tile_.x / 2 + j;
        *rows++ = y < height && x < width ? row + x : -1;
      }
    }
  }

  // Where the outputs of a tile lie.
  void place(const Position& tile, std::int64_t* pixels) const {
    const Extents3& extents = plan.extents_;
    const std::int64_t x = tile.x * plan.tile_.x;
    const std::int64_t wide = std::min(plan.tile_.x, extents[2] - x);
    for (std::int64_t i = 0; i < plan.tile_.y; ++i) {
      const std::int64_t y = tile.y * plan.tile_.y + i;
      const std::int64_t row = ((tile.image * extents[0] + tile.z) * extents[1] + y) * extents[2];
      const std::int64_t real = y < extents[1] ? wide : 0;
      for (std::int64_t j = 0; j < plan.tile_.x; ++j) *pixels++ = j < real ? row + x + j : -1;
    }
  }

  // And what is added to them; to those outside of the map nothing is.
  void place_addends(const Position& tile, const float** addends) const {
    const Extents3& extents = plan.extents_;
    Position at = tile;
    at.x = tile.x * plan.tile_.x;
    const std::int64_t wide = std::min(plan.tile_.x, extents[2] - at.x);
    for (std::int64_t i = 0; i < plan.tile_.y; ++i, addends += plan.tile_.x) {
      at.y = tile.y * plan.tile_.y + i;
      if (at.y < extents[1]) memory.addend.fill(at, wide, addends);
    }
  }
};

void WinogradPass::run(const OctConvWeights::Packed& packed, const ConvPass& pass,
                       const PassMemory& memory) const noexcept {
  const Run steps{*this, packed, pass, memory};
  const std::int64_t blocks = packed.kernel->blocks(pass.outputs);
  if (slots_ > 1 || thread_count() == 1) {
    parallel_tasks(groups_, slots_, [&](std::int64_t index, std::int64_t slot) {
      const Group at = group(index, memory.scratch + slot * slot_elements());
      steps.transform(at, 0, at.count);
      steps.multiply(at, 0, blocks);
      steps.finish(at, 0, pass.outputs);
    });
    return;
  }
  // All threads work on one group: first by tiles, then by output channels.
  const std::int64_t width = 2 * packed.kernel->lanes;  // channels of a block
  for (std::int64_t i = 0; i < groups_; ++i) {
    const Group at = group(i, memory.scratch);
    parallel_for(at.count, 1,
                 [&](std::int64_t begin, std::int64_t end) { steps.transform(at, begin, end); });
    parallel_for(blocks, 1, [&](std::int64_t begin, std::int64_t end) {
      steps.multiply(at, begin, end);
      steps.finish(at, begin * width, end == blocks ? pass.outputs : end * width);
    });
  }
}

}  // namespace octconv::octave
