// SPDX-License-Identifier: Apache-2.0
#include "octconv/image/colour.h"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "image/colour_kernels.h"
#include "octconv/base/error.h"

namespace octconv {
namespace {

using Kind = ColourJitter::Kind;

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

void jitter_colours(std::span<float> pixels, const ColourJitter& jitter, const LevelScale& levels) {
  if (pixels.size() % 3 != 0) {
    throw InvalidArgument("jitter_colours: pixels have three values each, got " +
                          std::to_string(pixels.size()) + " values");
  }
  std::vector<image::ColourStep> steps;
  for (const ColourJitter::Step& step : jitter.steps) {
    const auto factor = static_cast<float>(step.factor);
    image::ColourStep next{.factor = factor};
    switch (step.kind) {
      case Kind::kBrightness:
        break;
      case Kind::kContrast:
        // The mean of pixels as the steps before leave them.
        next.constant = (1 - factor) * image::mean_grey(pixels, steps);
        break;
      case Kind::kSaturation:
        next.grey = 1 - factor;
        break;
    }
    steps.push_back(next);
  }
  image::change_colours(pixels, steps, levels.scale, levels.offset);
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
