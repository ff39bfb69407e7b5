// SPDX-License-Identifier: Apache-2.0
// The planned octave convolution over the shapes of real layers: time, rate, share of the peak of
// multiply-adds, and oneDNN's convolution of the same ordinary shape where it is installed.
//
// usage: octconv_kernels_bench [--rounds N] FILE...
//   FILE  a line per layer; docs/performance.md, "Layer by layer"
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "dnnl_conv.h"
#include "median.h"
#include "octconv/base/error.h"
#include "octconv/base/parallel.h"
#include "octconv/base/random.h"
#include "octconv/octave/conv_plan.h"
#include "peak.h"

namespace {

using octconv::Shape;

struct Layer {
  std::string name;
  octconv::ConvOptions options;
  Shape extents;
};

Shape read_shape(const std::string& text) {
  Shape shape;
  std::stringstream stream(text);
  for (std::string item; std::getline(stream, item, 'x');) shape.push_back(std::stoll(item));
  return shape;
}

// "64" or "32+32", as high and low.
octconv::ChannelSplit read_split(const std::string& text) {
  const std::size_t plus = text.find('+');
  return {.high = std::stoll(text),
          .low = plus == std::string::npos ? 0 : std::stoll(text.substr(plus + 1))};
}

// "NAME IN OUT GROUPS KERNEL STRIDE EXTENTS"; KERNEL and EXTENTS as 3x3.
Layer read_layer(const std::string& line) {
  std::stringstream stream(line);
  std::string name;
  std::string in;
  std::string out;
  std::int64_t groups = 0;
  std::string kernel;
  std::int64_t stride = 0;
  std::string extents;
  stream >> name >> in >> out >> groups >> kernel >> stride >> extents;
  if (!stream) throw octconv::InvalidArgument("no layer: '" + line + "'");
  const Shape taps = read_shape(kernel);
  octconv::ConvOptions options{.in = read_split(in),
                               .out = read_split(out),
                               .kernel = taps,
                               .stride = Shape::filled(taps.rank(), stride),
                               .dilation = Shape::filled(taps.rank(), 1),
                               .padding_begin = taps,
                               .groups = groups,
                               .octave = Shape::filled(taps.rank(), 2)};
  for (std::size_t axis = 0; axis < taps.rank(); ++axis)
    options.padding_begin[axis] = taps[axis] / 2;
  options.padding_end = options.padding_begin;
  if (options.octave_valued() && stride > 1) options.stride_mode = octconv::StrideMode::kPool;
  octconv::check(options);
  return {.name = name, .options = options, .extents = read_shape(extents)};
}

std::vector<Layer> read_layers(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) throw octconv::FileError("cannot read '" + path.string() + "'");
  std::vector<Layer> layers;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && line[0] != '#') layers.push_back(read_layer(line));
  }
  return layers;
}

std::vector<float> random_values(std::int64_t count) {
  octconv::Random random(1);
  std::vector<float> values(static_cast<std::size_t>(std::max<std::int64_t>(1, count)));
  for (float& value : values) value = static_cast<float>(random.normal());
  return values;
}

// One layer with memory of its own, as octconv runs it.
class OurLayer {
 public:
  explicit OurLayer(const Layer& layer)
      : plan_(octconv::OctConvWeights(layer.options, weight(layer.options), {}), 1, layer.extents),
        src_{value(layer.options.in, layer.extents)},
        dst_{value(layer.options.out, plan_.extents())},
        scratch_(static_cast<std::size_t>(plan_.scratch_elements()) + 1) {}

  void run() {
    plan_.run({src_.high.data(), src_.low.data()}, {}, {dst_.high.data(), dst_.low.data()},
              scratch_.data());
  }

 private:
  struct Value {
    std::vector<float> high;
    std::vector<float> low;
  };

  static std::vector<float> weight(const octconv::ConvOptions& o) {
    return random_values(o.out.total() * (o.in.total() / o.groups) * o.kernel.elements());
  }
  static Value value(const octconv::ChannelSplit& split, const Shape& extents) {
    const Shape low = octconv::low_extents(extents, Shape::filled(extents.rank(), 2));
    return {.high = random_values(split.high * extents.elements()),
            .low = random_values(split.low * low.elements())};
  }

  octconv::OctConvPlan plan_;
  Value src_;
  Value dst_;
  std::vector<float> scratch_;
};

struct Contender {
  std::function<void()> run;
  int runs = 1;  // a turn
  std::vector<double> milliseconds = {};

  void turn() {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < runs; ++i) run();
    const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - begin;
    milliseconds.push_back(time.count() / runs);
  }
};

// Turns of about this length: shorter ones measure the clock.
constexpr double kTurnMilliseconds = 2;

// Medians of interleaved turns.
std::vector<double> measure(std::vector<Contender> contenders, int rounds) {
  for (Contender& contender : contenders) {
    contender.run();  // warm
    contender.turn();
    contender.runs =
        std::max(1, static_cast<int>(kTurnMilliseconds / contender.milliseconds.back()));
    contender.milliseconds.clear();
  }
  for (int round = 0; round < rounds; ++round) {
    for (Contender& contender : contenders) contender.turn();
  }
  std::vector<double> medians;
  for (const Contender& contender : contenders) medians.push_back(median(contender.milliseconds));
  return medians;
}

std::int64_t multiply_adds(const Layer& layer) {
  std::int64_t sum = 0;
  for (const octconv::ConvPath& path : octconv::conv_paths(layer.options))
    sum += octconv::path_macs(layer.options, path, layer.extents);
  return sum;
}

// The ordinary layer of the same channels and extents: what oneDNN runs.
Layer ordinary(Layer layer) {
  layer.options.in = {.high = layer.options.in.total()};
  layer.options.out = {.high = layer.options.out.total()};
  layer.options.stride_mode = octconv::StrideMode::kStrided;
  return layer;
}

void report(const Layer& layer, double peak, int rounds) {
  const Layer whole = ordinary(layer);
  OurLayer ours(layer);
  OurLayer ours_ordinary(whole);
  std::vector<Contender> contenders{{.run = [&] { ours.run(); }},
                                    {.run = [&] { ours_ordinary.run(); }}};
  const std::unique_ptr<DnnlConv> dnnl = make_dnnl_conv(whole.options, whole.extents);
  if (dnnl) contenders.push_back({.run = [&] { dnnl->run(); }});
  const std::vector<double> times = measure(std::move(contenders), rounds);
  const auto rate = [](const Layer& of, double milliseconds) {
    return 2e-6 * static_cast<double>(multiply_adds(of)) / milliseconds;
  };
  std::printf(
      "%-28s %9.4f %8.1f %6.3f %9.4f %8.1f %7.3f %7.3f", layer.name.c_str(), times[0],
      rate(layer, times[0]), rate(layer, times[0]) / peak, times[1], rate(whole, times[1]),
      times[0] / times[1],
      static_cast<double>(multiply_adds(layer)) / static_cast<double>(multiply_adds(whole)));
  if (dnnl) {
    std::printf(" %9.4f %8.1f %7.3f\n", times[2], rate(whole, times[2]), times[1] / times[2]);
  } else {
    std::printf(" %9s %8s %7s\n", "-", "-", "-");
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    int rounds = 15;
    int first = 1;
    if (argc > 2 && std::string(argv[1]) == "--rounds") {
      rounds = std::max(1, std::atoi(argv[2]));
      first = 3;
    }
    if (first >= argc) {
      std::fprintf(stderr, "usage: %s [--rounds N] FILE...\n", argv[0]);
      return 2;
    }
    octconv::set_thread_count(1);
    const double peak = peak_gflops();
    std::printf("peak of multiply-adds, one thread: %.1f GFLOP/s; %s\n", peak,
                dnnl_description().c_str());
    std::printf("%-28s %9s %8s %6s %9s %8s %7s %7s %9s %8s %7s\n", "layer", "ms", "GFLOP/s", "peak",
                "alpha0 ms", "GFLOP/s", "x alpha0", "macs", "oneDNN ms", "GFLOP/s", "a0/oneD");
    for (int i = first; i < argc; ++i) {
      std::printf("%s\n", std::filesystem::path(argv[i]).filename().c_str());
      for (const Layer& layer : read_layers(argv[i])) report(layer, peak, rounds);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
  return 0;
}
