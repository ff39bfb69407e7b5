// SPDX-License-Identifier: Apache-2.0
#include "train/mixup.h"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

namespace octconv::train {
namespace {

at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& labels, double smoothing) {
  constexpr std::int64_t kIgnoreNothing = -100;
  return at::cross_entropy_loss(logits, labels, {}, at::Reduction::Mean, kIgnoreNothing, smoothing);
}

}  // namespace

double random_share(double alpha, Random& random) {
  for (;;) {
    // 1 - uniform is in (0, 1].
    const double log_u = std::log(1 - random.uniform()) / alpha;
    const double log_v = std::log(1 - random.uniform()) / alpha;
    const double larger = std::max(log_u, log_v);
    const double log_sum = larger + std::log(std::exp(log_u - larger) + std::exp(log_v - larger));
    if (log_sum <= 0) return std::exp(log_u - log_sum);
  }
}

at::Tensor blend(const at::Tensor& images, double share) {
  return images.mul(share).add_(images.flip(0), 1 - share);
}

at::Tensor blended_loss(const at::Tensor& logits, const at::Tensor& labels, double share,
                        double smoothing) {
  const at::Tensor own = cross_entropy(logits, labels, smoothing);
  if (share == 1) return own;
  return own.mul(share).add(cross_entropy(logits, labels.flip(0), smoothing), 1 - share);
}

}  // namespace octconv::train
