// SPDX-License-Identifier: Apache-2.0
#include "octconv/octave/conv_gradient.h"

#include <algorithm>
#include <string>
#include <vector>

#include "kernels/correlation.h"
#include "octave/pooled_cells.h"
#include "octave/tap_grid.h"
#include "octconv/base/error.h"
#include "octconv/base/parallel.h"

namespace octconv {
namespace {

using kernels::CorrelationKernel;
using kernels::Extents3;
using kernels::product;
using kernels::to_three;
using octave::TapGrid;

// A path's pixels are divided into parts of at least so many, each with sums of its own; all those
// sums together are no more than so many floats.
constexpr std::int64_t kPartPixels = 2048;
constexpr std::int64_t kMostParts = 16;
constexpr std::int64_t kMostSums = 1024 * 1024;

// One path's correlation.
class PathGradient {
 public:
  PathGradient(const ConvOptions& options, const ConvPath& path, std::int64_t batch,
               const Shape& map, const Shape& out, const float* src, const float* diff)
      : options_(options),
        path_(path),
        grid_(options, path, map, path.columns * path.groups),
        extents_(to_three(out, 1)),
        pixels_(batch * product(extents_)),
        src_(src),
        diff_(diff),
        zeros_(static_cast<std::size_t>(path.columns * path.groups)),
        outputs_(path.rows / path.groups),
        taps_(options.kernel.elements()),
        group_sums_(kernel_.sums(taps_ * path.columns, outputs_)),
        parts_(std::clamp<std::int64_t>(
            std::min(pixels_ / kPartPixels, kMostSums / std::max<std::int64_t>(1, sums())), 1,
            kMostParts)) {}

  // Overwrites the path's block of the weight's gradient.
  void run(std::span<float> weight) {
    std::vector<float> all(static_cast<std::size_t>(parts_ * sums()));
    const std::int64_t blocks = kernel_.blocks(outputs_);
    if (parts_ > 1) {
      parallel_for(parts_, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t part = begin; part < end; ++part) {
          correlate(pixels_ * part / parts_, pixels_ * (part + 1) / parts_, 0,
                    path_.groups * blocks, all.data() + part * sums());
        }
      });
      add_parts(all);
    } else {
      // One range of blocks a thread: each gathers the inputs of all pixels again.
      const std::int64_t each =
          (path_.groups * blocks + thread_count() - 1) / std::int64_t{thread_count()};
      parallel_for(path_.groups * blocks, each, [&](std::int64_t begin, std::int64_t end) {
        correlate(0, pixels_, begin, end, all.data());
      });
    }
    store(all, weight);
  }

 private:
  [[nodiscard]] std::int64_t sums() const { return path_.groups * group_sums_; }

  // Columns, blocks of the outputs of all groups, [column_begin, column_end) of pixels [begin,
  // end).
  void correlate(std::int64_t begin, std::int64_t end, std::int64_t column_begin,
                 std::int64_t column_end, float* to) const {
    constexpr std::int64_t most = kernels::kCorrelationPixels;
    std::vector<const float*> rows(static_cast<std::size_t>(taps_ * most));
    std::vector<float> panels(static_cast<std::size_t>(kernel_.panels(most, outputs_)));
    const std::int64_t blocks = kernel_.blocks(outputs_);
    for (; begin < end; begin += most) {
      const std::int64_t count = std::min(most, end - begin);
      grid_.fill(src_, zeros_.data(), extents_, begin, begin + count, {0, taps_}, count,
                 rows.data());
      for (std::int64_t column = column_begin; column < column_end;) {
        const std::int64_t group = column / blocks;
        const std::int64_t block = column % blocks;
        const std::int64_t block_end = std::min(blocks, block + column_end - column);
        const std::int64_t width = kernel_.lanes * kernel_.block_vectors;
        const std::int64_t first = block * width;  // output
        kernel_.pack(diff_ + begin * path_.rows + group * outputs_ + first, path_.rows, count,
                     std::min(block_end * width, outputs_) - first, panels.data() + first * count);
        kernel_.run({.rows = rows.data(),
                     .pitch = count,
                     .taps = taps_,
                     .first_channel = group * path_.columns,
                     .channels = path_.columns,
                     .diff = panels.data(),
                     .outputs = outputs_,
                     .pixels = count,
                     .sums = to + group * group_sums_},
                    block, block_end);
        column += block_end - block;
      }
    }
  }

  void add_parts(std::vector<float>& all) const {
    parallel_for(sums(), kMostSums / 64, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t part = 1; part < parts_; ++part) {
        const float* from = all.data() + part * sums();
        for (std::int64_t i = begin; i < end; ++i) all[static_cast<std::size_t>(i)] += from[i];
      }
    });
  }

  void store(const std::vector<float>& all, std::span<float> weight) const {
    const std::int64_t columns = options_.in.total() / options_.groups;
    const std::int64_t inputs = taps_ * path_.columns;
    parallel_for(
        path_.rows, kMostSums / 64 / std::max<std::int64_t>(1, inputs) + 1,
        [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t row = begin; row < end; ++row) {
            const float* sums = all.data() + row / outputs_ * group_sums_;
            const std::int64_t first = kernel_.place(inputs, outputs_, 0, row % outputs_);
            const std::int64_t step = kernel_.place(inputs, outputs_, 1, row % outputs_) - first;
            float* to = weight.data() + ((path_.row + row) * columns + path_.column) * taps_;
            for (std::int64_t column = 0; column < path_.columns; ++column) {
              for (std::int64_t tap = 0; tap < taps_; ++tap) {
                *to++ = sums[first + (tap * path_.columns + column) * step];
              }
            }
          }
        });
  }

  const CorrelationKernel& kernel_ = kernels::correlation_kernel();
  const ConvOptions& options_;
  const ConvPath& path_;
  TapGrid grid_;
  Extents3 extents_;
  std::int64_t pixels_;  // of all images
  const float* src_;
  const float* diff_;
  std::vector<float> zeros_;
  std::int64_t outputs_;  // of a group
  std::int64_t taps_;
  std::int64_t group_sums_;
  std::int64_t parts_;
};

// Averages or sums of the cells of a map.
std::vector<float> pooled(const float* src, std::int64_t batch, std::int64_t channels,
                          const Shape& extents, const Shape& cell, kernels::PoolKind kind) {
  const kernels::PoolRows pool =
      octave::pooled_cells(to_three(extents, 1), to_three(cell, 1), channels, kind);
  std::vector<float> result(static_cast<std::size_t>(batch * product(pool.extents) * channels));
  octave::run_pool(pool, batch, src, result.data());
  return result;
}

// What paths read after some of their pools, each made once.
class Pooled {
 public:
  template <class Make>
  const float* get(const ConvPath& path, std::size_t count, const Make& make) {
    const std::vector<PathPool> pools(path.pools.begin(),
                                      path.pools.begin() + static_cast<std::ptrdiff_t>(count));
    for (const Map& map : maps_) {
      if (map.src == path.src && map.pools == pools) return map.values.data();
    }
    maps_.push_back({path.src, pools, make()});
    return maps_.back().values.data();
  }

 private:
  struct Map {
    Frequency src;
    std::vector<PathPool> pools;
    std::vector<float> values;
  };
  std::vector<Map> maps_;
};

}  // namespace

ConvOptions adjoint_options(const ConvOptions& options) {
  ConvOptions adjoint = options;
  std::swap(adjoint.in, adjoint.out);
  for (std::size_t axis = 0; axis < options.rank(); ++axis) {
    const std::int64_t span = options.dilation[axis] * (options.kernel[axis] - 1);
    adjoint.padding_begin[axis] = span - options.padding_begin[axis];
    adjoint.padding_end[axis] = span - options.padding_end[axis];
  }
  if (options.exchange == Exchange::kHighToLow) adjoint.exchange = Exchange::kLowToHigh;
  if (options.exchange == Exchange::kLowToHigh) adjoint.exchange = Exchange::kHighToLow;
  return adjoint;
}

bool has_weight_gradient(const ConvOptions& options) {
  return rare_option(options).empty() && !options.depthwise() &&
         options.low_to_high == LowToHigh::kConvThenUpsample;
}

bool has_planned_gradient(const ConvOptions& options) {
  if (!rare_option(options).empty() || options.strided() ||
      options.low_to_high != LowToHigh::kConvThenUpsample)
    return false;
  for (std::size_t axis = 0; axis < options.rank(); ++axis) {
    const std::int64_t span = options.dilation[axis] * (options.kernel[axis] - 1);
    if (options.padding_begin[axis] > span || options.padding_end[axis] > span) return false;
  }
  return true;
}

void weight_gradient(const ConvOptions& options, std::int64_t batch, const Shape& extents,
                     OctaveView<const float> src, OctaveView<const float> diff,
                     std::span<float> weight) {
  check(options);
  if (!has_weight_gradient(options)) {
    throw Unsupported("the gradient of an octave convolution's weight: kernel " +
                      options.kernel.to_string() + ", " + std::to_string(options.groups) +
                      " groups, low_to_high " + std::string(to_string(options.low_to_high)) +
                      " has no plan");
  }
  const std::int64_t elements =
      options.out.total() * (options.in.total() / options.groups) * options.kernel.elements();
  if (static_cast<std::int64_t>(weight.size()) != elements) {
    throw InvalidArgument("the gradient of an octave convolution's weight must have " +
                          std::to_string(elements) + " elements, got " +
                          std::to_string(weight.size()));
  }
  const std::vector<ConvPath> paths = conv_paths(options);
  if (weight_elements(options) != elements) std::fill(weight.begin(), weight.end(), 0.0F);
  const Shape out = output_extents(options, extents);
  Pooled maps;
  std::vector<float> sums;  // of the output gradient's cells
  for (const ConvPath& path : paths) {
    const bool from_low = path.src == Frequency::kLow;
    const bool to_low = path.dst == Frequency::kLow;
    const float* read = from_low ? src.low : src.high;
    Shape map = from_low ? low_extents(extents, options.octave) : extents;
    for (std::size_t i = 0; i < path.pools.size(); ++i) {
      const Shape& window = path.pools[i].window;
      read = maps.get(path, i + 1, [&] {
        return pooled(read, batch, from_low ? options.in.low : options.in.high, map, window,
                      kernels::PoolKind::kAverage);
      });
      map = low_extents(map, window);
    }
    const float* made = to_low ? diff.low : diff.high;
    Shape grid = to_low ? low_extents(out, options.octave) : out;
    if (path.upsampled()) {
      if (sums.empty()) {
        sums =
            pooled(diff.high, batch, options.out.high, out, path.upsample, kernels::PoolKind::kSum);
      }
      made = sums.data();
      grid = low_extents(out, path.upsample);
    }
    PathGradient(options, path, batch, map, grid, read, made).run(weight);
  }
}

}  // namespace octconv
