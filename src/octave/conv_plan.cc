// SPDX-License-Identifier: Apache-2.0
// Plans an octave convolution for one input shape and runs it.
#include "octconv/octave/conv_plan.h"

#include <algorithm>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "kernels/pool.h"
#include "kernels/resize.h"
#include "octave/direct_pass.h"
#include "octave/packed_conv.h"
#include "octave/pass_memory.h"
#include "octave/pooled_cells.h"
#include "octave/winograd_pass.h"
#include "octconv/base/error.h"
#include "octconv/base/parallel.h"

namespace octconv {
namespace {

using kernels::Extents3;
using kernels::product;
using kernels::to_three;
using octave::ConvMap;
using octave::ConvPass;
using octave::DirectPass;
using octave::PassInput;
using octave::PassMemory;
using octave::pooled_cells;
using octave::row_grain;
using octave::run_pool;
using octave::Slice;
using octave::WinogradPass;

// Floats of a map that are not worth being made some rows at a time: they stay in a second-level
// cache.
constexpr std::int64_t kFarFloats = std::int64_t{128} * 1024;

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

void make_map(const PlannedMap& map, std::int64_t batch, const float* src, float* out) {
  switch (map.kind) {
    case ConvMap::Kind::kInput:
      break;
    case ConvMap::Kind::kPooled:
      run_pool(map.pool, batch, src, out);
      break;
    case ConvMap::Kind::kEnlarged: {
      kernels::ResizeRows resize = map.enlargement;
      resize.src = src;
      resize.out = out;
      parallel_for(
          map.rows, row_grain(resize.extents[2] * resize.channels),
          [&](std::int64_t begin, std::int64_t end) { kernels::resize(resize, begin, end); });
      break;
    }
    case ConvMap::Kind::kPadded:
      parallel_for(map.rows, row_grain(map.padding.inside),
                   [&](std::int64_t begin, std::int64_t end) {
                     pad_rows(map.padding, src, out, begin, end);
                   });
      break;
  }
}

struct PlannedPass {
  Extents3 extents{};            // of the output
  std::int64_t scratch = 0;      // where an upsampled path's result begins
  octave::Addend addend;         // but its pointer
  std::int64_t addend_from = 0;  // where in the scratch it begins
  std::variant<DirectPass, WinogradPass> method;
};

}  // namespace

struct OctConvPlan::Impl {
  // A convolution before this one.
  struct Feed {
    std::unique_ptr<Impl> plan;
    bool by_rows = false;  // some rows at a time, within the pass that reads them
    // What it makes, and its own working memory, in the scratch.
    std::int64_t high = 0;
    std::int64_t low = 0;
    std::int64_t averages = 0;
    std::int64_t scratch = 0;
  };

  OctConvWeights weights;
  ConvEpilogue epilogue;
  std::int64_t batch = 0;
  Shape extents;
  std::vector<PlannedMap> maps;
  std::vector<PlannedPass> passes;
  std::int64_t scratch = 0;
  const float* next = nullptr;    // weights that are read after a run
  std::int64_t pass_scratch = 0;  // where that of a pass begins
  Feed feed;                      // without a plan: there is none

  bool src_averages = false;  // whether they come with the input
  // Those of the result: whether a pass makes them, and if not, how they are made from it.
  bool pass_averages = false;
  kernels::PoolRows averages{};

  Impl(OctConvWeights packed, std::int64_t images, const Shape& in, ConvEpilogue what,
       bool with_averages, std::unique_ptr<Impl> before = nullptr)
      : weights(std::move(packed)),
        epilogue(std::move(what)),
        batch(images),
        feed{.plan = std::move(before)},
        src_averages(with_averages) {
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
    if (src_averages && !weights.reads_averages()) {
      throw InvalidArgument("convolution: averages of the input's cells are given, but not read");
    }
    extents = output_extents(options, in);
    averages = pooled_cells(to_three(extents, 1), to_three(options.octave, 1), options.out.high);
    for (const ConvMap& map : weights.packed().maps) plan_map(map, in);
    for (const ConvPass& pass : weights.packed().passes) plan_pass(pass, in);
    std::int64_t most = 0;  // of one pass: they run one after the other
    for (const PlannedPass& pass : passes) {
      most = std::max(most, std::visit([](const auto& method) { return method.scratch_elements(); },
                                       pass.method));
    }
    pass_scratch = take_scratch(most);
    if (feed.plan) place_feed();
  }

  // NOLINTNEXTLINE(misc-no-recursion): a feed has no feed
  void run(OctaveView<const float> src, OctaveView<const float> residual, OctaveView<float> dst,
           OctaveView<float> second, float* memory) const noexcept {
    OctaveView<const float> in = src;
    if (feed.plan) {
      const OctaveView<float> fed{memory + feed.high, memory + feed.low, memory + feed.averages};
      if (feed.by_rows) {
        feed.plan->run_low(src, fed, memory + feed.scratch);
      } else {
        feed.plan->run(src, {}, fed, {}, memory + feed.scratch);
      }
      in = {fed.high, fed.low, fed.averages};
    }
    make_maps(in, memory);
    for (std::size_t i = 0; i < passes.size(); ++i) {
      const ConvPass& pass = weights.packed().passes[i];
      const PassMemory pointers = memory_of(i, in, residual, dst, second, memory);
      if (feed.by_rows && is_high(pass)) {
        run_fed(i, pointers, src, memory);
      } else {
        run_pass(i, pointers);
      }
      if (weights.packed().adjoint && pass.upsampled) share_out(pass, passes[i], pointers.out);
    }
    if (epilogue.averages && !pass_averages) {
      run_pool(averages, batch, epilogue.second ? second.high : dst.high,
               epilogue.second ? second.averages : dst.averages);
    }
  }

 private:
  // What a depthwise convolution makes of the low frequency alone.
  void run_low(OctaveView<const float> src, OctaveView<float> dst, float* memory) const noexcept {
    make_maps(src, memory);
    for (std::size_t i = 0; i < passes.size(); ++i) {
      if (weights.packed().passes[i].dst == Frequency::kLow)
        run_pass(i, memory_of(i, src, {}, dst, {}, memory));
    }
  }

  void run_pass(std::size_t i, const PassMemory& pointers) const noexcept {
    const OctConvWeights::Packed& packed = weights.packed();
    // As std::visit, which may throw.
    if (const auto* direct = std::get_if<DirectPass>(&passes[i].method)) {
      direct->run(packed, packed.passes[i], pointers);
    } else {
      std::get_if<WinogradPass>(&passes[i].method)->run(packed, packed.passes[i], pointers);
    }
  }

  void make_maps(OctaveView<const float> src, float* memory) const noexcept {
    for (std::size_t i = 2; i < maps.size(); ++i) {
      if (given(i)) continue;
      make_map(maps[i], batch, map_data(weights.packed().maps[i].from, src, memory),
               memory + maps[i].scratch);
    }
  }

  const float* map_data(std::size_t map, OctaveView<const float> src,
                        const float* memory) const noexcept {
    if (map == 0) return src.high;
    if (map == 1) return src.low;
    return given(map) ? src.averages : memory + maps[map].scratch;
  }

  // What a pass reads and writes, but for a feed.
  [[nodiscard]] PassMemory memory_of(std::size_t i, OctaveView<const float> src,
                                     OctaveView<const float> residual, OctaveView<float> dst,
                                     OctaveView<float> second, float* memory) const noexcept {
    const OctConvWeights::Packed& packed = weights.packed();
    const ConvPass& pass = packed.passes[i];
    PassMemory pointers;
    pointers.next = i + 1 < passes.size() ? packed.passes[i + 1].first() : next;
    pointers.scratch = memory + pass_scratch;
    for (std::size_t input = 0; input < pass.inputs.size(); ++input) {
      pointers.inputs[input] = map_data(pass.inputs[input].map, src, memory);
    }
    if (pass.upsampled) {
      pointers.out = memory + passes[i].scratch;
      return pointers;
    }
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
    if (high && pass_averages) {
      pointers.averages = epilogue.second ? second.averages : dst.averages;
    }
    return pointers;
  }

  // The pass that makes the high output.
  [[nodiscard]] static bool is_high(const ConvPass& pass) noexcept {
    return pass.dst == Frequency::kHigh && !pass.upsampled;
  }

  // A pass whose first input is made some rows at a time.
  void run_fed(std::size_t i, PassMemory pointers, OctaveView<const float> src,
               float* memory) const noexcept {
    const Impl& before = *feed.plan;
    const OctConvWeights::Packed& packed = before.weights.packed();
    const PassMemory rows = before.memory_of(0, src, {}, {}, {}, memory + feed.scratch);
    const octave::RowFeed source{
        .plan = *std::get_if<DirectPass>(&before.passes[0].method),
        .packed = packed,
        .pass = packed.passes[0],
        .memory = rows,
        .averages = weights.reads_averages() ? memory + feed.averages : nullptr};
    pointers.feed = &source;
    run_pass(i, pointers);
  }

  // The weights divide by whole cells. Those at a far edge may have fewer pixels.
  void share_out(const ConvPass& pass, const PlannedPass& planned, float* out) const noexcept {
    const Extents3 fine = to_three(extents, 1);
    const Extents3& cells = planned.extents;
    const Extents3 cell = to_three(pass.inputs[0].path.upsample, 1);
    const std::int64_t channels = pass.groups * pass.outputs;
    // Pixels that the last cell of an axis has, if it is not whole.
    const Extents3 left{fine[0] % cell[0], fine[1] % cell[1], fine[2] % cell[2]};
    if (left == Extents3{}) return;
    const auto factor = [&](std::size_t axis, std::int64_t at) {
      return at + 1 == cells[axis] && left[axis] != 0
                 ? static_cast<float>(cell[axis]) / static_cast<float>(left[axis])
                 : 1.0F;
    };
    for (std::int64_t row = 0; row < batch * cells[0] * cells[1]; ++row) {
      const std::int64_t y = row % cells[1];
      const std::int64_t z = row / cells[1] % cells[0];
      const float row_factor = factor(0, z) * factor(1, y);
      for (std::int64_t x = row_factor == 1 ? cells[2] - 1 : 0; x < cells[2]; ++x) {
        const float all = row_factor * factor(2, x);
        float* pixel = out + (row * cells[2] + x) * channels;
        for (std::int64_t c = 0; c < channels; ++c) pixel[c] *= all;
      }
    }
  }

  // Whether a pass could be fed rows: they are those of its first input, and more than stays near
  // until all of them are made.
  [[nodiscard]] bool wants_rows(const ConvPass& pass) const noexcept {
    if (!feed.plan || !is_high(pass) || pass.inputs.empty() || pass.inputs[0].map != 0)
      return false;
    const std::vector<PlannedPass>& before = feed.plan->passes;
    const auto* rows = before.empty() ? nullptr : std::get_if<DirectPass>(&before[0].method);
    return rows != nullptr && rows->by_rows() &&
           batch * extents.elements() * weights.options().in.high >= kFarFloats;
  }

  void place_feed() {
    const ChannelSplit channels = weights.options().in;
    const std::int64_t low = batch * low_extents(extents, weights.options().octave).elements();
    feed.high = take_scratch(feed.by_rows ? 0 : batch * extents.elements() * channels.high);
    feed.low = take_scratch(low * channels.low);
    feed.averages = take_scratch(weights.reads_averages() ? low * channels.high : 0);
    feed.scratch = take_scratch(feed.plan->scratch);
    feed.plan->next = weights.packed().first();
  }

  std::int64_t take_scratch(std::int64_t elements) {
    const std::int64_t begin = scratch;
    scratch += (elements + 15) / 16 * 16;  // whole cache lines
    return begin;
  }

  // Whether a map comes with the input.
  [[nodiscard]] bool given(std::size_t map) const noexcept {
    return src_averages && map == weights.packed().averages;
  }

  void plan_map(const ConvMap& map, const Shape& in) {
    const ConvOptions& options = weights.options();
    PlannedMap planned{.kind = map.kind};
    const Extents3 window = to_three(map.window, 1);
    switch (map.kind) {
      case ConvMap::Kind::kInput: {
        const bool low = !maps.empty();
        planned.extents = low ? low_extents(in, options.octave) : in;
        maps.push_back(planned);
        return;
      }
      case ConvMap::Kind::kPooled:
        planned.extents = low_extents(maps[map.from].extents, map.window);
        planned.pool = pooled_cells(
            to_three(maps[map.from].extents, 1), window, map.channels,
            weights.packed().adjoint ? kernels::PoolKind::kSum : kernels::PoolKind::kAverage);
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
    const bool made = !given(maps.size());
    planned.scratch = take_scratch(made ? batch * planned.extents.elements() * map.channels : 0);
    maps.push_back(planned);
  }

  void plan_pass(const ConvPass& pass, const Shape& in) {
    const OctConvWeights::Packed& packed = weights.packed();
    const Shape grid = pass.upsampled ? path_extents(packed.options, pass.inputs[0].path, in)
                       : pass.dst == Frequency::kHigh ? extents
                                                      : low_extents(extents, packed.options.octave);
    const Extents3 out = to_three(grid, 1);
    std::vector<Shape> sources;
    for (const PassInput& input : pass.inputs) sources.push_back(maps[input.map].extents);
    const bool pools = epilogue.averages && is_high(pass);
    const bool rows = wants_rows(pass);
    const bool cells = pools || (rows && weights.reads_averages());
    const Extents3 cell = cells ? averages.kernel : Extents3{1, 1, 1};
    PlannedPass planned{.extents = out,
                        .method = pass.method == ConvMethod::kDirect
                                      ? decltype(PlannedPass::method)(DirectPass(
                                            packed, pass, sources, out, batch, cell, rows))
                                      : WinogradPass(packed, pass, sources, out, batch, cell,
                                                     is_short(epilogue.activation) &&
                                                         (!epilogue.second ||
                                                          is_short(epilogue.second->activation)))};
    if (const auto* direct = std::get_if<DirectPass>(&planned.method); rows && direct != nullptr) {
      feed.by_rows = direct->takes_feed();
    }
    if (pools) {
      pass_averages = std::visit([](const auto& method) { return method.pools(); }, planned.method);
    }
    if (pass.upsampled) {
      planned.scratch = take_scratch(batch * product(out) * pass.groups * pass.outputs);
    }
    if (pass.adds_upsampled) {
      const ConvPass& before = packed.passes[passes.size() - 1];
      planned.addend_from = passes.back().scratch;
      planned.addend = {.extents = passes.back().extents,
                        .factor = to_three(before.inputs[0].path.upsample, 1),
                        .channels = before.groups * before.outputs};
    }
    passes.push_back(std::move(planned));
  }
};

bool can_feed(const ConvOptions& depthwise, const ConvOptions& pointwise) {
  const auto all = [](const Shape& shape, std::int64_t value) {
    return shape == Shape::filled(shape.rank(), value);
  };
  return depthwise.depthwise() && depthwise.out == pointwise.in &&
         depthwise.octave == pointwise.octave && pointwise.groups == 1 &&
         all(pointwise.kernel, 1) && all(pointwise.stride, 1) && all(pointwise.padding_begin, 0) &&
         all(pointwise.padding_end, 0);
}

OctConvWeights::OctConvWeights(const ConvOptions& options, std::span<const float> weight,
                               std::span<const float> bias, const ConvMethods& methods,
                               TensorPool* pool)
    : packed_(
          std::make_shared<const Packed>(octave::pack_conv(options, weight, bias, methods, pool))) {
}

OctConvWeights::OctConvWeights(std::shared_ptr<const Packed> packed) noexcept
    : packed_(std::move(packed)) {}

OctConvWeights OctConvWeights::adjoint(const ConvOptions& options, std::span<const float> weight,
                                       const ConvMethods& methods, TensorPool* pool) {
  return OctConvWeights(
      std::make_shared<const Packed>(octave::pack_adjoint(options, weight, methods, pool)));
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

bool OctConvWeights::reads_averages() const noexcept {
  return packed_->averages != 0;
}

OctConvPlan::OctConvPlan(OctConvWeights weights, std::int64_t batch, const Shape& extents,
                         ConvEpilogue epilogue, bool src_averages,
                         const std::optional<DepthwiseFeed>& feed) {
  if (!feed) {
    impl_ = std::make_unique<Impl>(std::move(weights), batch, extents, std::move(epilogue),
                                   src_averages);
    return;
  }
  if (!can_feed(feed->weights.options(), weights.options())) {
    throw InvalidArgument("convolution: kernel " + weights.options().kernel.to_string() + " of " +
                          std::to_string(weights.options().in.total()) +
                          " channels cannot be fed by a depthwise one of kernel " +
                          feed->weights.options().kernel.to_string() + ", " +
                          std::to_string(feed->weights.options().out.total()) + " channels");
  }
  const bool averages = weights.reads_averages();
  auto before = std::make_unique<Impl>(
      feed->weights, batch, extents,
      ConvEpilogue{.activation = feed->activation, .second = {}, .averages = averages},
      src_averages);
  const Shape between = before->extents;
  impl_ = std::make_unique<Impl>(std::move(weights), batch, between, std::move(epilogue), averages,
                                 std::move(before));
}

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
