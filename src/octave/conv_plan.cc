// SPDX-License-Identifier: Apache-2.0
// Plans an octave convolution for one input shape and runs it.
#include "octconv/octave/conv_plan.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernels/conv_tile.h"
#include "kernels/depthwise.h"
#include "kernels/pointwise.h"
#include "kernels/pool.h"
#include "kernels/resize.h"
#include "octave/packed_conv.h"
#include "octave/pass_memory.h"
#include "octave/tap_grid.h"
#include "octave/winograd_pass.h"
#include "octconv/base/error.h"
#include "octconv/base/parallel.h"

namespace octconv {
namespace {

using kernels::Extents3;
using kernels::kTilePixels;
using kernels::product;
using kernels::to_three;
using octave::ConvMap;
using octave::ConvPass;
using octave::kRowPointers;
using octave::PassInput;
using octave::PassMemory;
using octave::Position;
using octave::Range;
using octave::Slice;
using octave::TapGrid;
using octave::WinogradPass;

// Pixels of one task: few enough for the table of their addends to live on the stack.
constexpr std::int64_t kTaskTiles = 42;
// Floats of input that one task reads, so that they stay in the second-level cache from one block
// of output channels to the next.
constexpr std::int64_t kTaskFloats = 128 * 1024;
// Multiply-adds and copied floats for which waking another thread is worth its time.
constexpr std::int64_t kLeastMacs = 500'000;
constexpr std::int64_t kLeastFloats = 16'384;

// Rows of a map with zeros beside them; in floats.
struct PaddedRows {
  std::int64_t before = 0;
  std::int64_t inside = 0;
  std::int64_t after = 0;
};

struct PlannedMap {
  ConvMap::Kind kind = ConvMap::Kind::kInput;
  Shape extents;
  std::int64_t scratch = 0;  // where a map that is made begins
  // How it is made: one of these, but for pointers.
  kernels::PoolRows pool{};
  kernels::ResizeRows enlargement{};
  PaddedRows padding;
  std::int64_t rows = 0;  // of all images
};

void pad_rows(const PaddedRows& rows, const float* src, float* out, std::int64_t begin,
              std::int64_t end) {
  out += begin * (rows.before + rows.inside + rows.after);
  for (std::int64_t row = begin; row < end; ++row) {
    out = std::fill_n(out, rows.before, 0.0F);
    out = std::copy_n(src + row * rows.inside, rows.inside, out);
    out = std::fill_n(out, rows.after, 0.0F);
  }
}

void make_map(const PlannedMap& map, const float* src, float* out) {
  // `floats` are read for a row.
  const auto for_rows = [&](std::int64_t floats, auto body) {
    parallel_for(map.rows, (kLeastFloats + floats - 1) / std::max<std::int64_t>(1, floats), body);
  };
  switch (map.kind) {
    case ConvMap::Kind::kInput:
      break;
    case ConvMap::Kind::kPooled: {
      kernels::PoolRows pool = map.pool;
      pool.src = src;
      pool.out = out;
      for_rows(pool.kernel[0] * pool.kernel[1] * pool.in[2] * pool.channels,
               [&](std::int64_t begin, std::int64_t end) { kernels::pool(pool, begin, end); });
      break;
    }
    case ConvMap::Kind::kEnlarged: {
      kernels::ResizeRows resize = map.enlargement;
      resize.src = src;
      resize.out = out;
      for_rows(resize.extents[2] * resize.channels,
               [&](std::int64_t begin, std::int64_t end) { kernels::resize(resize, begin, end); });
      break;
    }
    case ConvMap::Kind::kPadded:
      for_rows(map.padding.inside, [&](std::int64_t begin, std::int64_t end) {
        pad_rows(map.padding, src, out, begin, end);
      });
      break;
  }
}

struct PlannedPass {
  Extents3 extents{};           // of the output
  std::int64_t pixels = 0;      // of all images
  std::int64_t task_tiles = 0;  // tiles that one task computes
  std::int64_t tasks = 0;
  std::int64_t columns = 0;  // parts of the output channels, for more threads than tasks
  std::int64_t grain = 0;    // columns of tasks for which waking a thread is worth its time
  std::vector<TapGrid> grids;
  std::int64_t scratch = 0;      // where an upsampled path's result begins
  octave::Addend addend;         // but its pointer
  std::int64_t addend_from = 0;  // where in the scratch it begins
  std::optional<WinogradPass> winograd;
};

// A task's tables, on its stack. Left uninitialised on purpose.
struct TaskRows {
  std::array<const float*, kRowPointers> inputs;
  std::array<const float*, kTaskTiles * kTilePixels> addends;
};

class PassRunner {
 public:
  PassRunner(const OctConvWeights::Packed& packed, const ConvPass& pass, const PlannedPass& planned,
             const PassMemory& memory)
      : packed_(packed), pass_(pass), planned_(planned), memory_(memory) {}

  void run() const {
    parallel_for(planned_.tasks * planned_.columns, planned_.grain,
                 [this](std::int64_t begin, std::int64_t end) {
                   while (begin < end) {
                     const std::int64_t column = begin % planned_.columns;
                     const std::int64_t count = std::min(end - begin, planned_.columns - column);
                     run_task(begin / planned_.columns, column, column + count);
                     begin += count;
                   }
                 });
  }

 private:
  void run_task(std::int64_t task, std::int64_t column_begin, std::int64_t column_end) const {
    const std::int64_t begin = task * planned_.task_tiles * kTilePixels;
    const std::int64_t end = std::min(begin + planned_.task_tiles * kTilePixels, planned_.pixels);
    TaskRows rows;
    if (memory_.addend.map != nullptr) fill_addends(begin, end, rows);
    for (std::size_t slice = 0; slice < pass_.slices.size(); ++slice) {
      const kernels::ConvTiles tiles = fill_slice(slice, begin, end, rows);
      if (pass_.depthwise) {
        run_depthwise(tiles);
      } else {
        run_columns(pass_.slices[slice], tiles, column_begin, column_end,
                    next_weights(task, slice, column_begin));
      }
    }
  }

  // What is read after a slice: the same columns of the next one, or, after the last task, the
  // weights of what follows.
  const float* next_weights(std::int64_t task, std::size_t slice, std::int64_t column) const {
    if (slice + 1 == pass_.slices.size()) {
      return task + 1 == planned_.tasks ? memory_.next : nullptr;
    }
    const Slice& after = pass_.slices[slice + 1];
    const std::int64_t blocks = packed_.kernel->blocks(pass_.outputs);
    std::int64_t depth = 0;
    for (std::size_t i = 0; i < after.taps.size(); ++i) {
      depth += after.taps[i].size() * after.columns[i].size();
    }
    return after.weights.data() + column / blocks * after.group_stride +
           column % blocks * 2 * packed_.kernel->lanes * depth;
  }

  // Of the first group; its pointers are those of the whole pass.
  kernels::ConvTiles fill_slice(std::size_t index, std::int64_t begin, std::int64_t end,
                                TaskRows& rows) const {
    const Slice& slice = pass_.slices[index];
    const std::int64_t stride = pass_.groups * pass_.outputs;
    // A slice but the first adds to what the one before it has stored.
    const bool first = index == 0;
    float* out = memory_.out + begin * stride;
    const float* residual =
        memory_.residual == nullptr ? nullptr : memory_.residual + begin * stride;
    kernels::ConvTiles tiles{
        .weights = slice.weights.data(),
        .bias = first ? pass_.bias.data() : packed_.zeros.data(),
        .pixels = end - begin,
        .outputs = pass_.outputs,
        .addend = first && memory_.addend.map != nullptr ? rows.addends.data() : nullptr,
        .residual = first ? residual : out,
        .out = out,
        .stride = stride,
        .activation = index + 1 == pass_.slices.size() ? memory_.activation
                                                       : Activation{ActivationKind::kNone}};
    if (index + 1 == pass_.slices.size() && memory_.second.out != nullptr) {
      tiles.second = memory_.second;
      tiles.second.out += begin * stride;
    }
    const std::int64_t pitch = (end - begin + kTilePixels - 1) / kTilePixels * kTilePixels;
    tiles.pitch = pitch;
    const float** to = rows.inputs.data();
    for (std::size_t i = 0; i < pass_.inputs.size(); ++i) {
      const Range taps = slice.taps[i];
      tiles.sources[i] = {.rows = to,
                          .taps = taps.size(),
                          .first_channel = slice.columns[i].begin,
                          .channels = slice.columns[i].size()};
      planned_.grids[i].fill(memory_.inputs[i], packed_.zeros.data(), planned_.extents, begin, end,
                             taps, pitch, to);
      to += taps.size() * pitch;
    }
    return tiles;
  }

  // `next`: the weights that are wanted after these.
  void run_columns(const Slice& slice, const kernels::ConvTiles& all, std::int64_t column,
                   std::int64_t column_end, const float* next) const {
    const std::int64_t blocks = packed_.kernel->blocks(pass_.outputs);
    const bool first = all.bias == pass_.bias.data();
    while (column < column_end) {
      const std::int64_t group = column / blocks;
      const std::int64_t block = column % blocks;
      const std::int64_t block_end = std::min(blocks, block + column_end - column);
      kernels::ConvTiles tiles = all;
      tiles.next = column + block_end - block == column_end ? next : nullptr;
      for (std::size_t i = 0; i < pass_.inputs.size(); ++i) {
        tiles.sources[i].first_channel += group * pass_.inputs[i].columns();
      }
      tiles.weights += group * slice.group_stride;
      if (first) tiles.bias += group * pass_.bias_stride;
      tiles.first_output = group * pass_.outputs;
      packed_.kernel->run(tiles, block, block_end);
      column += block_end - block;
    }
  }

  void run_depthwise(const kernels::ConvTiles& tiles) const {
    kernels::depthwise({.rows = tiles.sources[0].rows,
                        .taps = tiles.sources[0].taps,
                        .pitch = tiles.pitch,
                        .weights = tiles.weights,
                        .bias = tiles.bias,
                        .channels = pass_.groups,
                        .pixels = tiles.pixels,
                        .residual = tiles.residual,
                        .out = tiles.out,
                        .activation = tiles.activation});
    const kernels::SecondResult& second = tiles.second;
    if (second.out == nullptr) return;
    kernels::scale_shift(tiles.out, tiles.pixels, pass_.groups, second.scale, second.shift,
                         second.activation, second.out);
  }

  void fill_addends(std::int64_t begin, std::int64_t end, TaskRows& rows) const {
    const float** row = rows.addends.data();
    for (std::int64_t pixel = begin; pixel < end;) {
      const Position at(planned_.extents, pixel);
      const std::int64_t count = std::min(planned_.extents[2] - at.x, end - pixel);
      const float* from = memory_.addend.row(at);
      for (std::int64_t x = at.x; x < at.x + count; ++x) *row++ = from + memory_.addend.offset(x);
      pixel += count;
    }
  }

  const OctConvWeights::Packed& packed_;
  const ConvPass& pass_;
  const PlannedPass& planned_;
  const PassMemory& memory_;
};

// Divides a pass into tasks of whole tiles.
void divide(const OctConvWeights::Packed& packed, const ConvPass& pass, PlannedPass& planned) {
  std::int64_t taps = 1;  // of the largest slice
  for (const Slice& slice : pass.slices) {
    taps = std::max(taps, slice.taps[0].size() + slice.taps[1].size());
  }
  std::int64_t channels = 1;  // that a pixel reads, if its taps are other pixels' too
  std::int64_t depth = 1;
  for (const PassInput& input : pass.inputs) {
    channels += input.path.columns * pass.groups;
    depth += input.path.columns * packed.options.kernel.elements();
  }
  const std::int64_t tiles = (planned.pixels + kTilePixels - 1) / kTilePixels;
  const std::int64_t most =
      std::max<std::int64_t>(1, std::min({kTaskTiles, kRowPointers / (kTilePixels * taps),
                                          kTaskFloats / (kTilePixels * channels)}));
  // Of equal size, and enough of them for a few threads, as long as a task's tables are used more
  // than once.
  const std::int64_t tasks =
      std::max((tiles + most - 1) / most, std::min<std::int64_t>(8, tiles / 4));
  planned.task_tiles = tasks == 0 ? 1 : (tiles + tasks - 1) / tasks;
  planned.tasks = (tiles + planned.task_tiles - 1) / planned.task_tiles;
  planned.columns = pass.depthwise ? 1 : pass.groups * packed.kernel->blocks(pass.outputs);
  const std::int64_t macs =
      planned.task_tiles * kTilePixels * depth * pass.outputs * pass.groups / planned.columns;
  planned.grain = (kLeastMacs + macs - 1) / std::max<std::int64_t>(1, macs);
}

}  // namespace

struct OctConvPlan::Impl {
  OctConvWeights weights;
  ConvEpilogue epilogue;
  Shape extents;
  std::vector<PlannedMap> maps;
  std::vector<PlannedPass> passes;
  std::int64_t scratch = 0;
  const float* next = nullptr;        // weights that are read after a run
  std::int64_t winograd_scratch = 0;  // where that of Winograd's methods begins

  Impl(OctConvWeights packed, std::int64_t batch, const Shape& in, ConvEpilogue what)
      : weights(std::move(packed)), epilogue(std::move(what)) {
    const ConvOptions& options = weights.options();
    if (batch < 0) {
      throw InvalidArgument("convolution: batch must be at least 0, got " + std::to_string(batch));
    }
    if (in.rank() != options.rank() ||
        std::any_of(in.begin(), in.end(), [](std::int64_t extent) { return extent < 1; })) {
      throw InvalidArgument("convolution: input extents must be " + std::to_string(options.rank()) +
                            " numbers of at least 1, got " + in.to_string());
    }
    if (epilogue.second && (epilogue.second->scale.elements() != options.out.total() ||
                            epilogue.second->shift.elements() != options.out.total())) {
      throw InvalidArgument("convolution: a second result of " +
                            std::to_string(options.out.total()) + " channels has " +
                            std::to_string(epilogue.second->scale.elements()) + " scales and " +
                            std::to_string(epilogue.second->shift.elements()) + " shifts");
    }
    extents = output_extents(options, in);
    for (const ConvMap& map : weights.packed().maps) plan_map(map, batch, in);
    for (const ConvPass& pass : weights.packed().passes) plan_pass(pass, batch, in);
    std::int64_t most = 0;  // of one pass: they run one after the other
    for (const PlannedPass& pass : passes) {
      if (pass.winograd) most = std::max(most, pass.winograd->scratch_elements());
    }
    winograd_scratch = take_scratch(most);
  }

  void run(OctaveView<const float> src, OctaveView<const float> residual, OctaveView<float> dst,
           OctaveView<float> second, float* memory) const noexcept {
    const OctConvWeights::Packed& packed = weights.packed();
    const auto data = [&](std::size_t map) -> const float* {
      if (map == 0) return src.high;
      return map == 1 ? src.low : memory + maps[map].scratch;
    };
    for (std::size_t i = 2; i < maps.size(); ++i) {
      make_map(maps[i], data(packed.maps[i].from), memory + maps[i].scratch);
    }
    for (std::size_t i = 0; i < passes.size(); ++i) {
      const ConvPass& pass = packed.passes[i];
      PassMemory pointers;
      pointers.next = i + 1 < passes.size() ? packed.passes[i + 1].first() : next;
      for (std::size_t input = 0; input < pass.inputs.size(); ++input) {
        pointers.inputs[input] = data(pass.inputs[input].map);
      }
      if (pass.upsampled) {
        pointers.out = memory + passes[i].scratch;
      } else {
        const bool high = pass.dst == Frequency::kHigh;
        if (pass.adds_upsampled) {
          pointers.addend = passes[i].addend;
          pointers.addend.map = memory + passes[i].addend_from;
        }
        if (epilogue.residual) pointers.residual = high ? residual.high : residual.low;
        pointers.out = high ? dst.high : dst.low;
        pointers.activation = epilogue.activation;
        if (epilogue.second) {
          const std::int64_t first = high ? packed.options.out.low : 0;
          pointers.second = {.scale = epilogue.second->scale.data() + first,
                             .shift = epilogue.second->shift.data() + first,
                             .out = high ? second.high : second.low,
                             .activation = epilogue.second->activation};
        }
      }
      if (passes[i].winograd) {
        pointers.scratch = memory + winograd_scratch;
        passes[i].winograd->run(packed, pass, pointers);
      } else {
        PassRunner(packed, pass, passes[i], pointers).run();
      }
    }
  }

 private:
  std::int64_t take_scratch(std::int64_t elements) {
    const std::int64_t begin = scratch;
    scratch += (elements + 15) / 16 * 16;  // whole cache lines
    return begin;
  }

  void plan_map(const ConvMap& map, std::int64_t batch, const Shape& in) {
    const ConvOptions& options = weights.options();
    PlannedMap planned{.kind = map.kind};
    const Extents3 window = to_three(map.window, 1);
    switch (map.kind) {
      case ConvMap::Kind::kInput: {
        const bool low = !maps.empty();
        planned.extents = low ? low_extents(in, options.octave) : in;
        maps.push_back(std::move(planned));
        return;
      }
      case ConvMap::Kind::kPooled:
        planned.extents = low_extents(maps[map.from].extents, map.window);
        planned.pool = {.channels = map.channels,
                        .in = to_three(maps[map.from].extents, 1),
                        .extents = to_three(planned.extents, 1),
                        .kernel = window,
                        .stride = window,
                        .kind = kernels::PoolKind::kAverage};
        break;
      case ConvMap::Kind::kEnlarged:
        // To the grid of the high input, where the paths' own convolutions begin.
        planned.extents =
            options.stride_mode != StrideMode::kStrided ? low_extents(in, options.stride) : in;
        planned.enlargement = {.channels = map.channels,
                               .in = to_three(maps[map.from].extents, 1),
                               .extents = to_three(planned.extents, 1),
                               .factor = window};
        break;
      case ConvMap::Kind::kPadded: {
        const std::size_t last = options.rank() - 1;
        planned.extents = maps[map.from].extents;
        planned.padding = {.before = options.padding_begin[last] * map.channels,
                           .inside = planned.extents[last] * map.channels,
                           .after = options.padding_end[last] * map.channels};
        planned.extents[last] += options.padding_begin[last] + options.padding_end[last];
        break;
      }
    }
    const Extents3 extents3 = to_three(planned.extents, 1);
    planned.rows = batch * extents3[0] * extents3[1];
    planned.scratch = take_scratch(batch * planned.extents.elements() * map.channels);
    maps.push_back(std::move(planned));
  }

  void plan_pass(const ConvPass& pass, std::int64_t batch, const Shape& in) {
    const OctConvWeights::Packed& packed = weights.packed();
    PlannedPass planned;
    const Shape grid = pass.upsampled ? path_extents(packed.options, pass.inputs[0].path, in)
                       : pass.dst == Frequency::kHigh ? extents
                                                      : low_extents(extents, packed.options.octave);
    planned.extents = to_three(grid, 1);
    planned.pixels = batch * product(planned.extents);
    std::vector<Shape> sources;
    for (const PassInput& input : pass.inputs) {
      sources.push_back(maps[input.map].extents);
      ConvOptions read = packed.options;
      if (input.row_taps > 1) {  // a row of the kernel is one tap of a map that holds its padding
        read.kernel[read.rank() - 1] = 1;
        read.padding_begin[read.rank() - 1] = 0;
      }
      planned.grids.emplace_back(read, input.path, sources.back(), packed.maps[input.map].channels);
    }
    if (pass.upsampled) {
      planned.scratch = take_scratch(planned.pixels * pass.groups * pass.outputs);
    }
    if (pass.adds_upsampled) {
      const ConvPass& before = packed.passes[passes.size() - 1];
      planned.addend_from = passes.back().scratch;
      planned.addend = {.extents = passes.back().extents,
                        .factor = to_three(before.inputs[0].path.upsample, 1),
                        .channels = before.groups * before.outputs};
    }
    if (pass.method == ConvMethod::kDirect) {
      divide(packed, pass, planned);
    } else {
      planned.winograd.emplace(packed, pass, sources, planned.extents, batch);
    }
    passes.push_back(std::move(planned));
  }
};

OctConvWeights::OctConvWeights(const ConvOptions& options, std::span<const float> weight,
                               std::span<const float> bias, const ConvMethods& methods,
                               TensorPool* pool)
    : packed_(
          std::make_shared<const Packed>(octave::pack_conv(options, weight, bias, methods, pool))) {
}

const ConvOptions& OctConvWeights::options() const noexcept {
  return packed_->options;
}

std::vector<ConvMethod> OctConvWeights::methods() const {
  std::vector<ConvMethod> methods;
  for (const ConvPass& pass : packed_->passes) methods.push_back(pass.method);
  return methods;
}

std::int64_t OctConvWeights::elements() const noexcept {
  std::int64_t elements = 0;
  for (const ConvPass& pass : packed_->passes) {
    elements += pass.transformed.elements() + pass.bias.elements();
    for (const Slice& slice : pass.slices) elements += slice.weights.elements();
  }
  return elements;
}

OctConvPlan::OctConvPlan(OctConvWeights weights, std::int64_t batch, const Shape& extents,
                         ConvEpilogue epilogue)
    : impl_(std::make_unique<Impl>(std::move(weights), batch, extents, std::move(epilogue))) {}

OctConvPlan::~OctConvPlan() = default;
OctConvPlan::OctConvPlan(OctConvPlan&&) noexcept = default;
OctConvPlan& OctConvPlan::operator=(OctConvPlan&&) noexcept = default;

const ConvOptions& OctConvPlan::options() const noexcept {
  return impl_->weights.options();
}
const Shape& OctConvPlan::extents() const noexcept {
  return impl_->extents;
}
std::int64_t OctConvPlan::scratch_elements() const noexcept {
  return impl_->scratch;
}

void OctConvPlan::set_next(const OctConvWeights& weights) noexcept {
  impl_->next = weights.packed().first();
}

void OctConvPlan::run(OctaveView<const float> src, OctaveView<const float> residual,
                      OctaveView<float> dst, float* scratch,
                      OctaveView<float> second) const noexcept {
  impl_->run(src, residual, dst, second, scratch);
}

}  // namespace octconv
