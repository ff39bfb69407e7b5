// SPDX-License-Identifier: Apache-2.0
// A batch norm as what it does to each channel, and as part of the layer before it.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "octconv/graph/model.h"

namespace octconv {

/// y = scale * x + shift, per channel.
struct Affine {
  std::vector<double> scale;
  std::vector<double> shift;
};

/// What the batch norm called `name` computes with its running statistics.
[[nodiscard]] Affine affine_of(const BatchNorm& norm, const std::string& name,
                               const Weights& weights);

/// What the depthwise convolution of one tap called `name` computes, padding aside.
[[nodiscard]] Affine affine_of(const Conv& conv, const std::string& name, const Weights& weights);

/// `second` of what `first` makes.
[[nodiscard]] Affine then(const Affine& first, const Affine& second);

/// A convolution or linear layer that does what follows it, too.
struct FoldedLayer {
  Tensor weight;  ///< [out, ...]
  Tensor bias;    ///< [out]
};

/// The layer followed by `affine`. A layer without bias has an empty one.
[[nodiscard]] FoldedLayer fold(const Tensor& weight, std::span<const float> bias,
                               const Affine& affine);

}  // namespace octconv
