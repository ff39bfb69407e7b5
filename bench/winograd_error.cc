// SPDX-License-Identifier: Apache-2.0
// How far Winograd's results are from those in double, layer by layer, in whole networks.
//
// usage: octconv_winograd_error [--alphas 0,0.5] [MODEL.onnx ...]
//   without models: every network of the zoo, with random weights, at each alpha
//
// A network runs once, on random pixels, with the methods that the engine chooses. Of every
// convolution that Winograd computes in part, results at random places are computed again in
// double, tap by tap, from the very values that the layer read. An error is relative to the range
// of the layer's results on that grid. Prints a line per network; the last line has the largest.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <exception>
#include <sstream>
#include <string>
#include <variant>
#include <vector>

#include "octconv/base/error.h"
#include "octconv/base/random.h"
#include "octconv/engine/network.h"
#include "octconv/graph/octavize.h"
#include "octconv/graph/zoo.h"
#include "octconv/octave/conv_method.h"
#include "octconv/onnx/onnx.h"

namespace {

using namespace octconv;

constexpr int kSamples = 4096;  // of each layer and grid

// [channels, extents...] of one image.
struct Map {
  std::int64_t channels = 0;
  Shape extents;
  std::vector<double> values;

  [[nodiscard]] std::int64_t pixels() const {
    std::int64_t count = 1;
    for (const std::int64_t extent : extents) count *= extent;
    return count;
  }
};

Map map_of(const Tensor& tensor) {
  Map map{.channels = tensor.shape()[1], .extents = {}, .values = {}};
  for (std::size_t axis = 2; axis < tensor.shape().rank(); ++axis)
    map.extents.push_back(tensor.shape()[axis]);
  map.values.assign(tensor.values().begin(), tensor.values().end());
  return map;
}

// Places of a grid, one after the other.
Shape place_of(std::int64_t pixel, const Shape& extents) {
  Shape place = extents;
  for (std::size_t axis = extents.rank(); axis-- > 0;) {
    place[axis] = pixel % extents[axis];
    pixel /= extents[axis];
  }
  return place;
}

std::int64_t pixel_of(const Shape& place, const Shape& extents) {
  std::int64_t pixel = 0;
  for (std::size_t axis = 0; axis < extents.rank(); ++axis)
    pixel = pixel * extents[axis] + place[axis];
  return pixel;
}

// Averages of windows, at the far edge of the pixels that are there.
Map averaged(const Map& map, const Shape& window) {
  Map pooled{.channels = map.channels, .extents = map.extents, .values = {}};
  for (std::size_t axis = 0; axis < window.rank(); ++axis)
    pooled.extents[axis] = (map.extents[axis] + window[axis] - 1) / window[axis];
  const std::int64_t pixels = pooled.pixels();
  pooled.values.assign(static_cast<std::size_t>(pooled.channels * pixels), 0);
  std::vector<std::int64_t> counts(static_cast<std::size_t>(pixels), 0);
  for (std::int64_t pixel = 0; pixel < map.pixels(); ++pixel) {
    Shape place = place_of(pixel, map.extents);
    for (std::size_t axis = 0; axis < window.rank(); ++axis) place[axis] /= window[axis];
    const std::int64_t to = pixel_of(place, pooled.extents);
    ++counts[static_cast<std::size_t>(to)];
    for (std::int64_t channel = 0; channel < map.channels; ++channel)
      pooled.values[static_cast<std::size_t>(channel * pixels + to)] +=
          map.values[static_cast<std::size_t>(channel * map.pixels() + pixel)];
  }
  for (std::int64_t i = 0; i < pooled.channels * pixels; ++i)
    pooled.values[static_cast<std::size_t>(i)] /=
        static_cast<double>(counts[static_cast<std::size_t>(i % pixels)]);
  return pooled;
}

// The results of one convolution in double, one at a time.
class Exact {
 public:
  Exact(const ConvOptions& options, const Tensor& weight, std::span<const float> bias,
        const Map& high, const Map& low)
      : options_(options), weight_(weight), bias_(bias) {
    for (ConvPath& path : conv_paths(options)) {
      Map src = path.src == Frequency::kHigh ? high : low;
      for (const PathPool& pool : path.pools) {
        if (pool.maximum) throw Unsupported("a pool of maxima");
        src = averaged(src, pool.window);
      }
      if (path.upsampled() && path.upsample_first) throw Unsupported("upsampling first");
      parts_.push_back({std::move(path), std::move(src)});
    }
  }

  // `channel` is among those of its own frequency.
  [[nodiscard]] double at(Frequency dst, std::int64_t channel, const Shape& place) const {
    const std::int64_t row = dst == Frequency::kLow ? channel : options_.out.low + channel;
    double sum = bias_.empty() ? 0 : bias_[static_cast<std::size_t>(row)];
    for (const Part& part : parts_) {
      if (part.path.dst != dst || row < part.path.row || row >= part.path.row + part.path.rows)
        continue;
      Shape own = place;
      for (std::size_t axis = 0; axis < own.rank(); ++axis) own[axis] /= part.path.upsample[axis];
      sum += tap_by_tap(part, row, own);
    }
    return sum;
  }

 private:
  struct Part {
    ConvPath path;
    Map src;
  };

  [[nodiscard]] double tap_by_tap(const Part& part, std::int64_t row, const Shape& place) const {
    const auto& [path, src] = part;
    const std::int64_t group = (row - path.row) / (path.rows / path.groups);
    std::int64_t taps = 1;
    for (const std::int64_t extent : options_.kernel) taps *= extent;
    const std::int64_t all_columns = weight_.shape()[1];
    double sum = 0;
    for (std::int64_t tap = 0; tap < taps; ++tap) {
      Shape from = place_of(tap, options_.kernel);
      bool inside = true;
      for (std::size_t axis = 0; axis < from.rank(); ++axis) {
        from[axis] = place[axis] * path.stride[axis] + from[axis] * options_.dilation[axis] -
                     options_.padding_begin[axis];
        inside = inside && from[axis] >= 0 && from[axis] < src.extents[axis];
      }
      if (!inside) continue;
      const std::int64_t pixel = pixel_of(from, src.extents);
      for (std::int64_t column = 0; column < path.columns; ++column) {
        const std::int64_t channel = group * path.columns + column;
        sum += static_cast<double>(weight_.values()[static_cast<std::size_t>(
                   (row * all_columns + path.column + column) * taps + tap)]) *
               src.values[static_cast<std::size_t>(channel * src.pixels() + pixel)];
      }
    }
    return sum;
  }

  ConvOptions options_;
  const Tensor& weight_;
  std::span<const float> bias_;
  std::vector<Part> parts_;
};

// The largest errors of what each method made.
struct Errors {
  std::array<double, 3> largest{};        // by ConvMethod
  std::array<std::int64_t, 3> results{};  // grids of layers
};

// The method that rounds most among those of the sums that a grid's results are made of.
ConvMethod method_of(const ConvOptions& options, const ConvMethods& methods, Frequency grid) {
  if (grid == Frequency::kLow) return methods.low;
  return options.in.low > 0 ? std::max(methods.high, methods.low_to_high) : methods.high;
}

void measure_grid(const Exact& exact, const Map& result, Frequency grid, ConvMethod method,
                  Random& random, Errors& errors) {
  const auto [least, most] = std::minmax_element(result.values.begin(), result.values.end());
  const double range = *most - *least;
  if (!(range > 0)) return;
  double largest = 0;
  for (int sample = 0; sample < kSamples; ++sample) {
    const auto channel =
        static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(result.channels)));
    const auto pixel =
        static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(result.pixels())));
    const double here = result.values[static_cast<std::size_t>(channel * result.pixels() + pixel)];
    const double there = exact.at(grid, channel, place_of(pixel, result.extents));
    largest = std::max(largest, std::abs(here - there) / range);
  }
  const auto number = static_cast<std::size_t>(method);
  errors.largest[number] = std::max(errors.largest[number], largest);
  ++errors.results[number];
}

Errors measure(const Model& model) {
  const Graph& graph = model.graph;
  const Shape extents = image_extents(model);
  const std::vector<ValueShape> shapes = infer_shapes(graph, 1, extents);
  std::vector<NodeId> convs;
  CompileOptions options{.keep = {}, .extents = extents};
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    const auto id = static_cast<NodeId>(i);
    if (!std::holds_alternative<Conv>(graph.node(id).op)) continue;
    const ConvOptions conv = graph.conv_options(id);
    const NodeId input = graph.node(id).inputs[0];
    const ConvMethods methods = choose_methods(conv, shapes[static_cast<std::size_t>(input)].high);
    if (methods == ConvMethods{}) continue;
    convs.push_back(id);
    for (const NodeId kept : {input, id}) {
      const std::string& name = graph.node(kept).name;
      if (std::find(options.keep.begin(), options.keep.end(), name) == options.keep.end())
        options.keep.push_back(name);
    }
  }
  Session session(compile(model, options));
  Shape shape{1, graph.node(graph.inputs()[0]).channels.total()};
  for (const std::int64_t extent : extents) shape.push_back(extent);
  Tensor image(shape);
  Random random(1);
  for (float& value : image.values()) value = static_cast<float>(random.normal());
  static_cast<void>(session.run(image));
  Errors errors;
  for (const NodeId id : convs) {
    const Node& node = graph.node(id);
    const ConvOptions conv = graph.conv_options(id);
    const std::string& input = graph.node(node.inputs[0]).name;
    const auto kept = [&](const std::string& name, Frequency grid, std::int64_t channels) {
      return channels > 0 ? map_of(session.value(name, grid)) : Map{};
    };
    const Map high = kept(input, Frequency::kHigh, conv.in.high);
    const Map low = kept(input, Frequency::kLow, conv.in.low);
    const auto bias = model.weights.find(node.name + ".bias");
    const Exact exact(
        conv, model.weights.at(node.name + ".weight"),
        bias == model.weights.end() ? std::span<const float>() : bias->second.values(), high, low);
    const ConvMethods methods =
        choose_methods(conv, shapes[static_cast<std::size_t>(node.inputs[0])].high);
    for (const Frequency grid : {Frequency::kHigh, Frequency::kLow}) {
      const std::int64_t channels = grid == Frequency::kHigh ? conv.out.high : conv.out.low;
      if (channels == 0) continue;
      measure_grid(exact, kept(node.name, grid, channels), grid, method_of(conv, methods, grid),
                   random, errors);
    }
  }
  return errors;
}

void print(const std::string& name, const Errors& errors) {
  std::printf("%-34s", name.c_str());
  for (std::size_t method = 0; method < errors.largest.size(); ++method) {
    std::printf("  %4lld", static_cast<long long>(errors.results[method]));
    if (errors.results[method] > 0)
      std::printf("  %8.1e", errors.largest[method]);
    else
      std::printf("  %8s", "-");
  }
  std::printf("\n");
  std::fflush(stdout);
}

void run(const std::vector<double>& alphas, const std::vector<std::string>& files) {
  std::printf("%-34s  %14s  %14s  %14s\n", "network, alpha", "direct", "winograd2", "winograd4");
  Errors all;
  const auto add = [&](const std::string& name, const Model& model) {
    const Errors errors = measure(model);
    print(name, errors);
    for (std::size_t method = 0; method < all.largest.size(); ++method) {
      all.largest[method] = std::max(all.largest[method], errors.largest[method]);
      all.results[method] += errors.results[method];
    }
  };
  for (const std::string& file : files) add(file, load_onnx(file));
  if (files.empty()) {
    for (const ZooEntry& entry : zoo_entries()) {
      for (const double alpha : alphas) {
        Graph graph = octavize(make_network(entry.name), {.alpha = alpha}).graph;
        Weights weights = initial_weights(graph, 1);
        std::ostringstream name;
        name << entry.name << ", " << alpha;
        add(name.str(),
            {.graph = std::move(graph), .weights = std::move(weights), .preprocessing = {}});
      }
    }
  }
  print("largest", all);
}

std::vector<double> parse_alphas(const std::string& text) {
  std::vector<double> alphas;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, ',');) alphas.push_back(std::stod(part));
  return alphas;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    std::vector<double> alphas{0, 0.5};
    std::vector<std::string> files;
    for (int i = 1; i < argc; ++i) {
      const std::string argument = argv[i];
      if (argument == "--alphas" && i + 1 < argc)
        alphas = parse_alphas(argv[++i]);
      else
        files.push_back(argument);
    }
    run(alphas, files);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
