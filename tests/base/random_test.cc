// SPDX-License-Identifier: Apache-2.0
// The generator against published and independently computed values.
#include "octconv/base/random.h"

#include <cmath>
#include <set>

#include <gtest/gtest.h>

namespace octconv {
namespace {

TEST(Random, GivesThePublishedBitsOfSplitMix64) {
  // Seed 1234567: https://rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64. The others, and
  // all values below, from an implementation in Python's integers.
  struct Sequence {
    std::uint64_t seed;
    std::uint64_t bits[5];
  };
  for (const Sequence& expected :
       {Sequence{1234567u,
                 {6457827717110365317u, 3203168211198807973u, 9817491932198370423u,
                  4593380528125082431u, 16408922859458223821u}},
        Sequence{0u,
                 {16294208416658607535u, 7960286522194355700u, 487617019471545679u,
                  17909611376780542444u, 1961750202426094747u}},
        Sequence{0xffffffffffffffffu,
                 {16490336266968443936u, 16834447057089888969u, 4048727598324417001u,
                  7862637804313477842u, 13015481187462834606u}}}) {
    Random random(expected.seed);
    for (const std::uint64_t bits : expected.bits) EXPECT_EQ(random.bits(), bits) << expected.seed;
  }
}

TEST(Random, UniformTakesTheTopBits) {
  Random random(42);
  for (const double expected :
       {0x1.7bae644c5fd6dp-1, 0x1.477f199d93378p-3, 0x1.1d499d5c4c3e6p-2, 0x1.607387fc392b8p-2}) {
    EXPECT_EQ(random.uniform(), expected);
  }
}

TEST(Random, BelowIsWithoutBias) {
  Random small(7);
  for (const std::uint64_t expected : {7u, 4u, 6u, 3u, 4u, 5u, 8u, 2u, 5u, 5u, 3u, 6u}) {
    EXPECT_EQ(small.below(10), expected);
  }
  // A bound for which half of all bits must be thrown away.
  Random large(7);
  for (const std::uint64_t expected :
       {7392729709960833537u, 1529793891446696394u, 8483179396677329707u, 7711100304988943181u}) {
    EXPECT_EQ(large.below((std::uint64_t{1} << 63) + 1), expected);
  }
  Random one(3);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(one.below(1), 0u);
}

TEST(Random, NormalIsBoxMuller) {
  Random random(5);
  for (const double expected :
       {0.014334745996352224, 0.5906209568869251, -0.4720898558893115, -2.904276469476543}) {
    // log, sqrt, cos and the product are each right to one unit in the last place or better; the
    // argument of cos, up to 2 pi, adds 2 pi of them in absolute terms, times a radius below 4.
    EXPECT_NEAR(random.normal(), expected, 32 * 0x1p-52);
  }
}

TEST(Random, NormalHasMeanZeroAndDeviationOne) {
  Random random(11);
  constexpr int kCount = 100000;
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < kCount; ++i) {
    const double value = random.normal();
    ASSERT_TRUE(std::isfinite(value));
    sum += value;
    squares += value * value;
  }
  // Five standard errors of a mean and of a mean square of standard normal values.
  EXPECT_NEAR(sum / kCount, 0, 5 / std::sqrt(kCount));
  EXPECT_NEAR(squares / kCount, 1, 5 * std::sqrt(2.0 / kCount));
}

TEST(Random, DerivedSeedsAreUnrelated) {
  EXPECT_EQ(derive_seed(1, 0), 627405149472732430u);
  EXPECT_EQ(derive_seed(1, 1), 16860738450190168606u);
  EXPECT_EQ(derive_seed(1, 2), 16171810823986729605u);
  EXPECT_EQ(derive_seed(2, 0), 15549969042648332857u);
  std::set<std::uint64_t> seeds;
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    for (std::uint64_t stream = 0; stream < 30; ++stream) seeds.insert(derive_seed(seed, stream));
  }
  EXPECT_EQ(seeds.size(), 900u);
}

}  // namespace
}  // namespace octconv
