// SPDX-License-Identifier: Apache-2.0
// The choice of ticks.
#include "report/ticks.h"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>

#include "octconv/base/error.h"
#include "octconv/base/random.h"

namespace octconv::report {
namespace {

using testing::ElementsAre;

std::vector<std::string> labels(const Ticks& ticks) {
  std::vector<std::string> labels;
  for (std::size_t i = 0; i < ticks.values.size(); ++i) labels.push_back(ticks.label(i));
  return labels;
}

TEST(NiceTicks, AreRoundNumbersThatEncloseTheData) {
  EXPECT_THAT(labels(nice_ticks(0, 10, 6)), ElementsAre("0", "2", "4", "6", "8", "10"));
  EXPECT_THAT(labels(nice_ticks(89.93, 91.4, 7)),
              ElementsAre("89.5", "90.0", "90.5", "91.0", "91.5"));
  EXPECT_THAT(labels(nice_ticks(-0.3, 0.3, 8)),
              ElementsAre("-0.3", "-0.2", "-0.1", "0.0", "0.1", "0.2", "0.3"));
  EXPECT_THAT(labels(nice_ticks(15e6, 31e6, 4)),
              ElementsAre("10000000", "20000000", "30000000", "40000000"));
}

TEST(NiceTicks, AreWholeNumbersWhereAskedFor) {
  EXPECT_THAT(labels(nice_ticks(1, 2, 9, true)), ElementsAre("1", "2"));
  EXPECT_THAT(labels(nice_ticks(1, 1, 9, true)), ElementsAre("0", "1", "2"));
  EXPECT_THAT(labels(nice_ticks(1, 20, 9, true)), ElementsAre("0", "5", "10", "15", "20"));
}

TEST(NiceTicks, ASingleValueGetsRoomAroundIt) {
  for (const double value : {0.0, 1.0, -3.7, 1e-12, 1e12}) {
    const Ticks ticks = nice_ticks(value, value, 6);
    EXPECT_LT(ticks.values.front(), value);
    EXPECT_GT(ticks.values.back(), value);
  }
}

TEST(NiceTicks, HoldTheirPromisesForAnyRange) {
  Random random(1);
  for (int trial = 0; trial < 2000; ++trial) {
    const double scale = std::pow(10.0, static_cast<double>(random.below(13)) - 6);
    const double low = random.normal() * scale;
    const double high = low + std::abs(random.normal()) * scale + scale * 1e-6;
    const int most = 3 + static_cast<int>(random.below(9));
    const Ticks ticks = nice_ticks(low, high, most);
    ASSERT_GE(ticks.values.size(), 2U);
    EXPECT_LE(static_cast<int>(ticks.values.size()), most);
    const double slack = 1e-8 * (ticks.values[1] - ticks.values[0]);
    EXPECT_LE(ticks.values.front(), low + slack);
    EXPECT_GE(ticks.values.back(), high - slack);
    // No tick beyond those that are needed, and every label reads back as its tick.
    EXPECT_GT(ticks.values[1], low);
    EXPECT_LT(ticks.values[ticks.values.size() - 2], high);
    for (std::size_t i = 0; i < ticks.values.size(); ++i) {
      EXPECT_NEAR(std::stod(ticks.label(i)), ticks.values[i],
                  slack + 1e-15 * std::abs(ticks.values[i]));
    }
  }
}

TEST(LogTicks, AreRoundNumbersThatEncloseTheData) {
  EXPECT_THAT(labels(log_ticks(1.2, 15, 9)), ElementsAre("1", "2", "3", "5", "10", "20"));
  EXPECT_THAT(labels(log_ticks(0.02, 0.3, 9)),
              ElementsAre("0.02", "0.03", "0.05", "0.10", "0.20", "0.30"));
  EXPECT_THAT(labels(log_ticks(1, 1000, 5)), ElementsAre("1", "10", "100", "1000"));
  EXPECT_THAT(labels(log_ticks(1, 1e6, 4)), ElementsAre("1", "100", "10000", "1000000"));
  EXPECT_THAT(labels(log_ticks(5, 5, 9)), ElementsAre("3", "5", "10"));
}

TEST(LogTicks, HoldTheirPromisesForAnyRange) {
  Random random(1);
  for (int trial = 0; trial < 2000; ++trial) {
    const double low = std::pow(10.0, 2 * random.normal());
    const double high = low * std::pow(10.0, std::abs(2 * random.normal()) + 1e-6);
    const int most = 3 + static_cast<int>(random.below(9));
    const Ticks ticks = log_ticks(low, high, most);
    ASSERT_GE(ticks.values.size(), 2U);
    EXPECT_LE(static_cast<int>(ticks.values.size()), most);
    EXPECT_LE(ticks.values.front(), low * (1 + 1e-8));
    EXPECT_GE(ticks.values.back(), high * (1 - 1e-8));
    EXPECT_GT(ticks.values[1], low);
    EXPECT_LT(ticks.values[ticks.values.size() - 2], high);
    for (std::size_t i = 0; i < ticks.values.size(); ++i) {
      EXPECT_NEAR(std::stod(ticks.label(i)), ticks.values[i], 1e-9 * ticks.values[i]);
    }
  }
}

TEST(LogTicks, RefuseWhatIsNoRange) {
  EXPECT_THROW(static_cast<void>(log_ticks(0, 1, 5)), InvalidArgument);
  EXPECT_THROW(static_cast<void>(log_ticks(-1, 1, 5)), InvalidArgument);
  EXPECT_THROW(static_cast<void>(log_ticks(2, 1, 5)), InvalidArgument);
  EXPECT_THROW(static_cast<void>(log_ticks(1, 2, 2)), InvalidArgument);
}

TEST(NiceTicks, RefuseWhatIsNoRange) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW(static_cast<void>(nice_ticks(nan, 1, 5)), InvalidArgument);
  EXPECT_THROW(static_cast<void>(nice_ticks(0, std::numeric_limits<double>::infinity(), 5)),
               InvalidArgument);
  EXPECT_THROW(static_cast<void>(nice_ticks(2, 1, 5)), InvalidArgument);
  EXPECT_THROW(static_cast<void>(nice_ticks(0, 1, 2)), InvalidArgument);
}

}  // namespace
}  // namespace octconv::report
