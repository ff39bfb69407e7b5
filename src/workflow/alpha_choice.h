// SPDX-License-Identifier: Apache-2.0
// Which alpha each stage of a network takes, given what each would cost.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

namespace octconv::workflow {

// A stage under each of the alphas among which one is chosen.
struct StageTimes {
  std::vector<double> ns;  // by alpha
  double weight = 0;       // what a loss in this stage counts for; not negative
};

// By stage, the number of its alpha. Of all choices whose times add up to at most `limit_ns`, the
// one with the least sum of weight * alpha^2; of equal ones the faster. Nothing if none is fast
// enough.
//
// Squares, because accuracy falls ever faster with alpha: figure 4 of the article has ResNet-50 at
// 78.2, 78.0, 77.3 and 76.6 % for 1/8, 1/4, 1/2 and 3/4. So alphas spread evenly unless one
// stage gives more time for its channels than others.
//
// Tries all choices: `alphas.size()` to the power of `stages.size()`. Requires a time per alpha and
// stage.
std::optional<std::vector<std::size_t>> choose_alphas(const std::vector<double>& alphas,
                                                      const std::vector<StageTimes>& stages,
                                                      double limit_ns);

// The sum of weight * alpha^2.
double alpha_loss(const std::vector<double>& alphas, const std::vector<StageTimes>& stages,
                  const std::vector<std::size_t>& choice);

}  // namespace octconv::workflow
