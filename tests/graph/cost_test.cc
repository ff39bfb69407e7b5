// SPDX-License-Identifier: Apache-2.0
// Counts of the zoo against the integers published in, or recomputed from, the article's networks.
#include "octconv/graph/cost.h"

#include <gtest/gtest.h>

#include "octconv/graph/octavize.h"
#include "octconv/graph/zoo.h"

namespace octconv {
namespace {

struct Row {
  const char* network;
  double alpha;
  bool pooled;  // stride by pooling although alpha is 0
  std::int64_t size;
  std::int64_t macs;
  std::int64_t params;
};

class Counts : public testing::TestWithParam<Row> {};

TEST_P(Counts, EqualThePublishedIntegers) {
  const Row& row = GetParam();
  OctavizeOptions options{.alpha = row.alpha};
  if (row.pooled) options.stride_mode = StrideMode::kPool;
  const Octavized octave = octavize(make_network(row.network), options);
  const Cost counted = cost(octave.graph, {row.size, row.size});
  EXPECT_EQ(counted.macs, row.macs);
  EXPECT_EQ(counted.params, row.params);
  EXPECT_TRUE(octave.kept_ordinary.empty());
}

INSTANTIATE_TEST_SUITE_P(
    Zoo, Counts,
    testing::Values(Row{"resnet50v2", 0, false, 224, 4089184256, 25553192},
                    Row{"resnet50v2", 0.125, false, 224, 3565196288, 25553192},
                    Row{"resnet50v2", 0.25, false, 224, 3103526912, 25553192},
                    Row{"resnet50v2", 0.5, false, 224, 2367143936, 25553192},
                    Row{"resnet50v2", 0.75, false, 224, 1880035328, 25553192},
                    Row{"resnet50_v1b", 0, true, 224, 4089184256, 25557032},
                    Row{"resnet50_v1b", 0.125, false, 224, 3565196288, 25557032},
                    Row{"resnet50_v1b", 0.25, false, 224, 3103526912, 25557032},
                    Row{"resnet50_v1b", 0.5, false, 224, 2367143936, 25557032},
                    Row{"resnet50_v1b", 0.75, false, 224, 1880035328, 25557032}));

struct ExchangeRow {
  Exchange exchange;
  std::int64_t macs;
  std::int64_t params;
};

TEST(Cost, ExchangeOffEqualsTheCountsOfTheArticlesTableThree) {
  for (const ExchangeRow& row : {ExchangeRow{Exchange::kNone, 1898299392, 21311784},
                                 ExchangeRow{Exchange::kLowToHigh, 2173665280, 23432488},
                                 ExchangeRow{Exchange::kHighToLow, 2091778048, 23432488}}) {
    const Octavized octave =
        octavize(make_network("resnet50v2"), {.alpha = 0.5, .exchange = row.exchange});
    const Cost counted = cost(octave.graph, {224, 224});
    EXPECT_EQ(counted.macs, row.macs) << to_string(row.exchange);
    EXPECT_EQ(counted.params, row.params) << to_string(row.exchange);
  }
}

}  // namespace
}  // namespace octconv
