// SPDX-License-Identifier: Apache-2.0
#include "octconv/image/colour.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "octconv/base/error.h"

namespace octconv {
namespace {

using Kind = ColourJitter::Kind;

float grey_of(const float* pixel) {
  return 0.299F * pixel[0] + 0.587F * pixel[1] + 0.114F * pixel[2];
}

float mean_grey(std::span<const float> pixels) {
  double sum = 0;
  for (std::size_t i = 0; i < pixels.size(); i += 3) sum += grey_of(pixels.data() + i);
  return static_cast<float>(3 * sum / static_cast<double>(pixels.size()));
}

// A comparison for each bound, which compilers turn into instructions for several levels.
float cut(float level) {
  const float positive = level > 0 ? level : 0;
  return positive < 255 ? positive : 255;
}

void apply(std::span<float> pixels, const ColourJitter::Step& step) {
  const auto factor = static_cast<float>(step.factor);
  switch (step.kind) {
    case Kind::kBrightness:
      for (float& level : pixels) level = cut(factor * level);
      return;
    case Kind::kContrast: {
      const float rest = (1 - factor) * mean_grey(pixels);
      for (float& level : pixels) level = cut(factor * level + rest);
      return;
    }
    case Kind::kSaturation:
      for (std::size_t i = 0; i < pixels.size(); i += 3) {
        const float rest = (1 - factor) * grey_of(pixels.data() + i);
        for (std::size_t c = 0; c < 3; ++c) pixels[i + c] = cut(factor * pixels[i + c] + rest);
      }
      return;
  }
}

}  // namespace

ColourJitter random_jitter(double strength, Random& random) {
  if (!(strength >= 0 && strength <= 1)) {
    throw InvalidArgument("random_jitter: strength must be in [0, 1], got " +
                          std::to_string(strength));
  }
  ColourJitter jitter{.steps = {{{Kind::kBrightness}, {Kind::kContrast}, {Kind::kSaturation}}}};
  for (ColourJitter::Step& step : jitter.steps)
    step.factor = 1 + strength * (2 * random.uniform() - 1);
  for (std::size_t left = jitter.steps.size(); left > 1; --left)
    std::swap(jitter.steps[left - 1], jitter.steps[random.below(left)]);
  return jitter;
}

void jitter_colours(std::span<float> pixels, const ColourJitter& jitter) {
  if (pixels.size() % 3 != 0) {
    throw InvalidArgument("jitter_colours: pixels have three values each, got " +
                          std::to_string(pixels.size()) + " values");
  }
  for (const ColourJitter::Step& step : jitter.steps) apply(pixels, step);
}

std::array<double, 3> random_colour_shift(double strength, Random& random) {
  if (!(strength >= 0 && std::isfinite(strength))) {
    throw InvalidArgument("random_colour_shift: strength must be at least 0, got " +
                          std::to_string(strength));
  }
  // As everybody uses them since: eigenvalues, and eigenvectors by columns.
  constexpr std::array<double, 3> kValues{55.46, 4.794, 1.148};
  constexpr double kVectors[3][3]{
      {-0.5675, 0.7192, 0.4009}, {-0.5808, -0.0045, -0.8140}, {-0.5836, -0.6948, 0.4203}};
  std::array<double, 3> shift{};
  for (std::size_t component = 0; component < 3; ++component) {
    const double weight = strength * random.normal() * kValues[component];
    for (std::size_t c = 0; c < 3; ++c) shift[c] += weight * kVectors[c][component];
  }
  return shift;
}

}  // namespace octconv
