// SPDX-License-Identifier: Apache-2.0
// Mixup: images and their targets blended in pairs.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "octconv/base/random.h"

namespace octconv::train {

/// A number with the distribution Beta(alpha, alpha), 0 < alpha <= 1.
///
/// By M. D. Johnk's method (1964): u^(1/alpha) and v^(1/alpha) of uniform u and v whose sum is at
/// most 1, the first over the sum; in logarithms, since small alphas underflow.
[[nodiscard]] double random_share(double alpha, Random& random);

/// A batch blended with itself in reverse: share * images + (1 - share) * reversed images
/// (Zhang et al., "mixup: beyond empirical risk minimization", ICLR 2018, as the article's authors
/// pair images). The loss is then share times that of the labels plus (1 - share) times that of the
/// reversed labels.
[[nodiscard]] at::Tensor blend(const at::Tensor& images, double share);

/// Mean cross-entropy of blended images with label smoothing.
[[nodiscard]] at::Tensor blended_loss(const at::Tensor& logits, const at::Tensor& labels,
                                      double share, double smoothing);

}  // namespace octconv::train
