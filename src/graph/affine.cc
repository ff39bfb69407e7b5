// SPDX-License-Identifier: Apache-2.0
#include "graph/affine.h"

#include <algorithm>
#include <cmath>

namespace octconv {

Affine affine_of(const BatchNorm& norm, const std::string& name, const Weights& weights) {
  const auto parameter = [&](const char* what) { return weights.at(name + "." + what).values(); };
  const auto mean = parameter("running_mean");
  const auto variance = parameter("running_var");
  std::span<const float> gamma;
  std::span<const float> beta;
  if (norm.affine) {
    gamma = parameter("weight");
    beta = parameter("bias");
  }
  Affine affine;
  for (std::size_t c = 0; c < mean.size(); ++c) {
    const double weight = norm.affine ? static_cast<double>(gamma[c]) : 1;
    const double bias = norm.affine ? static_cast<double>(beta[c]) : 0;
    const double scale = weight / std::sqrt(static_cast<double>(variance[c]) + norm.epsilon);
    affine.scale.push_back(scale);
    affine.shift.push_back(bias - static_cast<double>(mean[c]) * scale);
  }
  return affine;
}

Affine affine_of(const Conv& conv, const std::string& name, const Weights& weights) {
  const auto scale = weights.at(name + ".weight").values();
  Affine affine{.scale = std::vector<double>(scale.begin(), scale.end()),
                .shift = std::vector<double>(scale.size())};
  if (conv.bias) {
    const auto bias = weights.at(name + ".bias").values();
    std::copy(bias.begin(), bias.end(), affine.shift.begin());
  }
  return affine;
}

Affine then(const Affine& first, const Affine& second) {
  Affine both = second;
  for (std::size_t c = 0; c < both.scale.size(); ++c) {
    both.shift[c] += second.scale[c] * first.shift[c];
    both.scale[c] *= first.scale[c];
  }
  return both;
}

FoldedLayer fold(const Tensor& weight, std::span<const float> bias, const Affine& affine) {
  const std::size_t rows = affine.scale.size();
  FoldedLayer folded{.weight = weight.clone(),
                     .bias = Tensor(Shape{static_cast<std::int64_t>(rows)})};
  const std::size_t columns = folded.weight.values().size() / rows;
  for (std::size_t row = 0; row < rows; ++row) {
    const double scale = affine.scale[row];
    for (float& value : folded.weight.values().subspan(row * columns, columns)) {
      value = static_cast<float>(static_cast<double>(value) * scale);
    }
    const double before = bias.empty() ? 0 : scale * static_cast<double>(bias[row]);
    folded.bias.values()[row] = static_cast<float>(affine.shift[row] + before);
  }
  return folded;
}

}  // namespace octconv
