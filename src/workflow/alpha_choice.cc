// SPDX-License-Identifier: Apache-2.0
#include "workflow/alpha_choice.h"

#include <algorithm>
#include <limits>

namespace octconv::workflow {
namespace {

class Search {
 public:
  Search(const std::vector<double>& alphas, const std::vector<StageTimes>& stages, double limit_ns)
      : alphas_(alphas),
        stages_(stages),
        limit_ns_(limit_ns),
        least_after_(stages.size() + 1, 0),
        choice_(stages.size(), 0) {
    for (std::size_t stage = stages.size(); stage-- > 0;) {
      const std::vector<double>& ns = stages[stage].ns;
      least_after_[stage] = least_after_[stage + 1] + *std::min_element(ns.begin(), ns.end());
    }
  }

  std::optional<std::vector<std::size_t>> run() {
    extend(0, 0, 0);
    return best_;
  }

 private:
  void extend(std::size_t stage, double ns, double loss) {
    if (ns + least_after_[stage] > limit_ns_) return;
    if (loss > best_loss_ || (loss == best_loss_ && ns >= best_ns_)) return;
    if (stage == stages_.size()) {
      best_ = choice_;
      best_loss_ = loss;
      best_ns_ = ns;
      return;
    }
    const StageTimes& times = stages_[stage];
    for (std::size_t i = 0; i < alphas_.size(); ++i) {
      choice_[stage] = i;
      extend(stage + 1, ns + times.ns[i], loss + times.weight * alphas_[i] * alphas_[i]);
    }
  }

  const std::vector<double>& alphas_;
  const std::vector<StageTimes>& stages_;
  double limit_ns_;
  std::vector<double> least_after_;  // by stage: what it and those after it need at least
  std::vector<std::size_t> choice_;
  std::optional<std::vector<std::size_t>> best_;
  double best_loss_ = std::numeric_limits<double>::infinity();
  double best_ns_ = std::numeric_limits<double>::infinity();
};

}  // namespace

std::optional<std::vector<std::size_t>> choose_alphas(const std::vector<double>& alphas,
                                                      const std::vector<StageTimes>& stages,
                                                      double limit_ns) {
  return Search(alphas, stages, limit_ns).run();
}

double alpha_loss(const std::vector<double>& alphas, const std::vector<StageTimes>& stages,
                  const std::vector<std::size_t>& choice) {
  double loss = 0;
  for (std::size_t stage = 0; stage < stages.size(); ++stage)
    loss += stages[stage].weight * alphas[choice[stage]] * alphas[choice[stage]];
  return loss;
}

}  // namespace octconv::workflow
