// SPDX-License-Identifier: Apache-2.0
// The paths of an octave convolution: which exist, what they read, where they compute.
#include "octconv/octave/conv.h"

#include <cmath>
#include <map>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "octconv/base/error.h"
#include "octconv/octave/upsampled_taps.h"

namespace octconv {
namespace {

ConvOptions conv3x3(ChannelSplit in, ChannelSplit out, std::int64_t stride = 1,
                    StrideMode mode = StrideMode::kPool) {
  return {.in = in,
          .out = out,
          .kernel = {3, 3},
          .stride = {stride, stride},
          .dilation = {1, 1},
          .padding_begin = {1, 1},
          .padding_end = {1, 1},
          .octave = {2, 2},
          .stride_mode = mode};
}

std::map<std::string, ConvPath> paths_by_name(const ConvOptions& options) {
  check(options);
  std::map<std::string, ConvPath> paths;
  for (const ConvPath& path : conv_paths(options)) paths.emplace(path.name(), path);
  return paths;
}

std::set<std::string> names(const ConvOptions& options) {
  std::set<std::string> all;
  for (const auto& [name, path] : paths_by_name(options)) all.insert(name);
  return all;
}

using Names = std::set<std::string>;

TEST(ConvPaths, OnePerPairOfFrequenciesThatExist) {
  const ChannelSplit high{4, 0};
  const ChannelSplit low{0, 4};
  const ChannelSplit both{2, 2};
  EXPECT_EQ(names(conv3x3(high, high)), Names{"high_to_high"});
  EXPECT_EQ(names(conv3x3(high, both)), (Names{"high_to_high", "high_to_low"}));
  EXPECT_EQ(names(conv3x3(high, low)), Names{"high_to_low"});
  EXPECT_EQ(names(conv3x3(both, high)), (Names{"high_to_high", "low_to_high"}));
  EXPECT_EQ(names(conv3x3(both, both)),
            (Names{"high_to_high", "high_to_low", "low_to_high", "low_to_low"}));
  EXPECT_EQ(names(conv3x3(both, low)), (Names{"high_to_low", "low_to_low"}));
  EXPECT_EQ(names(conv3x3(low, high)), Names{"low_to_high"});
  EXPECT_EQ(names(conv3x3(low, both)), (Names{"low_to_high", "low_to_low"}));
  EXPECT_EQ(names(conv3x3(low, low)), Names{"low_to_low"});
}

TEST(ConvPaths, BlocksTileTheWeight) {
  // 6 = 4 high + 2 low inputs, 10 = 7 high + 3 low outputs, low first on both axes.
  const auto paths = paths_by_name(conv3x3({4, 2}, {7, 3}));
  std::vector<std::vector<int>> covered(10, std::vector<int>(6));
  for (const auto& [name, path] : paths) {
    for (std::int64_t r = path.row; r < path.row + path.rows; ++r) {
      for (std::int64_t c = path.column; c < path.column + path.columns; ++c) {
        ++covered[static_cast<std::size_t>(r)][static_cast<std::size_t>(c)];
      }
    }
  }
  for (const auto& row : covered) {
    for (const int times : row) EXPECT_EQ(times, 1);
  }
  EXPECT_EQ(paths.at("low_to_low").row, 0);
  EXPECT_EQ(paths.at("low_to_low").column, 0);
  EXPECT_EQ(paths.at("high_to_high").row, 3);
  EXPECT_EQ(paths.at("high_to_high").column, 2);
}

TEST(ConvPaths, ExchangeDropsAPathOnlyWhereBothFrequenciesKeepOne) {
  ConvOptions options = conv3x3({2, 2}, {2, 2});
  options.exchange = Exchange::kNone;
  EXPECT_EQ(names(options), (Names{"high_to_high", "low_to_low"}));
  options.exchange = Exchange::kHighToLow;
  EXPECT_EQ(names(options), (Names{"high_to_high", "low_to_low", "high_to_low"}));
  options = conv3x3({4, 0}, {2, 2});
  options.exchange = Exchange::kNone;
  EXPECT_EQ(names(options), (Names{"high_to_high", "high_to_low"}));
}

TEST(ConvPaths, DepthwiseExchangesNothing) {
  ConvOptions options = conv3x3({6, 2}, {6, 2});
  options.groups = 8;
  const auto paths = paths_by_name(options);
  ASSERT_EQ(names(options), (Names{"high_to_high", "low_to_low"}));
  EXPECT_EQ(paths.at("high_to_high").groups, 6);
  EXPECT_EQ(paths.at("low_to_low").groups, 2);
  EXPECT_EQ(paths.at("high_to_high").columns, 1);
}

TEST(ConvPaths, StrideModesPoolAsTheirAuthorsDo) {
  using Pools = std::vector<PathPool>;
  const auto pool = paths_by_name(conv3x3({2, 2}, {2, 2}, 2, StrideMode::kPool));
  EXPECT_EQ(pool.at("high_to_high").pools, (Pools{{{2, 2}}}));
  EXPECT_EQ(pool.at("high_to_low").pools, (Pools{{{4, 4}}}));
  EXPECT_EQ(pool.at("low_to_low").pools, (Pools{{{2, 2}}}));
  EXPECT_TRUE(pool.at("low_to_high").pools.empty());
  EXPECT_FALSE(pool.at("low_to_high").upsampled());

  const auto twice = paths_by_name(conv3x3({2, 2}, {2, 2}, 2, StrideMode::kPoolTwice));
  EXPECT_EQ(twice.at("high_to_low").pools, (Pools{{{2, 2}}, {{2, 2}}}));
  EXPECT_FALSE(twice.at("low_to_high").upsampled());

  const auto low = paths_by_name(conv3x3({2, 2}, {2, 2}, 2, StrideMode::kPoolLow));
  EXPECT_EQ(low.at("low_to_high").pools, (Pools{{{2, 2}}}));
  EXPECT_TRUE(low.at("low_to_high").upsampled());

  const auto strided = paths_by_name(conv3x3({2, 2}, {2, 2}, 2, StrideMode::kStrided));
  for (const auto& [name, path] : strided) EXPECT_EQ(path.stride, (Shape{2, 2})) << name;
  EXPECT_EQ(strided.at("high_to_low").pools, (Pools{{{2, 2}}}));
  EXPECT_TRUE(strided.at("low_to_high").upsampled());
}

TEST(ConvPaths, EveryPathLandsOnTheGridOfItsDestination) {
  for (const StrideMode mode :
       {StrideMode::kPool, StrideMode::kPoolTwice, StrideMode::kPoolLow, StrideMode::kStrided}) {
    for (const std::int64_t stride : {1, 2}) {
      for (std::int64_t extent = 1; extent <= 33; ++extent) {
        const ConvOptions options = conv3x3({2, 2}, {2, 2}, stride, mode);
        const Shape in{extent, 34 - extent};
        const Shape high = output_extents(options, in);
        const Shape low = low_extents(high, options.octave);
        for (const ConvPath& path : conv_paths(options)) {
          const Shape computed = path_extents(options, path, in);
          const bool on_low_grid = path.dst == Frequency::kLow || path.upsampled();
          EXPECT_EQ(computed, on_low_grid ? low : high)
              << to_string(mode) << " stride " << stride << " " << path.name() << " "
              << in.to_string();
        }
      }
    }
  }
}

TEST(ConvPaths, AnAxisThatIsStridedButNotHalvedIsPooledOnTheWayUp) {
  // Video: time is not halved; a stride of 2 on every axis.
  ConvOptions options{.in = {2, 2},
                      .out = {2, 2},
                      .kernel = {1, 1, 1},
                      .stride = {2, 2, 2},
                      .dilation = {1, 1, 1},
                      .padding_begin = {0, 0, 0},
                      .padding_end = {0, 0, 0},
                      .octave = {1, 2, 2},
                      .stride_mode = StrideMode::kPool};
  const auto paths = paths_by_name(options);
  EXPECT_EQ(paths.at("low_to_high").pools, (std::vector<PathPool>{{{2, 1, 1}}}));
  EXPECT_FALSE(paths.at("low_to_high").upsampled());
  EXPECT_EQ(path_extents(options, paths.at("low_to_high"), {7, 9, 10}),
            output_extents(options, {7, 9, 10}));
}

TEST(ConvCost, FollowsTheArticlesTableOne) {
  // 1 - 3/4 a (2 - a), exact where the split and the halving are.
  for (const double alpha : {0.0, 0.125, 0.25, 0.5, 0.75, 0.875, 1.0}) {
    const ChannelSplit split = split_channels(64, alpha);
    const ConvOptions options = conv3x3(split, split);
    std::int64_t macs = 0;
    for (const ConvPath& path : conv_paths(options)) macs += path_macs(options, path, {56, 56});
    const double ordinary = 64.0 * 64 * 9 * 56 * 56;
    EXPECT_DOUBLE_EQ(static_cast<double>(macs) / ordinary, 1 - 0.75 * alpha * (2 - alpha)) << alpha;
    EXPECT_EQ(weight_elements(options), 64 * 64 * 9);
  }
}

TEST(ConvPaths, OtherDownSamplingsReplaceTheOctavePoolOnly) {
  using Pools = std::vector<PathPool>;
  ConvOptions options = conv3x3({2, 2}, {2, 2}, 2, StrideMode::kPool);
  options.downsample = Downsample::kMax;
  EXPECT_EQ(paths_by_name(options).at("high_to_low").pools, (Pools{{{2, 2}}, {{2, 2}, true}}));
  options.downsample = Downsample::kStridedConv;
  EXPECT_EQ(paths_by_name(options).at("high_to_low").pools, (Pools{{{2, 2}}}));
  EXPECT_EQ(paths_by_name(options).at("high_to_low").stride, (Shape{2, 2}));
  options.stride_mode = StrideMode::kStrided;
  EXPECT_EQ(paths_by_name(options).at("high_to_low").stride, (Shape{4, 4}));
  EXPECT_TRUE(paths_by_name(options).at("high_to_low").pools.empty());
}

TEST(ConvPaths, GroupRulesShareGroupsAsTheirAuthorsDo) {
  ConvOptions options = conv3x3({12, 4}, {12, 4});
  options.groups = 4;
  auto paths = paths_by_name(options);
  EXPECT_EQ(paths.at("low_to_low").columns, 1);
  EXPECT_EQ(paths.at("high_to_high").columns, 3);
  EXPECT_EQ(weight_columns(options), 4);

  options.group_rule = GroupRule::kProportional;  // d-li14: 3 and 1 groups within, 4 across
  paths = paths_by_name(options);
  EXPECT_EQ(paths.at("high_to_high").groups, 3);
  EXPECT_EQ(paths.at("low_to_low").groups, 1);
  EXPECT_EQ(paths.at("high_to_low").groups, 4);
  EXPECT_EQ(paths.at("low_to_high").groups, 4);
  EXPECT_EQ(weight_columns(options), 7);  // a low row: 4 of low_to_low, 3 of high_to_low

  options = conv3x3({4, 2}, {4, 2});
  options.groups = 2;
  options.group_rule = GroupRule::kMinimum;
  EXPECT_EQ(paths_by_name(options).at("low_to_low").groups, 2);
  options = conv3x3({4, 4}, {4, 4});
  options.groups = 8;  // depthwise to others; this rule keeps the exchange
  options.group_rule = GroupRule::kMinimum;
  EXPECT_EQ(names(options), (Names{"high_to_high", "high_to_low", "low_to_high", "low_to_low"}));
  EXPECT_EQ(paths_by_name(options).at("low_to_high").groups, 4);
}

TEST(UpsampledTaps, CostSixteenMultipliesInsteadOfThirtySix) {
  ConvOptions options = conv3x3({1, 1}, {1, 1});
  options.low_to_high = LowToHigh::kUpsampleThenConv;
  const auto paths = paths_by_name(options);
  EXPECT_EQ(path_macs(options, paths.at("low_to_high"), {8, 8}), 4 * 4 * 16);
  EXPECT_EQ(path_macs(options, paths.at("high_to_high"), {8, 8}), 8 * 8 * 9);
}

TEST(UpsampledTaps, ReadWhatTheLargeKernelReads) {
  for (std::int64_t kernel = 1; kernel <= 7; ++kernel) {
    for (std::int64_t dilation = 1; dilation <= 4; ++dilation) {
      const std::int64_t padding = dilation * (kernel - 1) / 2;
      for (std::int64_t i = 0; i < 12; ++i) {
        std::vector<int> seen(static_cast<std::size_t>(kernel));
        for (const UpsampledTap& small : upsampled_taps(kernel, dilation, padding, i % 2)) {
          for (const std::int64_t tap : small.taps) {
            ++seen[static_cast<std::size_t>(tap)];
            const auto cell = static_cast<std::int64_t>(
                std::floor(static_cast<double>(i + tap * dilation - padding) / 2));
            EXPECT_EQ(cell, i / 2 + small.offset)
                << kernel << " " << dilation << " " << i << " " << tap;
          }
        }
        for (const int times : seen) EXPECT_EQ(times, 1);
      }
    }
  }
}

TEST(LowExtents, RoundAsAsked) {
  EXPECT_EQ(low_extents({7, 8, 5}, {2, 2, 1}), (Shape{4, 4, 5}));
  EXPECT_EQ(low_extents({7, 8, 5}, {2, 2, 1}, OddLow::kFloor), (Shape{3, 4, 5}));
}

TEST(ConvCheck, RefusesGeometryThatMovesTheGridsApart) {
  ConvOptions options = conv3x3({2, 2}, {2, 2});
  options.padding_begin = options.padding_end = {0, 0};
  EXPECT_THROW(check(options), Unsupported);
  options = conv3x3({2, 2}, {2, 2});
  options.stride = {3, 3};
  EXPECT_THROW(check(options), Unsupported);
  options = conv3x3({2, 2}, {2, 2});
  options.kernel = {2, 2};
  options.padding_begin = {0, 0};
  EXPECT_THROW(check(options), Unsupported);
  // An ordinary convolution may do all of that, unless it pools for its stride.
  options = conv3x3({4, 0}, {4, 0}, 3, StrideMode::kStrided);
  options.padding_begin = options.padding_end = {0, 0};
  EXPECT_NO_THROW(check(options));
  options.stride_mode = StrideMode::kPool;
  EXPECT_THROW(check(options), Unsupported);
}

TEST(ConvCheck, RefusesContradictions) {
  ConvOptions options = conv3x3({4, 0}, {4, 0});
  options.groups = 3;
  EXPECT_THROW(check(options), InvalidArgument);
  options = conv3x3({4, 0}, {4, 0});
  options.dilation = {1};
  EXPECT_THROW(check(options), InvalidArgument);
  options = conv3x3({4, 0}, {4, 0});
  options.kernel = {0, 3};
  EXPECT_THROW(check(options), InvalidArgument);
  options = conv3x3({-1, 5}, {4, 0});
  EXPECT_THROW(check(options), InvalidArgument);
  options = conv3x3({2, 2}, {3, 1});
  options.groups = 4;  // depthwise, but the frequencies change
  EXPECT_THROW(check(options), InvalidArgument);
  options = conv3x3({2, 2}, {2, 2});
  options.groups = 2;
  EXPECT_NO_THROW(check(options));
  options = conv3x3({3, 1}, {3, 1});
  options.groups = 2;  // does not divide 3 and 1
  EXPECT_THROW(check(options), Unsupported);
}

TEST(ConvExtent, FollowsTheFormulaAndRefusesKernelsThatDoNotFit) {
  EXPECT_EQ(conv_extent(224, 7, 2, 1, 6), 112);
  EXPECT_EQ(conv_extent(5, 3, 1, 2, 0), 1);
  EXPECT_THROW(static_cast<void>(conv_extent(4, 3, 1, 2, 0)), InvalidArgument);
}

TEST(OptionNames, RoundTripAndRefuseOthers) {
  for (const char* name : {"pool", "pool_twice", "pool_low", "strided"}) {
    EXPECT_EQ(to_string(parse_stride_mode(name)), name);
  }
  for (const char* name : {"both", "high_to_low", "low_to_high", "none"}) {
    EXPECT_EQ(to_string(parse_exchange(name)), name);
  }
  EXPECT_THROW(static_cast<void>(parse_stride_mode("Pool")), InvalidArgument);
  EXPECT_THROW(static_cast<void>(parse_exchange("")), InvalidArgument);
}

}  // namespace
}  // namespace octconv
