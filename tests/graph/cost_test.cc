// SPDX-License-Identifier: Apache-2.0
// Counts of the zoo against integers that were recomputed from the authors' code. They agree with
// what the article's figure 4 and tables 3 and 5 print, to all their digits; where tables 7 and 8
// print others, docs/networks says so.
#include "octconv/graph/cost.h"

#include <limits>
#include <ostream>

#include <gtest/gtest.h>

#include "octconv/base/error.h"
#include "octconv/graph/octavize.h"
#include "octconv/graph/zoo.h"

namespace octconv {
namespace {

struct Row {
  const char* network;
  double alpha;  // 0: the untouched network
  bool pooled;   // stride by pooling although alpha is 0
  Exchange exchange;
  std::int64_t size;
  std::int64_t macs;
  std::int64_t authors_flops;  // 0: not known
  std::int64_t params;         // 0: not known
};

void PrintTo(const Row& row, std::ostream* out) {
  *out << row.network << " alpha " << row.alpha << " size " << row.size;
}

class Counts : public testing::TestWithParam<Row> {};

TEST_P(Counts, EqualThePublishedIntegers) {
  const Row& row = GetParam();
  OctavizeOptions options{.alpha = row.alpha, .exchange = row.exchange};
  if (row.pooled) options.stride_mode = StrideMode::kPool;
  const Octavized octave = octavize(make_network(row.network), options);
  const Cost counted = cost(octave.graph, octave.graph.default_extents(row.size));
  EXPECT_EQ(counted.macs, row.macs);
  if (row.authors_flops != 0) {
    EXPECT_EQ(counted.authors_flops, row.authors_flops);
  }
  if (row.params != 0) {
    EXPECT_EQ(counted.params, row.params);
  }
  EXPECT_TRUE(octave.kept_ordinary.empty());
}

INSTANTIATE_TEST_SUITE_P(
    Article, Counts,
    testing::Values(
        Row{"resnet26v2", 0, false, Exchange::kBoth, 224, 2342256640, 2351816168, 15991336},
        Row{"resnet26v2", 0.125, false, Exchange::kBoth, 224, 2086961152, 2102041608, 15991336},
        Row{"resnet26v2", 0.25, false, Exchange::kBoth, 224, 1858158592, 1871936040, 15991336},
        Row{"resnet26v2", 0.5, false, Exchange::kBoth, 224, 1480032256, 1491203688, 15991336},
        Row{"resnet26v2", 0.75, false, Exchange::kBoth, 224, 1207877632, 1216443048, 15991336},
        Row{"resnet50v2", 0, false, Exchange::kBoth, 224, 4089184256, 4102506984, 25553192},
        Row{"resnet50v2", 0.125, false, Exchange::kBoth, 224, 3565196288, 3586862344, 25553192},
        Row{"resnet50v2", 0.25, false, Exchange::kBoth, 224, 3103526912, 3123099688, 25553192},
        Row{"resnet50v2", 0.5, false, Exchange::kBoth, 224, 2367143936, 2382530152, 25553192},
        Row{"resnet50v2", 0.75, false, Exchange::kBoth, 224, 1880035328, 1891234984, 25553192},
        Row{"se_resnet50v2", 0, false, Exchange::kBoth, 224, 4091699200, 4110558280, 28084184},
        Row{"se_resnet50v2", 0.125, false, Exchange::kBoth, 224, 3567711232, 3594424424, 28084184},
        Row{"se_resnet50v2", 0.25, false, Exchange::kBoth, 224, 3106041856, 3130172552, 28084184},
        Row{"se_resnet50v2", 0.5, false, Exchange::kBoth, 224, 2369658880, 2388624584, 28084184},
        Row{"se_resnet50v2", 0.75, false, Exchange::kBoth, 224, 1882550272, 1896350984, 28084184},
        Row{"resnext50v2_32x4d", 0, false, Exchange::kBoth, 224, 4230479872, 4247089128, 25025064},
        Row{"resnext50v2_32x4d", 0.25, false, Exchange::kBoth, 224, 3170988544, 3195820392,
            25025064},
        Row{"resnext50v2_32x4d", 0.5, false, Exchange::kBoth, 224, 2386511872, 2405818088,
            25025064},
        Row{"resnext50v2_32x4d", 0.75, false, Exchange::kBoth, 224, 1877049856, 1890830440,
            25025064},
        Row{"resnet101v2", 0, false, Exchange::kBoth, 224, 7801405440, 7819846120, 44545320},
        Row{"resnet101v2", 0.125, false, Exchange::kBoth, 224, 6624878592, 6655661000, 44545320},
        Row{"resnet101v2", 0.25, false, Exchange::kBoth, 224, 5597675520, 5625245096, 44545320},
        Row{"resnet101v2", 0.5, false, Exchange::kBoth, 224, 3991240704, 4012384616, 44545320},
        Row{"resnext101v2_32x4d", 0, false, Exchange::kBoth, 224, 7969996800, 7993429992, 44173864},
        Row{"resnext101v2_32x4d", 0.25, false, Exchange::kBoth, 224, 5683476480, 5718970728,
            44173864},
        Row{"resnext101v2_32x4d", 0.5, false, Exchange::kBoth, 224, 4022550528, 4049533672,
            44173864},
        Row{"resnet200v2", 0, false, Exchange::kBoth, 224, 15007481856, 15041878504, 64669992},
        Row{"resnet200v2", 0.125, false, Exchange::kBoth, 224, 12564261888, 12623465864, 64669992},
        Row{"resnet200v2", 0.25, false, Exchange::kBoth, 224, 10439258112, 10491758888, 64669992},
        Row{"resnet200v2", 0.5, false, Exchange::kBoth, 224, 7143899136, 7182993512, 64669992},
        Row{"densenet121", 0, false, Exchange::kBoth, 224, 2834161664, 2852389096, 7978856},
        Row{"densenet121", 0.0625, false, Exchange::kBoth, 224, 2609470400, 2640214784, 7978856},
        Row{"densenet121", 0.125, false, Exchange::kBoth, 224, 2398420736, 2427758232, 7978856},
        Row{"densenet121", 0.25, false, Exchange::kBoth, 224, 2017246208, 2043769928, 7978856},
        Row{"mobilenet_v1_075", 0.375, false, Exchange::kBoth, 224, 211379016, 213449776, 2585560},
        Row{"mobilenet_v1", 0.5, false, Exchange::kBoth, 224, 318167680, 320627304, 4231976},
        Row{"mobilenet_v1_075", 0, true, Exchange::kBoth, 224, 325400448, 326831464, 2585560},
        Row{"mobilenet_v2", 0.375, false, Exchange::kBoth, 224, 254031408, 256422040, 3505960},
        Row{"mobilenet_v2_1125", 0.5, false, Exchange::kBoth, 224, 292764600, 295263424, 4243006},
        Row{"resnet152_v1f", 0.125, false, Exchange::kBoth, 224, 10819341312, 10842592616,
            60222224},
        Row{"resnet152_v1f", 0.125, false, Exchange::kBoth, 320, 22078156800, 22125607400,
            60222224},
        Row{"se_resnet152_v1e", 0.125, false, Exchange::kBoth, 224, 10838764544, 10863170584,
            66841080},
        Row{"se_resnet152_v1e", 0.125, false, Exchange::kBoth, 320, 22110949376, 22160703640,
            66841080},
        Row{"resnet50_v1b", 0, true, Exchange::kBoth, 224, 4089184256, 4094002152, 25557032},
        Row{"resnet50_v1b", 0.125, false, Exchange::kBoth, 224, 3565196288, 3578343400, 25557032},
        Row{"resnet50_v1b", 0.25, false, Exchange::kBoth, 224, 3103526912, 3115319272, 25557032},
        Row{"resnet50_v1b", 0.5, false, Exchange::kBoth, 224, 2367143936, 2376226792, 25557032},
        Row{"resnet50_v1b", 0.75, false, Exchange::kBoth, 224, 1880035328, 1886408680, 25557032},
        Row{"resnet50v2", 0.5, false, Exchange::kNone, 224, 1898299392, 1909721704, 21311784},
        Row{"resnet50v2", 0.5, false, Exchange::kLowToHigh, 224, 2173665280, 2185087592, 23432488},
        Row{"resnet50v2", 0.5, false, Exchange::kHighToLow, 224, 2091778048, 2107164264, 23432488},
        Row{"c2d_resnet50", 0, false, Exchange::kBoth, 224, 19289505792, 0, 0},
        Row{"c2d_resnet50", 0.1, false, Exchange::kBoth, 224, 17337463236, 0, 0},
        Row{"i3d_resnet50", 0, false, Exchange::kBoth, 224, 28109406208, 0, 0},
        Row{"i3d_resnet50", 0.1, false, Exchange::kBoth, 224, 25534408612, 0, 0}));

// ResNet-18 and -34, ResNeXts and wide ResNets as everybody counts them (parameters: torchvision's
// documentation; multiply-adds: summed over torchvision's modules); WRN-28-10 has 36.5 million
// (Zagoruyko, Komodakis 2016); the CIFAR ResNets-20 and -110 have .27 and 1.7 million (He et al.
// 2016).
INSTANTIATE_TEST_SUITE_P(
    Others, Counts,
    testing::Values(
        // 27 * 3 * 16 * 8192 of the stem, and so on by hand.
        Row{"i3d_resnet20", 0, false, Exchange::kBoth, 32, 635568768, 0, 517562},
        Row{"resnet18v1", 0, false, Exchange::kBoth, 224, 1814073344, 0, 11689512},
        Row{"resnet34v1", 0, false, Exchange::kBoth, 224, 3663761408, 0, 21797672},
        Row{"resnext50_32x4d", 0, false, Exchange::kBoth, 224, 4230479872, 0, 25028904},
        Row{"resnext101_32x8d", 0, false, Exchange::kBoth, 224, 16414015488, 0, 88791336},
        Row{"wide_resnet50_2", 0, false, Exchange::kBoth, 224, 11398021120, 0, 68883240},
        Row{"wide_resnet101_2", 0, false, Exchange::kBoth, 224, 22753050624, 0, 126886696},
        Row{"wide_resnet28_10", 0, false, Exchange::kBoth, 32, 5243328768, 0, 36479194},
        Row{"resnet20", 0, false, Exchange::kBoth, 32, 40813184, 0, 272474},
        Row{"resnet110", 0, false, Exchange::kBoth, 32, 253149824, 0, 1730714}));

// Of 19 convolutions and 2 on shortcuts the last stage has 6 and 1; its first block reads what the
// stage before makes, in its first convolution and on the shortcut.
TEST(Cost, CountsOctaveConvolutions) {
  const Graph graph = make_network("resnet20");
  EXPECT_EQ(cost(graph, {32, 32}).convs, 21);
  EXPECT_EQ(cost(graph, {32, 32}).octave_convs, 0);
  EXPECT_EQ(cost(octavize(graph, {.alpha = 0.25}).graph, {32, 32}).octave_convs, 21 - 7 + 2);
}

// No pool, the same multiply-adds: a strided convolution computes each low pixel once too.
TEST(Cost, AStridedConvolutionInsteadOfThePoolTakesItsOperationsAway) {
  const Graph graph = make_network("resnet50v2");
  const Cost pooled = cost(octavize(graph, {.alpha = 0.5}).graph, {224, 224});
  const Cost strided = cost(
      octavize(graph, {.alpha = 0.5, .downsample = Downsample::kStridedConv}).graph, {224, 224});
  EXPECT_EQ(strided.macs, pooled.macs);
  EXPECT_EQ(strided.params, pooled.params);
  EXPECT_LT(strided.authors_flops, pooled.authors_flops);
}

TEST(Cost, CountsValuesAndTheMostThatLiveAtOnce) {
  Graph graph("small", {2});
  const Conv conv{.out_channels = 6,
                  .kernel = {3},
                  .stride = {1},
                  .dilation = {1},
                  .padding_begin = {1},
                  .padding_end = {1}};
  graph.set_policy({.stride_mode = StrideMode::kPool, .octave_stages = {true}});
  const NodeId input = graph.add("input", Input{2}, {});
  const NodeId a = graph.add("a", conv, {input}, 0);
  const NodeId b = graph.add("b", Activation{}, {a});
  const NodeId c = graph.add("c", Add{}, {a, b});
  graph.add_output(graph.add("d", GlobalPool{}, {c}));
  const Cost counted = cost(octavize(graph, {.alpha = 0.5}).graph, {10});
  // The input has 20 elements; a, b and c have 3 * 10 + 3 * 5 each, and d has 6. All of a, b and c
  // live while c is made.
  EXPECT_EQ(counted.activation_elements, 3 * 45 + 6);
  EXPECT_EQ(counted.peak_live_elements, 3 * 45);
}

TEST(Cost, CountsThatDoNotFitAreErrors) {
  const Graph graph = make_network("resnet50_v1b");
  constexpr std::int64_t kHuge = std::int64_t{1} << 40;
  EXPECT_THROW(static_cast<void>(cost(graph, {kHuge, kHuge})), InvalidArgument);
  EXPECT_THROW(static_cast<void>(cost(graph, {std::numeric_limits<std::int64_t>::max(), 1})),
               InvalidArgument);
  const Graph wide = make_network("resnet20", {.in_channels = kHuge, .classes = kHuge});
  EXPECT_THROW(static_cast<void>(cost(wide, {1 << 20, 1 << 20})), InvalidArgument);
}

}  // namespace
}  // namespace octconv
