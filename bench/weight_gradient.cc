// SPDX-License-Identifier: Apache-2.0
// The gradient of 3x3 weights tap by tap and by Winograd's method: time and rounding.
//
// usage: octconv_weight_gradient_bench [ROUNDS [THREADS]]
//
// Layers are those of ResNet-20 (batch 128, ordinary and octave) and ResNet-50 (batch 8); inputs
// are normal numbers rectified, gradients of outputs normal numbers. The methods take turns; times
// are medians. Errors are the largest of some weights against sums in double, relative to the range
// of the gradient. `chosen` is what training takes.
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <vector>

#include "median.h"
#include "octconv/base/parallel.h"
#include "octconv/base/random.h"
#include "octconv/octave/conv_gradient.h"

namespace {

using namespace octconv;

struct Layer {
  std::int64_t batch;
  std::int64_t extent;
  std::int64_t in;
  std::int64_t out;

  [[nodiscard]] ConvOptions options() const {
    return {.in = {.high = in},
            .out = {.high = out},
            .kernel = {3, 3},
            .stride = {1, 1},
            .dilation = {1, 1},
            .padding_begin = {1, 1},
            .padding_end = {1, 1},
            .octave = {1, 1}};
  }
  [[nodiscard]] Shape extents() const { return {extent, extent}; }
  [[nodiscard]] std::int64_t pixels() const { return batch * extent * extent; }
  [[nodiscard]] std::int64_t weights() const { return in * out * 9; }
};

constexpr std::array<Layer, 13> kLayers{{{128, 28, 16, 16},
                                         {128, 28, 12, 12},
                                         {128, 14, 12, 4},
                                         {128, 14, 4, 12},
                                         {128, 14, 32, 32},
                                         {128, 14, 24, 24},
                                         {128, 7, 64, 64},
                                         {128, 7, 48, 48},
                                         {8, 56, 64, 64},
                                         {8, 28, 128, 128},
                                         {8, 14, 256, 256},
                                         {8, 14, 128, 128},
                                         {8, 7, 512, 512}}};

using Method = WeightGradientMethod;

class Experiment {
 public:
  explicit Experiment(const Layer& layer) : layer_(layer) {
    Random random(1);
    for (std::int64_t i = 0; i < layer.pixels() * layer.in; ++i) {
      src_.push_back(std::max(0.0F, static_cast<float>(random.normal())));
    }
    for (std::int64_t i = 0; i < layer.pixels() * layer.out; ++i) {
      diff_.push_back(static_cast<float>(random.normal()));
    }
  }

  // Milliseconds.
  double run(Method method, std::vector<float>& gradient) {
    gradient.resize(static_cast<std::size_t>(layer_.weights()));
    scratch_.resize(static_cast<std::size_t>(
        weight_gradient_scratch(layer_.options(), layer_.batch, layer_.extents(), method)));
    const auto begin = std::chrono::steady_clock::now();
    weight_gradient(layer_.options(), layer_.batch, layer_.extents(), {src_.data(), nullptr},
                    {diff_.data(), nullptr}, gradient, scratch_, method);
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
        .count();
  }

  [[nodiscard]] double error(const std::vector<float>& gradient) const {
    constexpr std::int64_t kSamples = 400;
    const auto [least, most] = std::minmax_element(gradient.begin(), gradient.end());
    double largest = 0;
    for (std::int64_t sample = 0; sample < kSamples; ++sample) {
      const std::int64_t i = sample * layer_.weights() / kSamples;
      largest = std::max(
          largest, std::abs(static_cast<double>(gradient[static_cast<std::size_t>(i)]) - exact(i)));
    }
    return largest / static_cast<double>(*most - *least);
  }

 private:
  // The gradient of one weight.
  [[nodiscard]] double exact(std::int64_t index) const {
    const std::int64_t out = index / 9 / layer_.in;
    const std::int64_t in = index / 9 % layer_.in;
    const std::int64_t up = index % 9 / 3 - 1;
    const std::int64_t right = index % 3 - 1;
    const std::int64_t extent = layer_.extent;
    double sum = 0;
    for (std::int64_t pixel = 0; pixel < layer_.pixels(); ++pixel) {
      const std::int64_t y = pixel / extent % extent + up;
      const std::int64_t x = pixel % extent + right;
      if (y < 0 || y >= extent || x < 0 || x >= extent) continue;
      const std::int64_t read = pixel + up * extent + right;
      sum += static_cast<double>(src_[static_cast<std::size_t>(read * layer_.in + in)]) *
             static_cast<double>(diff_[static_cast<std::size_t>(pixel * layer_.out + out)]);
    }
    return sum;
  }

  const Layer& layer_;
  std::vector<float> src_;
  std::vector<float> diff_;
  std::vector<float> scratch_;
};

void run(int rounds) {
  std::printf("batch extent    in   out   direct ms  Winograd ms  ratio    chosen  errors\n");
  for (const Layer& layer : kLayers) {
    Experiment experiment(layer);
    std::vector<float> direct;
    std::vector<float> winograd;
    std::vector<float> chosen;
    std::vector<double> direct_ms;
    std::vector<double> winograd_ms;
    for (int round = 0; round < rounds; ++round) {
      direct_ms.push_back(experiment.run(Method::kDirect, direct));
      winograd_ms.push_back(experiment.run(Method::kWinograd, winograd));
    }
    experiment.run(Method::kFastest, chosen);
    std::printf("%5ld %6ld %5ld %5ld %11.3f %12.3f %6.2f %9s  %.1e %.1e\n",
                static_cast<long>(layer.batch), static_cast<long>(layer.extent),
                static_cast<long>(layer.in), static_cast<long>(layer.out), median(direct_ms),
                median(winograd_ms), median(direct_ms) / median(winograd_ms),
                chosen == direct ? "direct" : "Winograd", experiment.error(direct),
                experiment.error(winograd));
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    set_thread_count(argc > 2 ? std::atoi(argv[2]) : 1);
    run(argc > 1 ? std::max(1, std::atoi(argv[1])) : 9);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
