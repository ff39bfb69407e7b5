// SPDX-License-Identifier: Apache-2.0
#include "octconv/graph/receptive_field.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>
#include <utility>

#include "base/checked.h"
#include "octconv/base/error.h"

namespace octconv {
namespace {

struct Interval {
  std::int64_t first = 0;
  std::int64_t last = 0;
  friend bool operator==(const Interval&, const Interval&) = default;
};

// One axis of a grid: pixel p depends on input pixels jump * p + phases[p mod phases.size()].
struct Axis {
  std::int64_t jump = 1;
  std::vector<Interval> phases{Interval{}};

  [[nodiscard]] Interval of(std::int64_t pixel) const {
    const auto count = static_cast<std::int64_t>(phases.size());
    const std::int64_t phase = ((pixel % count) + count) % count;
    const std::int64_t at = checked_product(jump, pixel);
    const Interval& interval = phases[static_cast<std::size_t>(phase)];
    return {checked_sum(at, interval.first), checked_sum(at, interval.last)};
  }
};

using Grid = std::vector<Axis>;

// Makes the axis whose pixel p depends on what `interval_of(p)` says.
template <class Function>
Axis make_axis(std::int64_t jump, std::int64_t phases, Function&& interval_of) {
  Axis axis{.jump = jump, .phases = {}};
  for (std::int64_t phase = 0; phase < phases; ++phase) {
    const Interval interval = interval_of(phase);
    axis.phases.push_back({interval.first - jump * phase, interval.last - jump * phase});
  }
  if (std::all_of(axis.phases.begin(), axis.phases.end(),
                  [&](const Interval& interval) { return interval == axis.phases[0]; })) {
    axis.phases.resize(1);
  }
  return axis;
}

Axis windows(const Axis& in, std::int64_t kernel, std::int64_t stride, std::int64_t dilation,
             std::int64_t padding) {
  const auto phases = static_cast<std::int64_t>(in.phases.size());
  return make_axis(
      checked_product(in.jump, stride), phases / std::gcd(phases, stride), [&](std::int64_t pixel) {
        const std::int64_t first = pixel * stride - padding;
        Interval hull = in.of(first);
        // Of taps a whole number of phases apart, the first reaches least and the last most far.
        for (std::int64_t i = 0; i < std::min(kernel, phases); ++i) {
          for (const std::int64_t tap : {i, kernel - 1 - i}) {
            const Interval interval = in.of(checked_sum(first, checked_product(tap, dilation)));
            hull = {std::min(hull.first, interval.first), std::max(hull.last, interval.last)};
          }
        }
        return hull;
      });
}

Axis upsample(const Axis& in, std::int64_t factor) {
  return make_axis(in.jump / factor, static_cast<std::int64_t>(in.phases.size()) * factor,
                   [&](std::int64_t pixel) { return in.of(pixel / factor); });
}

// A finer grid than the input's has no whole number of input pixels between its own.
void check_finer(const Axis& in, std::int64_t factor) {
  if (in.jump % factor != 0)
    throw Unsupported("a receptive field is counted on grids no finer than the input's");
}

// Pixels i with stride * i + dilation * t - padding == p for some tap t; where the stride leaves
// none, those around p.
Axis transposed_windows(const Axis& in, const ConvTranspose& conv, std::size_t axis) {
  const std::int64_t stride = conv.stride[axis];
  check_finer(in, stride);
  return make_axis(
      in.jump / stride, static_cast<std::int64_t>(in.phases.size()) * stride,
      [&](std::int64_t pixel) {
        const std::int64_t at =
            pixel + conv.padding_begin[axis] + stride * conv.kernel[axis] * conv.dilation[axis];
        std::optional<Interval> hull;
        for (std::int64_t tap = 0; tap < conv.kernel[axis]; ++tap) {
          const std::int64_t place = at - tap * conv.dilation[axis];
          if (place % stride != 0) continue;
          const Interval one = in.of(place / stride - conv.kernel[axis] * conv.dilation[axis]);
          hull = hull ? Interval{std::min(hull->first, one.first), std::max(hull->last, one.last)}
                      : one;
        }
        return hull ? *hull : in.of(at / stride - conv.kernel[axis] * conv.dilation[axis]);
      });
}

// Linear: pixel i lies at (i + 1/2) / factor - 1/2, between two.
Axis interpolate(const Axis& in, std::int64_t factor) {
  return make_axis(
      in.jump / factor, static_cast<std::int64_t>(in.phases.size()) * factor,
      [&](std::int64_t pixel) {
        const std::int64_t twice = 2 * pixel + 1 - factor;  // 2 * factor * place
        const std::int64_t below =
            twice >= 0 ? twice / (2 * factor) : -((2 * factor - 1 - twice) / (2 * factor));
        const Interval one = in.of(below);
        if (twice == 2 * factor * below) return one;
        const Interval other = in.of(below + 1);
        return Interval{std::min(one.first, other.first), std::max(one.last, other.last)};
      });
}

Axis unite(const Axis& a, const Axis& b) {
  const auto phases = std::lcm(a.phases.size(), b.phases.size());
  return make_axis(a.jump, static_cast<std::int64_t>(phases), [&](std::int64_t pixel) {
    const Interval one = a.of(pixel);
    const Interval other = b.of(pixel);
    return Interval{std::min(one.first, other.first), std::max(one.last, other.last)};
  });
}

// One frequency of a value: absent, or the whole image (no axes), or a grid.
struct Field {
  bool present = false;
  bool whole = false;
  Grid grid;
};

using Fields = std::array<Field, 2>;  // high, low

void join(Field& all, const Field& more) {
  if (!more.present) return;
  if (!all.present) {
    all = more;
    return;
  }
  all.whole = all.whole || more.whole;
  if (all.whole) {
    all.grid.clear();
    return;
  }
  for (std::size_t axis = 0; axis < all.grid.size(); ++axis) {
    all.grid[axis] = unite(all.grid[axis], more.grid[axis]);
  }
}

std::size_t index(Frequency frequency) {
  return frequency == Frequency::kHigh ? 0 : 1;
}

Field follow(const ConvOptions& conv, const ConvPath& path, Field field) {
  if (field.whole) return field;
  for (std::size_t i = 0; i < field.grid.size(); ++i) {
    Axis& axis = field.grid[i];
    for (const PathPool& pool : path.pools) {
      axis = windows(axis, pool.window[i], pool.window[i], 1, 0);
    }
    if (path.upsample_first) axis = upsample(axis, path.upsample[i]);
    axis = windows(axis, conv.kernel[i], path.stride[i], conv.dilation[i], conv.padding_begin[i]);
    if (!path.upsample_first) axis = upsample(axis, path.upsample[i]);
  }
  return field;
}

ReceptiveField result_of(const Field& field) {
  ReceptiveField result;
  result.whole = field.whole;
  for (const Axis& axis : field.grid) {
    std::int64_t extent = 0;
    for (const Interval& phase : axis.phases) {
      extent = std::max(extent, phase.last - phase.first + 1);
    }
    result.jump.push_back(axis.jump);
    result.extent.push_back(extent);
  }
  return result;
}

class Walk {
 public:
  explicit Walk(const Graph& graph) : graph_(graph) {}

  std::vector<ValueReceptiveField> run() {
    std::vector<ValueReceptiveField> results;
    for (std::size_t i = 0; i < graph_.nodes().size(); ++i) {
      fields_.push_back(compute(static_cast<NodeId>(i)));
      results.push_back({.high = result_of(fields_[i][0]), .low = result_of(fields_[i][1])});
    }
    return results;
  }

 private:
  [[nodiscard]] Fields compute(NodeId id) const {
    const Node& node = graph_.node(id);
    const auto in = [&](std::size_t i) -> const Fields& {
      return fields_[static_cast<std::size_t>(node.inputs[i])];
    };
    const auto united = [&] {
      Fields all;
      for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        for (std::size_t frequency = 0; frequency < 2; ++frequency)
          join(all[frequency], in(i)[frequency]);
      }
      return all;
    };
    const auto whole = [&] {
      Fields all;
      all[0] = {.present = node.channels.high > 0, .whole = true, .grid = {}};
      all[1] = {.present = node.channels.low > 0, .whole = node.channels.low > 0, .grid = {}};
      return all;
    };
    return std::visit(
        Overloaded{
            [&](const Input&) {
              Fields input;
              input[0] = {.present = true, .whole = false, .grid = Grid(graph_.rank())};
              return input;
            },
            [&](const Conv&) {
              const ConvOptions conv = graph_.conv_options(id);
              Fields out;
              for (const ConvPath& path : conv_paths(conv)) {
                join(out[index(path.dst)], follow(conv, path, in(0)[index(path.src)]));
              }
              return out;
            },
            [&](const ConvTranspose& conv) {
              Fields out = in(0);
              for (std::size_t i = 0; i < out[0].grid.size(); ++i)
                out[0].grid[i] = transposed_windows(out[0].grid[i], conv, i);
              return out;
            },
            [&](const BatchNorm&) { return in(0); }, [&](const Activation&) { return in(0); },
            [&](const Add&) { return united(); }, [&](const Multiply&) { return united(); },
            [&](const Concat&) { return united(); }, [&](const Select&) { return in(0); },
            [&](const Scale&) { return whole(); }, [&](const Attention&) { return whole(); },
            [&](const Softmax&) { return in(0); },
            [&](const Resize& resize) {
              Fields out = in(0);
              for (Field& field : out) {
                for (std::size_t i = 0; i < field.grid.size(); ++i) {
                  Axis& axis = field.grid[i];
                  check_finer(axis, resize.factor[i]);
                  axis = resize.mode == ResizeMode::kNearest ? upsample(axis, resize.factor[i])
                                                             : interpolate(axis, resize.factor[i]);
                }
              }
              return out;
            },
            [&](const Pool& pool) {
              Fields out = in(0);
              for (Field& field : out) {
                for (std::size_t i = 0; i < field.grid.size(); ++i) {
                  field.grid[i] = windows(field.grid[i], pool.kernel[i], pool.stride[i], 1,
                                          pool.padding_begin[i]);
                }
              }
              return out;
            },
            [&](const GlobalPool&) { return whole(); }, [&](const Linear&) { return whole(); }},
        node.op);
  }

  const Graph& graph_;
  std::vector<Fields> fields_;
};

}  // namespace

std::vector<ValueReceptiveField> receptive_fields(const Graph& graph) {
  return Walk(graph).run();
}

}  // namespace octconv
