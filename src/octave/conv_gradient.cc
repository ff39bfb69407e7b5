// SPDX-License-Identifier: Apache-2.0
#include "octconv/octave/conv_gradient.h"

#include <algorithm>
#include <string>
#include <variant>
#include <vector>

#include "kernels/correlation.h"
#include "octave/pooled_cells.h"
#include "octave/tap_grid.h"
#include "octave/winograd_gradient.h"
#include "octconv/base/error.h"
#include "octconv/base/parallel.h"
#include "octconv/octave/conv_method.h"

namespace octconv {
namespace {

using kernels::CorrelationKernel;
using kernels::Extents3;
using kernels::product;
using kernels::to_three;
using octave::Range;
using octave::TapGrid;
using octave::WinogradGradient;

// A path's pixels are divided into parts of at least so many, each with sums of its own; all those
// sums together are no more than so many floats.
constexpr std::int64_t kPartPixels = 1024;
constexpr std::int64_t kMostParts = 16;
constexpr std::int64_t kMostSums = 1024 * 1024;
// Fewer rows do not pay for packing what is read for them.
constexpr std::int64_t kBlockRows = 64;

// One path's correlation. Pixels are taken by units of whole images, large enough for the kernel.
class DirectGradient {
 public:
  DirectGradient(const ConvOptions& options, const ConvPath& path, std::int64_t batch,
                 const Shape& map, const Shape& out, const float* src, const Prologue& prologue,
                 const float* diff)
      : options_(options),
        path_(path),
        grid_(options, path, map, path.columns * path.groups),
        extents_(to_three(out, 1)),
        batch_(batch),
        map_elements_(map.elements() * path.columns * path.groups),
        src_(src),
        prologue_(prologue),
        diff_(diff),
        zeros_(static_cast<std::size_t>(path.columns)),
        outputs_(path.rows / path.groups),
        taps_(options.kernel.elements()),
        row_sums_(kernel_.row(taps_, path.columns)),
        unit_(std::clamp<std::int64_t>(kernels::kCorrelationPixels / product(extents_), 1, batch)),
        units_((batch + unit_ - 1) / unit_),
        parts_(octave::even_parts(std::min(
            {batch * product(extents_) / kPartPixels, kMostSums / sums(), kMostParts, units_}))),
        in_place_(parts_ == 1 && taps_ == 1 && row_sums_ == path.columns) {
    // Where taps side by side, packed as one run, are fewer vectors by a third at least.
    const std::size_t last = options.rank() - 1;
    const std::int64_t taps_x = options.kernel[last];
    const bool side_by_side = options.dilation[last] == 1 && path.groups == 1 &&
                              kernel_.step(path.columns) == path.columns;
    const std::int64_t apart = taps_x * kernel_.whole(path.columns);
    const bool pays = 3 * kernel_.whole(taps_x * path.columns) <= 2 * apart;
    if (side_by_side && pays && !prologue) run_ = taps_x;
  }

  // By a model of the costs, in products of a vector with a number; measured on a core with AVX-512
  // (Zen 4).
  [[nodiscard]] double cost() const {
    constexpr double kProduct = 1.15;
    constexpr double kPacking = 12;  // of a vector of one pixel
    const auto vectors = static_cast<double>(row_sums_ / kernel_.lanes);
    return static_cast<double>(batch_ * product(extents_)) * vectors *
           (kProduct * static_cast<double>(path_.rows) + kPacking);
  }

  // Floats of the sums of all parts.
  [[nodiscard]] std::int64_t scratch_elements() const { return in_place_ ? 0 : parts_ * sums(); }

  // Overwrites the path's block of the weight's gradient.
  void run(std::span<float> weight, float* scratch) {
    offsets_ = grid_.offsets(extents_, unit_);
    const Division by = division();
    const std::int64_t blocks = by.rows * by.columns;
    const Sums all =
        in_place_ ? Sums{row_of(weight, 0), weight_columns()} : Sums{scratch, row_sums_};
    parallel_for(parts_ * blocks, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t part = i / blocks;
        const std::int64_t block = i % blocks;
        correlate({units_ * part / parts_, units_ * (part + 1) / parts_},
                  share(path_.rows, kernel_.outputs, block / by.columns, by.rows),
                  share(row_sums_, kernel_.columns, block % by.columns, by.columns),
                  {all.at + part * sums(), all.pitch});
      }
    });
    if (in_place_) return;
    if (parts_ > 1) octave::add_parts(scratch, parts_, sums());
    store(scratch, weight);
  }

 private:
  // Into how many blocks the sums of a part are divided, along each side.
  struct Division {
    std::int64_t rows;
    std::int64_t columns;
  };

  // Those of a part.
  struct Sums {
    float* at;
    std::int64_t pitch;  // floats from one row to the next
  };

  [[nodiscard]] std::int64_t sums() const { return path_.rows * row_sums_; }

  [[nodiscard]] std::int64_t weight_columns() const {
    return options_.in.total() / options_.groups;
  }
  // The path's part of a row of the weight's gradient.
  [[nodiscard]] float* row_of(std::span<float> weight, std::int64_t row) const {
    return weight.data() + ((path_.row + row) * weight_columns() + path_.column) * taps_;
  }

  // No more than threads need: each block of rows packs what it reads, and each of columns reads
  // the outputs' gradients again.
  [[nodiscard]] Division division() const {
    const std::int64_t threads = thread_count();
    const std::int64_t wanted = threads == 1 ? 1 : (2 * threads + parts_ - 1) / parts_;
    const std::int64_t rows = std::clamp<std::int64_t>(path_.rows / kBlockRows, 1, wanted);
    const std::int64_t most_columns = (row_sums_ + kernel_.columns - 1) / kernel_.columns;
    return {rows, std::min((wanted + rows - 1) / rows, most_columns)};
  }

  // One of some shares of `count`, in whole steps.
  static Range share(std::int64_t count, std::int64_t step, std::int64_t index,
                     std::int64_t shares) {
    const std::int64_t steps = (count + step - 1) / step;
    return {steps * index / shares * step, std::min(steps * (index + 1) / shares * step, count)};
  }

  // Some sums of all groups, over some units.
  void correlate(Range units, Range rows, Range columns, const Sums& to) const {
    const std::int64_t image_pixels = product(extents_);
    for (std::int64_t unit = units.begin; unit < units.end; ++unit) {
      const std::int64_t image = unit * unit_;
      const std::int64_t pixels = std::min(unit_, batch_ - image) * image_pixels;
      const std::int64_t chunks =
          (pixels + kernels::kCorrelationPixels - 1) / kernels::kCorrelationPixels;
      for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
        const std::int64_t first = pixels * chunk / chunks;
        correlate(image, {first, pixels * (chunk + 1) / chunks}, rows, columns, to,
                  unit > units.begin || chunk > 0);
      }
    }
  }

  // Over some pixels, counted from the first one of an image.
  void correlate(std::int64_t image, Range pixels, Range rows, Range columns, const Sums& to,
                 bool adds) const {
    for (std::int64_t row = rows.begin; row < rows.end;) {
      const std::int64_t group = row / outputs_;
      const std::int64_t end = std::min((group + 1) * outputs_, rows.end);
      kernel_.run({.src = src_ + image * map_elements_ + group * path_.columns,
                   .prologue = prologue_.from(group * path_.columns),
                   .zeros = zeros_.data(),
                   .offsets = offsets_.data() + pixels.begin,
                   .pitch = unit_ * product(extents_),
                   .taps = taps_,
                   .run = run_,
                   .channels = path_.columns,
                   .diff = diff_ + (image * product(extents_) + pixels.begin) * path_.rows,
                   .stride = path_.rows,
                   .pixels = pixels.size(),
                   .sums = to.at,
                   .sums_pitch = to.pitch,
                   .adds = adds},
                  {row, end, columns.begin, columns.end});
      row = end;
    }
  }

  void store(const float* all, std::span<float> weight) const {
    const std::int64_t step = kernel_.step(path_.columns);
    parallel_for(path_.rows, kMostSums / 64 / row_sums_ + 1,
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t row = begin; row < end; ++row) {
                     const float* sums = all + row * row_sums_;
                     float* to = row_of(weight, row);
                     for (std::int64_t column = 0; column < path_.columns; ++column) {
                       for (std::int64_t tap = 0; tap < taps_; ++tap)
                         *to++ = sums[tap * step + column];
                     }
                   }
                 });
  }

  const CorrelationKernel& kernel_ = kernels::correlation_kernel();
  const ConvOptions& options_;
  const ConvPath& path_;
  TapGrid grid_;
  Extents3 extents_;
  std::int64_t batch_;
  std::int64_t map_elements_;  // of an image
  const float* src_;
  Prologue prologue_;
  const float* diff_;
  std::vector<float> zeros_;
  std::int64_t outputs_;  // of a group
  std::int64_t taps_;
  std::int64_t run_ = 1;   // of them read pixels side by side
  std::int64_t row_sums_;  // of an output
  std::int64_t unit_;      // images that share offsets
  std::int64_t units_;
  std::int64_t parts_;
  bool in_place_;                      // the sums of one part lie as the weight does
  std::vector<std::int64_t> offsets_;  // [tap][pixel of a unit]
};

// Pieces of the caller's memory, one after the other; or they are only counted.
class Pieces {
 public:
  Pieces(std::span<float> all, bool counting) : all_(all), counting_(counting) {}

  [[nodiscard]] bool counting() const { return counting_; }
  [[nodiscard]] std::int64_t taken() const { return taken_; }

  float* take(std::int64_t count) {
    float* const piece = counting_ ? nullptr : all_.data() + taken_;
    taken_ += count;
    if (!counting_ && taken_ > static_cast<std::int64_t>(all_.size())) {
      throw InvalidArgument("the gradient of an octave convolution's weight needs " +
                            std::to_string(taken_) + " floats of scratch memory or more, got " +
                            std::to_string(all_.size()));
    }
    return piece;
  }

 private:
  std::span<float> all_;
  bool counting_;
  std::int64_t taken_ = 0;
};

// Averages or sums of the cells of a map.
const float* pooled(Pieces& pieces, const float* src, const Prologue& prologue, std::int64_t batch,
                    std::int64_t channels, const Shape& extents, const Shape& cell,
                    kernels::PoolKind kind) {
  kernels::PoolRows pool =
      octave::pooled_cells(to_three(extents, 1), to_three(cell, 1), channels, kind);
  pool.prologue = prologue;
  float* const result = pieces.take(batch * product(pool.extents) * channels);
  if (!pieces.counting()) octave::run_pool(pool, batch, src, result);
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
      if (map.src == path.src && map.pools == pools) return map.values;
    }
    maps_.push_back({path.src, pools, make()});
    return maps_.back().values;
  }

 private:
  struct Map {
    Frequency src;
    std::vector<PathPool> pools;
    const float* values;
  };
  std::vector<Map> maps_;
};

using AnyGradient = std::variant<DirectGradient, WinogradGradient>;

AnyGradient gradient_of(WeightGradientMethod method, const ConvOptions& options,
                        const ConvPath& path, std::int64_t batch, const Shape& map,
                        const Shape& out, const float* src, const Prologue& prologue,
                        const float* diff) {
  DirectGradient direct(options, path, batch, map, out, src, prologue, diff);
  if (method == WeightGradientMethod::kDirect || !has_winograd(options, path)) return direct;
  WinogradGradient winograd(options, path, batch, map, out, src, prologue, diff);
  if (method == WeightGradientMethod::kFastest && direct.cost() <= winograd.cost()) return direct;
  return winograd;
}

// Floats of scratch memory. Without a weight nothing is computed.
std::int64_t for_paths(const ConvOptions& options, std::int64_t batch, const Shape& extents,
                       OctaveView<const float> src, const OctavePrologue& prologue,
                       OctaveView<const float> diff, std::span<float> weight,
                       std::span<float> scratch, WeightGradientMethod method) {
  const Shape out = output_extents(options, extents);
  Pieces pieces(scratch, weight.empty());
  Pooled maps;
  const float* sums = nullptr;  // of the output gradient's cells
  bool has_sums = false;
  std::int64_t most = 0;  // of one path
  std::vector<AnyGradient> gradients;
  const std::vector<ConvPath> paths = conv_paths(options);
  gradients.reserve(paths.size());
  for (const ConvPath& path : paths) {
    const bool from_low = path.src == Frequency::kLow;
    const bool to_low = path.dst == Frequency::kLow;
    const float* read = from_low ? src.low : src.high;
    Prologue through = from_low ? prologue.low : prologue.high;
    Shape map = from_low ? low_extents(extents, options.octave) : extents;
    for (std::size_t i = 0; i < path.pools.size(); ++i) {
      const Shape& window = path.pools[i].window;
      const bool given = i == 0 && !from_low && src.averages != nullptr && window == options.octave;
      read = maps.get(path, i + 1, [&] {
        if (given) return src.averages;
        return pooled(pieces, read, through, batch, from_low ? options.in.low : options.in.high,
                      map, window, kernels::PoolKind::kAverage);
      });
      through = {};
      map = low_extents(map, window);
    }
    const float* made = to_low ? diff.low : diff.high;
    Shape grid = to_low ? low_extents(out, options.octave) : out;
    if (path.upsampled()) {
      if (!has_sums) {
        const bool given = diff.averages != nullptr && path.upsample == options.octave;
        sums = given ? diff.averages
                     : pooled(pieces, diff.high, {}, batch, options.out.high, out, path.upsample,
                              kernels::PoolKind::kSum);
        has_sums = true;
      }
      made = sums;
      grid = low_extents(out, path.upsample);
    }
    gradients.push_back(gradient_of(method, options, path, batch, map, grid, read, through, made));
    most = std::max(
        most, std::visit([](const auto& g) { return g.scratch_elements(); }, gradients.back()));
  }
  float* const all = pieces.take(most);
  if (!pieces.counting()) {
    for (AnyGradient& gradient : gradients) {
      std::visit([&](auto& g) { g.run(weight, all); }, gradient);
    }
  }
  return pieces.taken();
}

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

std::int64_t weight_gradient_scratch(const ConvOptions& options, std::int64_t batch,
                                     const Shape& extents, WeightGradientMethod method) {
  return for_paths(options, batch, extents, {}, {}, {}, {}, {}, method);
}

void weight_gradient(const ConvOptions& options, std::int64_t batch, const Shape& extents,
                     OctaveView<const float> src, OctaveView<const float> diff,
                     std::span<float> weight, std::span<float> scratch, WeightGradientMethod method,
                     const OctavePrologue& prologue) {
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
  if (weight_elements(options) != elements) std::fill(weight.begin(), weight.end(), 0.0F);
  for_paths(options, batch, extents, src, prologue, diff, weight, scratch, method);
}

}  // namespace octconv
