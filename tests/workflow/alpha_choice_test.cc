// SPDX-License-Identifier: Apache-2.0
// The choice of alphas against all choices, gone through one after the other.
#include "workflow/alpha_choice.h"

#include <limits>

#include <gtest/gtest.h>

#include "octconv/base/random.h"

namespace octconv::workflow {
namespace {

using Choice = std::vector<std::size_t>;

double total_ns(const std::vector<StageTimes>& stages, const Choice& choice) {
  double ns = 0;
  for (std::size_t stage = 0; stage < stages.size(); ++stage) ns += stages[stage].ns[choice[stage]];
  return ns;
}

// Every choice for `stages` stages, counted up like a number.
std::vector<Choice> all_choices(std::size_t stages, std::size_t alphas) {
  std::vector<Choice> all;
  Choice choice(stages, 0);
  while (true) {
    all.push_back(choice);
    std::size_t digit = 0;
    while (digit < stages && ++choice[digit] == alphas) choice[digit++] = 0;
    if (digit == stages) return all;
  }
}

TEST(AlphaChoice, IsTheBestOfAllThatAreFastEnough) {
  const std::vector<double> alphas{0, 0.25, 0.5, 0.75};
  Random random(7);
  int found = 0;
  int missed = 0;
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<StageTimes> stages(3);
    for (StageTimes& stage : stages) {
      for (std::size_t i = 0; i < alphas.size(); ++i) stage.ns.push_back(random.uniform());
      stage.weight = random.uniform();
    }
    const double limit = 3 * random.uniform();
    double least = std::numeric_limits<double>::infinity();
    for (const Choice& choice : all_choices(stages.size(), alphas.size())) {
      if (total_ns(stages, choice) > limit) continue;
      double loss = 0;
      for (std::size_t i = 0; i < stages.size(); ++i)
        loss += stages[i].weight * alphas[choice[i]] * alphas[choice[i]];
      least = std::min(least, loss);
    }
    const auto chosen = choose_alphas(alphas, stages, limit);
    ASSERT_EQ(chosen.has_value(), least < std::numeric_limits<double>::infinity());
    if (!chosen) {
      ++missed;
      continue;
    }
    ++found;
    EXPECT_LE(total_ns(stages, *chosen), limit);
    EXPECT_EQ(alpha_loss(alphas, stages, *chosen), least);
  }
  EXPECT_GT(found, 20);
  EXPECT_GT(missed, 20);
}

TEST(AlphaChoice, SpreadsEvenlyWhereStagesAreAlike) {
  const std::vector<double> alphas{0, 0.25, 0.5, 0.75};
  const StageTimes stage{.ns = {100, 80, 60, 40}, .weight = 1};
  EXPECT_EQ(choose_alphas(alphas, {stage, stage}, 160), (Choice{1, 1}));
  EXPECT_EQ(choose_alphas(alphas, {stage, stage}, 200), (Choice{0, 0}));
}

TEST(AlphaChoice, LeavesAStageAloneThatGivesNoTime) {
  const std::vector<double> alphas{0, 0.5};
  const StageTimes slower{.ns = {100, 120}, .weight = 1};
  const StageTimes faster{.ns = {100, 60}, .weight = 1};
  EXPECT_EQ(choose_alphas(alphas, {slower, faster}, 170), (Choice{0, 1}));
  EXPECT_EQ(choose_alphas(alphas, {slower, faster}, 150), std::nullopt);
}

TEST(AlphaChoice, TakesTheFasterOfEqualOnes) {
  const std::vector<double> alphas{0, 0.5};
  const StageTimes slow{.ns = {100, 90}, .weight = 1};
  const StageTimes fast{.ns = {100, 60}, .weight = 1};
  EXPECT_EQ(choose_alphas(alphas, {slow, fast}, 195), (Choice{0, 1}));
  EXPECT_EQ(choose_alphas(alphas, {fast, slow}, 195), (Choice{1, 0}));
}

}  // namespace
}  // namespace octconv::workflow
