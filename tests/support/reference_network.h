// SPDX-License-Identifier: Apache-2.0
// A graph evaluated node by node in double, one image at a time, with no fusion and no plan.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "octconv/base/random.h"
#include "octconv/graph/model.h"
#include "support/activation.h"
#include "support/reference_conv.h"

namespace octconv::reference {

/// Parameters like those of a trained network: no scale is 1 and no shift 0.
inline Weights random_weights(const Graph& graph, std::uint64_t seed) {
  Weights weights;
  Random random(seed);
  for (const Parameter& parameter : parameters(graph)) {
    Tensor tensor(parameter.shape);
    double centre = 0;
    double width = 0.5;
    if (parameter.kind == Parameter::Kind::kWeight) {
      const std::int64_t fan_in = tensor.elements() / parameter.shape[0];
      width = std::sqrt(6.0 / static_cast<double>(fan_in));  // keeps the size of values
    } else if (parameter.kind == Parameter::Kind::kScale ||
               parameter.kind == Parameter::Kind::kVariance) {
      centre = 1;
    }
    for (float& value : tensor.values()) {
      value = static_cast<float>(centre + width * (2 * random.uniform() - 1));
    }
    weights.emplace(parameter.name, std::move(tensor));
  }
  return weights;
}

/// One image of a value: high, then low. A value without extents has extents [] and one pixel.
using Value = std::pair<Map, Map>;

/// Evaluates nodes from the values that are known (at least the input's).
class Interpreter {
 public:
  /// @param known  gives a node's value, or nothing if it is to be computed from its inputs
  Interpreter(const Model& model, std::function<std::optional<Value>(NodeId)> known)
      : model_(model), known_(std::move(known)) {}

  /// The node's value computed from its inputs' values, even if it is known.
  [[nodiscard]] Value compute(NodeId id) const {
    const Node& node = model_.graph.node(id);
    std::vector<Value> in;
    for (const NodeId input : node.inputs) {
      std::optional<Value> value = known_(input);
      in.push_back(value ? *std::move(value) : compute(input));
    }
    return std::visit(
        Overloaded{
            [&](const Input&) -> Value { return known_(id).value(); },
            [&](const Conv& conv) -> Value { return convolve(id, conv, in[0]); },
            [&](const BatchNorm& norm) -> Value {
              const std::int64_t low = in[0].second.channels;
              return {normalize(node, norm, in[0].first, low),
                      normalize(node, norm, in[0].second, 0)};
            },
            [&](const Activation& activation) -> Value {
              return {activate(activation, in[0].first), activate(activation, in[0].second)};
            },
            [&](const ConvTranspose& conv) -> Value {
              return {transpose(node, conv, in[0].first), Map()};
            },
            [&](const Multiply&) -> Value {
              return {multiply(in[0].first, in[1].first), multiply(in[0].second, in[1].second)};
            },
            [&](const Select& select) -> Value {
              return {choose(select, in[0].first), Map()};
            },
            [&](const Softmax&) -> Value {
              return {softmax(in[0].first), Map()};
            },
            [&](const Resize& resize) -> Value {
              Value out;
              const Shape high = resized_extents(resize, in[0].first.extents);
              out.first = enlarge(resize, in[0].first, high);
              if (in[0].second.channels > 0)
                out.second =
                    enlarge(resize, in[0].second, low_extents(high, model_.graph.octave()));
              return out;
            },
            [&](const Add&) -> Value {
              return {add(in[0].first, in[1].first), add(in[0].second, in[1].second)};
            },
            [&](const Concat&) -> Value {
              Value out;
              for (Map Value::*part : {&Value::first, &Value::second}) {
                std::vector<const Map*> maps;
                for (const Value& value : in) maps.push_back(&(value.*part));
                out.*part = concat(maps);
              }
              return out;
            },
            [&](const Scale&) -> Value {
              const std::int64_t low = in[0].second.channels;
              return {scale(in[0].first, in[1].first, low), scale(in[0].second, in[1].first, 0)};
            },
            [&](const Attention& attention) -> Value {
              return {attend(attention, in[0].first, in[1].first, in[2].first), Map()};
            },
            [&](const Pool& window) -> Value {
              Value out;
              out.first = pool(window, in[0].first, high_extents(window, in[0].first));
              if (in[0].second.channels > 0) {
                const Shape low = low_extents(out.first.extents, model_.graph.octave());
                out.second = pool(window, in[0].second, low);
              }
              return out;
            },
            [&](const GlobalPool&) -> Value {
              return {means(in[0]), Map()};
            },
            [&](const Linear& linear) -> Value {
              return {multiply(node, linear, in[0].first), Map()};
            }},
        node.op);
  }

 private:
  [[nodiscard]] std::span<const float> parameter(const Node& node, const char* what) const {
    return model_.weights.at(node.name + "." + what).values();
  }

  [[nodiscard]] Value convolve(NodeId id, const Conv& conv, const Value& in) const {
    const Node& node = model_.graph.node(id);
    std::span<const float> bias;
    if (conv.bias) bias = parameter(node, "bias");
    return Layer(model_.graph.conv_options(id), parameter(node, "weight"), bias)(in.first,
                                                                                 in.second);
  }

  [[nodiscard]] Map normalize(const Node& node, const BatchNorm& norm, const Map& in,
                              std::int64_t first) const {
    Map out = in;
    out.terms +=
        5;  // scale and shift, their own rounding, and that of a weight they are folded into
    for (std::int64_t c = 0; c < in.channels; ++c) {
      const auto at = static_cast<std::size_t>(first + c);
      const auto get = [&](const char* what) {
        return static_cast<double>(parameter(node, what)[at]);
      };
      const double scale =
          (norm.affine ? get("weight") : 1) / std::sqrt(get("running_var") + norm.epsilon);
      const double shift = (norm.affine ? get("bias") : 0) - scale * get("running_mean");
      for (std::int64_t p = 0; p < in.pixels(); ++p) {
        const std::size_t i = in.index(c, p);
        out.values[i] = in.values[i] * scale + shift;
        out.magnitudes[i] = in.magnitudes[i] * std::abs(scale) + std::abs(shift);
      }
    }
    return out;
  }

  [[nodiscard]] static Map activate(const Activation& activation, const Map& in) {
    Map out = in;
    for (std::size_t i = 0; i < in.values.size(); ++i) {
      out.values[i] = activated(in.values[i], activation);
      out.magnitudes[i] = in.magnitudes[i] * steepest(activation) +
                          own_roundings(activation) * std::max(1.0, std::abs(in.values[i]));
    }
    return out;
  }

  [[nodiscard]] static Map multiply(const Map& a, const Map& b) {
    Map out = a;
    out.terms = a.terms + b.terms + 1;
    for (std::size_t i = 0; i < a.values.size(); ++i) {
      out.values[i] *= b.values[i];
      out.magnitudes[i] = a.magnitudes[i] * b.magnitudes[i];
    }
    return out;
  }

  [[nodiscard]] static Map choose(const Select& select, const Map& in) {
    Map out(static_cast<std::int64_t>(select.channels.size()), in.extents);
    out.terms = in.terms;
    for (std::int64_t c = 0; c < out.channels; ++c) {
      for (std::int64_t p = 0; p < out.pixels(); ++p) {
        const std::size_t from = in.index(select.channels[static_cast<std::size_t>(c)], p);
        out.values[out.index(c, p)] = in.values[from];
        out.magnitudes[out.index(c, p)] = in.magnitudes[from];
      }
    }
    return out;
  }

  // An error in a score is one relative to its share, over and under the fraction bar.
  [[nodiscard]] static Map softmax(const Map& in) {
    Map out = in;
    out.terms = in.terms + in.channels + 8;
    for (std::int64_t p = 0; p < in.pixels(); ++p) {
      double sum = 0;
      double doubt = 1;
      for (std::int64_t c = 0; c < in.channels; ++c) {
        sum += std::exp(in.values[in.index(c, p)]);
        doubt = std::max(doubt, in.magnitudes[in.index(c, p)]);
      }
      for (std::int64_t c = 0; c < in.channels; ++c) {
        const std::size_t i = in.index(c, p);
        out.values[i] = std::exp(in.values[i]) / sum;
        out.magnitudes[i] = out.values[i] * (1 + 2 * doubt);
      }
    }
    return out;
  }

  // The share that input pixel `from` has in output pixel `to`, along one axis.
  [[nodiscard]] static double share(const Resize& resize, std::size_t axis, std::int64_t to,
                                    std::int64_t from, std::int64_t in) {
    if (resize.mode == ResizeMode::kNearest) return to / resize.factor[axis] == from ? 1 : 0;
    double place = (static_cast<double>(to) + 0.5) / static_cast<double>(resize.factor[axis]) - 0.5;
    place = std::clamp(place, 0.0, static_cast<double>(in - 1));
    return std::max(0.0, 1 - std::abs(place - static_cast<double>(from)));
  }

  [[nodiscard]] static Map enlarge(const Resize& resize, const Map& in, const Shape& extents) {
    Map out(in.channels, extents);
    out.terms = in.terms + 16;
    for (std::int64_t p = 0; p < out.pixels(); ++p) {
      const Shape at = unravel(p, extents);
      for (std::int64_t q = 0; q < in.pixels(); ++q) {
        const Shape from = unravel(q, in.extents);
        double all = 1;
        for (std::size_t axis = 0; axis < at.rank(); ++axis)
          all *= share(resize, axis, at[axis], from[axis], in.extents[axis]);
        if (all == 0) continue;
        for (std::int64_t c = 0; c < in.channels; ++c) {
          out.values[out.index(c, p)] += all * in.values[in.index(c, q)];
          out.magnitudes[out.index(c, p)] += all * in.magnitudes[in.index(c, q)];
        }
      }
    }
    return out;
  }

  // Every input pixel adds its taps to the output.
  [[nodiscard]] Map transpose(const Node& node, const ConvTranspose& conv, const Map& in) const {
    Map out(conv.out_channels, transposed_extents(conv, in.extents));
    const std::int64_t columns = in.channels / conv.groups;
    const std::int64_t rows = conv.out_channels / conv.groups;
    const std::int64_t taps = conv.kernel.elements();
    out.terms = in.terms + columns * taps + 1;
    const auto weight = parameter(node, "weight");
    for (std::int64_t o = 0; o < conv.out_channels && conv.bias; ++o) {
      for (std::int64_t p = 0; p < out.pixels(); ++p) {
        out.values[out.index(o, p)] =
            static_cast<double>(parameter(node, "bias")[static_cast<std::size_t>(o)]);
        out.magnitudes[out.index(o, p)] = std::abs(out.values[out.index(o, p)]);
      }
    }
    for (std::int64_t p = 0; p < in.pixels(); ++p) {
      for (std::int64_t tap = 0; tap < taps; ++tap) {
        Shape at = unravel(p, in.extents);
        const Shape k = unravel(tap, conv.kernel);
        for (std::size_t axis = 0; axis < at.rank(); ++axis)
          at[axis] = at[axis] * conv.stride[axis] + k[axis] * conv.dilation[axis] -
                     conv.padding_begin[axis];
        const std::int64_t to = ravel(at, out.extents);
        if (to < 0) continue;
        for (std::int64_t c = 0; c < in.channels; ++c) {
          for (std::int64_t o = 0; o < rows; ++o) {
            const auto w =
                static_cast<double>(weight[static_cast<std::size_t>((c * rows + o) * taps + tap)]);
            const std::size_t i = out.index(c / columns * rows + o, to);
            out.values[i] += w * in.values[in.index(c, p)];
            out.magnitudes[i] += std::abs(w) * in.magnitudes[in.index(c, p)];
          }
        }
      }
    }
    return out;
  }

  [[nodiscard]] static Shape high_extents(const Pool& window, const Map& in) {
    Shape out = in.extents;
    for (std::size_t axis = 0; axis < out.rank(); ++axis) {
      out[axis] = (in.extents[axis] + window.padding_begin[axis] + window.padding_end[axis] -
                   window.kernel[axis]) /
                      window.stride[axis] +
                  1;
    }
    return out;
  }

  [[nodiscard]] static Map pool(const Pool& window, const Map& in, const Shape& extents) {
    Map out(in.channels, extents);
    out.terms = in.terms + window.kernel.elements() + 1;
    for (std::int64_t c = 0; c < in.channels; ++c) {
      for (std::int64_t p = 0; p < out.pixels(); ++p) {
        double count = 0;
        double sum = 0;
        double sum_magnitude = 0;
        double most = 0;
        double most_magnitude = 0;
        for (std::int64_t tap = 0; tap < window.kernel.elements(); ++tap) {
          Shape at = unravel(p, extents);
          const Shape k = unravel(tap, window.kernel);
          for (std::size_t axis = 0; axis < at.rank(); ++axis) {
            at[axis] = at[axis] * window.stride[axis] - window.padding_begin[axis] + k[axis];
          }
          const std::int64_t from = ravel(at, in.extents);
          if (from < 0) continue;
          const std::size_t i = in.index(c, from);
          most = count == 0 ? in.values[i] : std::max(most, in.values[i]);
          most_magnitude = std::max(most_magnitude, in.magnitudes[i]);
          sum += in.values[i];
          sum_magnitude += in.magnitudes[i];
          ++count;
        }
        const bool max = window.kind == PoolKind::kMax;
        out.values[out.index(c, p)] = max ? most : sum / count;
        out.magnitudes[out.index(c, p)] = max ? most_magnitude : sum_magnitude / count;
      }
    }
    return out;
  }

  [[nodiscard]] static Map concat(const std::vector<const Map*>& maps) {
    Map out;
    for (const Map* map : maps) {
      if (map->channels == 0) continue;
      out.channels += map->channels;
      out.extents = map->extents;
      out.terms = std::max(out.terms, map->terms);
      out.values.insert(out.values.end(), map->values.begin(), map->values.end());
      out.magnitudes.insert(out.magnitudes.end(), map->magnitudes.begin(), map->magnitudes.end());
    }
    return out;
  }

  [[nodiscard]] static Map scale(const Map& in, const Map& gate, std::int64_t first) {
    Map out = in;
    out.terms += gate.terms + 1;
    for (std::int64_t c = 0; c < in.channels; ++c) {
      const std::size_t at = gate.index(first + c, 0);
      for (std::int64_t p = 0; p < in.pixels(); ++p) {
        out.values[in.index(c, p)] *= gate.values[at];
        out.magnitudes[in.index(c, p)] *= std::max(gate.magnitudes[at], std::abs(gate.values[at]));
      }
    }
    return out;
  }

  // An error in the scores is one relative to the shares, twice: over and under the fraction bar.
  [[nodiscard]] static Map attend(const Attention& attention, const Map& queries, const Map& keys,
                                  const Map& attributes) {
    Map out(attributes.channels, queries.extents);
    out.terms = std::max(queries.terms + keys.terms + queries.channels + 4,
                         attributes.terms + 2 * keys.pixels() + 16);
    std::vector<double> shares(static_cast<std::size_t>(keys.pixels()));
    for (std::int64_t q = 0; q < queries.pixels(); ++q) {
      double doubt = 0;
      double sum = 0;
      for (std::int64_t p = 0; p < keys.pixels(); ++p) {
        double score = 0;
        double magnitude = 0;
        for (std::int64_t c = 0; c < queries.channels; ++c) {
          const std::size_t i = queries.index(c, q);
          const std::size_t j = keys.index(c, p);
          score += attention.factor * queries.values[i] * keys.values[j];
          magnitude += std::abs(attention.factor) * queries.magnitudes[i] * keys.magnitudes[j];
        }
        doubt = std::max(doubt, magnitude);
        shares[static_cast<std::size_t>(p)] = std::exp(score);
        sum += std::exp(score);
      }
      for (std::int64_t d = 0; d < attributes.channels; ++d) {
        for (std::int64_t p = 0; p < keys.pixels(); ++p) {
          const double share = shares[static_cast<std::size_t>(p)] / sum;
          out.values[out.index(d, q)] += share * attributes.values[attributes.index(d, p)];
          out.magnitudes[out.index(d, q)] +=
              share * attributes.magnitudes[attributes.index(d, p)] * (1 + 2 * doubt);
        }
      }
    }
    return out;
  }

  // Low channels first.
  [[nodiscard]] static Map means(const Value& in) {
    Map out(in.second.channels + in.first.channels, Shape());
    std::size_t to = 0;
    for (const Map* map : {&in.second, &in.first}) {
      const auto pixels = static_cast<double>(map->pixels());
      out.terms = std::max(out.terms, map->terms + map->pixels() + 1);
      for (std::int64_t c = 0; c < map->channels; ++c, ++to) {
        for (std::int64_t p = 0; p < map->pixels(); ++p) {
          out.values[to] += map->values[map->index(c, p)] / pixels;
          out.magnitudes[to] += map->magnitudes[map->index(c, p)] / pixels;
        }
      }
    }
    return out;
  }

  [[nodiscard]] Map multiply(const Node& node, const Linear& linear, const Map& in) const {
    Map out(linear.out_channels, Shape());
    out.terms = in.terms + in.channels + 1;
    const auto weight = parameter(node, "weight");
    for (std::size_t o = 0; o < out.values.size(); ++o) {
      if (linear.bias) {
        out.values[o] = static_cast<double>(parameter(node, "bias")[o]);
        out.magnitudes[o] = std::abs(out.values[o]);
      }
      for (std::size_t c = 0; c < in.values.size(); ++c) {
        const auto w = static_cast<double>(weight[o * in.values.size() + c]);
        out.values[o] += w * in.values[c];
        out.magnitudes[o] += std::abs(w) * in.magnitudes[c];
      }
    }
    return out;
  }

  const Model& model_;
  std::function<std::optional<Value>(NodeId)> known_;
};

}  // namespace octconv::reference
