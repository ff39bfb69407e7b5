// SPDX-License-Identifier: Apache-2.0
// The modules as LibTorch's own: options, parameters, cloning, saving, types; and what surrounds
// them.
#include "octconv/nn/modules.h"

#include <limits>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "octconv/base/error.h"

namespace octconv::nn {
namespace {

using testing::HasSubstr;

template <class Function>
std::string error_of(Function&& function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

OctTensor random_pair(std::int64_t high, std::int64_t low, std::vector<std::int64_t> extents) {
  std::vector<std::int64_t> shape{2, high};
  std::vector<std::int64_t> low_shape{2, low};
  for (const std::int64_t extent : extents) {
    shape.push_back(extent);
    low_shape.push_back((extent + 1) / 2);
  }
  return {torch::randn(shape), torch::randn(low_shape)};
}

void expect_same(const at::Tensor& a, const at::Tensor& b) {
  ASSERT_EQ(a.sizes(), b.sizes());
  // Both are sums of the same few hundred products of normal numbers, perhaps in another order.
  EXPECT_TRUE(at::allclose(a, b, 1e-5, 1e-4));
}

TEST(Modules, HaveTheParametersOfTheOrdinaryLayerWhateverAlphaIs) {
  torch::nn::Conv2d ordinary(torch::nn::Conv2dOptions(12, 20, {3, 5}).groups(2));
  for (const double alpha : {0.0, 0.25, 0.5, 1.0}) {
    // 2 groups divide every split here.
    OctConv2d octave(OctConv2dOptions(12, 20, {3, 5})
                         .alpha(alpha)
                         .groups(2)
                         .padding({1, 2})
                         .low(alpha == 0.25 ? 4 : static_cast<std::int64_t>(12 * alpha),
                              static_cast<std::int64_t>(20 * alpha) / 2 * 2));
    EXPECT_EQ(octave->weight.sizes(), ordinary->weight.sizes());
    EXPECT_EQ(octave->bias.sizes(), ordinary->bias.sizes());
    EXPECT_EQ(octave->named_parameters().keys(), ordinary->named_parameters().keys());
  }
  OctConvTranspose3d transposed(OctConvTranspose3dOptions(6, 4, 2).stride(2).alpha(0.5));
  torch::nn::ConvTranspose3d plain(torch::nn::ConvTranspose3dOptions(6, 4, 2).stride(2));
  EXPECT_EQ(transposed->weight.sizes(), plain->weight.sizes());
}

TEST(Modules, StartLikeTorchsLayers) {
  torch::manual_seed(3);
  OctConv2d octave(OctConv2dOptions(8, 6, 3).alpha(0.5).padding(1));
  torch::manual_seed(3);
  torch::nn::Conv2d ordinary(8, 6, 3);
  EXPECT_TRUE(at::equal(octave->weight, ordinary->weight));
  EXPECT_TRUE(at::equal(octave->bias, ordinary->bias));
}

template <class Octave, class Options, class Ordinary, class OrdinaryOptions>
void expect_ordinary(Options options, OrdinaryOptions ordinary_options, const at::Tensor& x) {
  Octave octave(options.alpha(0));
  Ordinary ordinary(ordinary_options);
  const at::NoGradGuard guard;
  ordinary->weight.copy_(octave->weight);
  ordinary->bias.copy_(octave->bias);
  expect_same(octave->forward(x).tensor(), ordinary->forward(x));
}

TEST(Modules, OfAlphaZeroAreTorchsLayers) {
  namespace nn = torch::nn;
  expect_ordinary<OctConv1d, OctConv1dOptions, nn::Conv1d>(
      OctConv1dOptions(4, 6, 3).padding(1).dilation(1), nn::Conv1dOptions(4, 6, 3).padding(1),
      torch::randn({2, 4, 9}));
  expect_ordinary<OctConv2d, OctConv2dOptions, nn::Conv2d>(
      OctConv2dOptions(4, 6, 3).stride(2).stride_mode(
          StrideMode::kStrided),  // no padding: any geometry
      nn::Conv2dOptions(4, 6, 3).stride(2), torch::randn({2, 4, 9, 8}));
  expect_ordinary<OctConv3d, OctConv3dOptions, nn::Conv3d>(
      OctConv3dOptions(4, 6, 2).padding(torch::kSame),
      nn::Conv3dOptions(4, 6, 2).padding(torch::kSame), torch::randn({2, 4, 4, 5, 3}));
  expect_ordinary<OctConvTranspose2d, OctConvTranspose2dOptions, nn::ConvTranspose2d>(
      OctConvTranspose2dOptions(4, 6, 3).stride(3).output_padding(1),
      nn::ConvTranspose2dOptions(4, 6, 3).stride(3).output_padding(1), torch::randn({2, 4, 5, 4}));
}

TEST(Modules, OfAlphaOneAreTorchsLayersOnTheHalfGrid) {
  OctConv2d octave(OctConv2dOptions(4, 6, 3).alpha(1).padding(1));
  torch::nn::Conv2d ordinary(torch::nn::Conv2dOptions(4, 6, 3).padding(1));
  const at::NoGradGuard guard;
  ordinary->weight.copy_(octave->weight);
  ordinary->bias.copy_(octave->bias);
  const at::Tensor low = torch::randn({2, 4, 5, 4});
  const OctTensor y = octave->forward(low);  // one tensor: the only frequency
  EXPECT_FALSE(y.high.defined());
  expect_same(y.low, ordinary->forward(low));
}

TEST(Modules, FollowEachOtherInASequential) {
  torch::nn::Sequential network(
      OctConv2d(OctConv2dOptions(3, 8, 3).alpha_in(0).alpha_out(0.25).padding(1)),
      OctBatchNorm2d(8), OctConv2d(OctConv2dOptions(8, 8, 3).alpha(0.25).padding(torch::kSame)),
      OctConv2d(OctConv2dOptions(8, 4, 1).alpha_in(0.25).alpha_out(0)));
  const OctTensor y = network->forward<OctTensor>(OctTensor(torch::randn({2, 3, 7, 6})));
  EXPECT_EQ(y.tensor().sizes(), (at::IntArrayRef{2, 4, 7, 6}));
  y.tensor().sum().backward();
  for (const auto& parameter : network->parameters()) EXPECT_TRUE(parameter.grad().defined());
}

TEST(Modules, CloneSaveLoadAndChangeType) {
  OctConv2d original(OctConv2dOptions(6, 4, 3).alpha(0.5).padding(1));
  const OctTensor x = random_pair(3, 3, {5, 6});
  const OctTensor y = original->forward(x);

  const auto copy = std::dynamic_pointer_cast<OctConv2dImpl>(original->clone());
  ASSERT_TRUE(copy);
  EXPECT_TRUE(at::equal(copy->forward(x).high, y.high));
  const at::NoGradGuard guard;
  copy->weight.zero_();
  EXPECT_TRUE(at::equal(original->forward(x).high, y.high)) << "a clone shares nothing";

  std::stringstream file;
  torch::save(original, file);
  OctConv2d loaded(OctConv2dOptions(6, 4, 3).alpha(0.5).padding(1));
  torch::load(loaded, file);
  EXPECT_TRUE(at::equal(loaded->forward(x).low, y.low));

  loaded->to(torch::kDouble);
  const OctTensor exact =
      loaded->forward(apply(x, [](const at::Tensor& t) { return t.to(torch::kDouble); }));
  EXPECT_EQ(exact.high.scalar_type(), torch::kDouble);
  expect_same(exact.high.to(torch::kFloat), y.high);
  loaded->to(torch::kBFloat16);
  const OctTensor coarse =
      loaded->forward(apply(x, [](const at::Tensor& t) { return t.to(torch::kBFloat16); }));
  // 27 products, each of numbers with 8 bits.
  EXPECT_LE((coarse.high.to(torch::kFloat) - y.high).abs().max().item<float>(), 27 * 3 * 0x1p-8F);
}

TEST(Modules, LoadTheWeightsOfTheOrdinaryNetwork) {
  torch::nn::Conv2d ordinary(torch::nn::Conv2dOptions(6, 4, 3).padding(1));
  std::stringstream file;
  torch::save(ordinary, file);
  OctConv2d octave(OctConv2dOptions(6, 4, 3).alpha(0.5).padding(1));
  torch::load(octave, file);
  EXPECT_TRUE(at::equal(octave->weight, ordinary->weight));
}

TEST(Modules, PrintWhatTheyAre) {
  std::ostringstream text;
  text << OctConv2d(OctConv2dOptions(64, 32, 3).alpha(0.125).stride(2).padding(1).bias(false))
       << "\n"
       << OctConvTranspose1d(OctConvTranspose1dOptions(8, 4, 4).alpha(0.5).stride(2).padding(1))
       << "\n"
       << OctBatchNorm3d(10);
  EXPECT_EQ(
      text.str(),
      "octconv::nn::OctConv2d(64, 32, low_in=8, low_out=4, kernel_size=[3, 3], stride=[2, 2], "
      "padding=[1, 1], stride_mode=pool, bias=false)\n"
      "octconv::nn::OctConvTranspose1d(8, 4, low_in=4, low_out=2, kernel_size=[4], stride=[2], "
      "padding=[1], output_padding=[0], bias=true)\n"
      "octconv::nn::OctBatchNorm3d(10, eps=1e-05, momentum=0.1, affine=true, "
      "track_running_stats=true)");
}

TEST(Modules, RefuseAtConstructionWhatTheyCannotBe) {
  const auto make = [](const OctConv2dOptions& options) {
    return error_of([&] { OctConv2d layer(options); });
  };
  EXPECT_THAT(make(OctConv2dOptions(8, 8, 3)),
              HasSubstr("moves the low grid against the high one"));
  EXPECT_THAT(make(OctConv2dOptions(8, 8, 2).padding(torch::kSame)),
              HasSubstr("moves the low grid"));
  EXPECT_THAT(make(OctConv2dOptions(8, 8, 3).padding(1).stride(3)),
              HasSubstr("stride [3, 3] is larger than 2"));
  EXPECT_THAT(make(OctConv2dOptions(8, 8, 3).padding(1).alpha(1.5)),
              HasSubstr("alpha must be in [0, 1], got 1.5"));
  EXPECT_THAT(
      make(OctConv2dOptions(8, 8, 3).padding(1).alpha_in(std::numeric_limits<double>::quiet_NaN())),
      HasSubstr("got nan"));
  EXPECT_THAT(make(OctConv2dOptions(8, 8, 3).padding(1).low_in(9)),
              HasSubstr("9 low channels of 8"));
  EXPECT_THAT(make(OctConv2dOptions(8, 8, 3).padding(1).groups(8).alpha_in(0.25)),
              HasSubstr("a depthwise layer keeps its frequencies"));
  EXPECT_THAT(make(OctConv2dOptions(8, 8, 3).padding(torch::kSame).stride(2)),
              HasSubstr("needs stride 1"));
  EXPECT_THAT(make(OctConv2dOptions(0, 8, 3).padding(1)), HasSubstr("channels must be at least 1"));
  EXPECT_THAT(
      error_of([] { OctConvTranspose2d layer(OctConvTranspose2dOptions(8, 8, 3).stride(2)); }),
      HasSubstr("do not keep or double the extents"));
  EXPECT_THAT(error_of([] { OctBatchNorm2d layer(OctBatchNormOptions(0)); }),
              HasSubstr("num_features"));
}

TEST(Modules, RefuseAtTheCallWhatOnlyTheInputTells) {
  OctConv2d layer(OctConv2dOptions(6, 4, 3).alpha(0.5).padding(1));
  EXPECT_THAT(error_of([&] {
                static_cast<void>(layer->forward(torch::randn({1, 3, 4, 4})));
              }),
              HasSubstr("the low input is missing"));
  EXPECT_THAT(
      error_of([&] {
        static_cast<void>(layer->forward({torch::randn({1, 3, 7, 4}), torch::randn({1, 3, 3, 2})}));
      }),
      HasSubstr("low extents [3, 2] do not belong to high extents [7, 4]"));
  EXPECT_THAT(
      error_of([&] {
        static_cast<void>(layer->forward({torch::randn({1, 2, 4, 4}), torch::randn({1, 3, 2, 2})}));
      }),
      HasSubstr("the high input has shape [1, 2, 4, 4]"));
  OctConv2d reflecting(
      OctConv2dOptions(6, 4, 3).alpha(0.5).padding(1).padding_mode(PaddingMode::kReflect));
  EXPECT_THAT(error_of([&] {
                static_cast<void>(reflecting->forward(random_pair(3, 3, {2, 8})));
              }),
              HasSubstr("by mode reflect does not fit"));
}

TEST(OctBatchNorm, NormalisesEachFrequencyLikeTorch) {
  OctBatchNorm2d octave(7);
  torch::nn::BatchNorm2d high(4);
  torch::nn::BatchNorm2d low(3);
  {
    const at::NoGradGuard guard;
    octave->weight.uniform_();
    octave->bias.uniform_();
    low->weight.copy_(octave->weight.narrow(0, 0, 3));
    low->bias.copy_(octave->bias.narrow(0, 0, 3));
    high->weight.copy_(octave->weight.narrow(0, 3, 4));
    high->bias.copy_(octave->bias.narrow(0, 3, 4));
  }
  for (int step = 0; step < 3; ++step) {
    const OctTensor x = random_pair(4, 3, {6, 5});
    const OctTensor y = octave->forward(x);
    expect_same(y.high, high->forward(x.high));
    expect_same(y.low, low->forward(x.low));
  }
  expect_same(octave->running_mean, at::cat({low->running_mean, high->running_mean}));
  expect_same(octave->running_var, at::cat({low->running_var, high->running_var}));
  octave->eval();
  high->eval();
  const OctTensor x = random_pair(4, 3, {6, 5});
  expect_same(octave->forward(x).high, high->forward(x.high));
}

TEST(OctBatchNorm, AveragesOverAllBatchesWithoutMomentum) {
  OctBatchNorm1d octave(OctBatchNormOptions(4).momentum(c10::nullopt));
  torch::nn::BatchNorm1d ordinary(torch::nn::BatchNorm1dOptions(4).momentum(c10::nullopt));
  for (int step = 0; step < 4; ++step) {
    const at::Tensor x = torch::randn({3, 4, 5});
    static_cast<void>(octave->forward(x));
    static_cast<void>(ordinary->forward(x));
  }
  expect_same(octave->running_mean, ordinary->running_mean);
  expect_same(octave->running_var, ordinary->running_var);
}

TEST(Functional, ActivationsActOnEachFrequency) {
  const OctTensor x = random_pair(2, 3, {4, 5});
  const std::vector<std::pair<OctTensor, std::function<at::Tensor(const at::Tensor&)>>> all{
      {relu(x), [](const at::Tensor& t) { return torch::relu(t); }},
      {relu6(x), [](const at::Tensor& t) { return torch::nn::functional::relu6(t); }},
      {leaky_relu(x, 0.2),
       [](const at::Tensor& t) {
         return torch::nn::functional::leaky_relu(
             t, torch::nn::functional::LeakyReLUFuncOptions().negative_slope(0.2));
       }},
      {sigmoid(x), [](const at::Tensor& t) { return 1 / (1 + torch::exp(-t)); }},
      {hardsigmoid(x), [](const at::Tensor& t) { return torch::clamp(t / 6 + 0.5, 0, 1); }},
      {silu(x), [](const at::Tensor& t) { return t / (1 + torch::exp(-t)); }},
      {hardswish(x), [](const at::Tensor& t) { return t * torch::clamp(t / 6 + 0.5, 0, 1); }},
      {gelu(x),
       [](const at::Tensor& t) { return t * 0.5 * (1 + torch::erf(t / std::sqrt(2.0))); }}};
  for (const auto& [y, expected] : all) {
    expect_same(y.high, expected(x.high));
    expect_same(y.low, expected(x.low));
  }
}

TEST(Functional, MergeAndSplitAreEachOthersReverse) {
  const OctTensor x = random_pair(2, 3, {7, 4});
  const at::Tensor merged = merge(x, {2, 2});
  EXPECT_EQ(merged.sizes(), (at::IntArrayRef{2, 5, 7, 4}));
  EXPECT_TRUE(
      at::equal(merged.select(2, 5).select(2, 3).narrow(1, 0, 3), x.low.select(2, 2).select(2, 1)));
  const OctTensor back = split(merged, {.high = 2, .low = 3}, {2, 2});
  expect_same(back.high, x.high);
  expect_same(back.low, x.low);
  EXPECT_THROW(static_cast<void>(split(merged, {.high = 1, .low = 3}, {2, 2})), InvalidArgument);
}

TEST(Functional, CatJoinsEachFrequency) {
  const OctTensor a = random_pair(2, 3, {4, 5});
  const OctTensor b(torch::randn({2, 6, 4, 5}));
  const OctTensor y = cat({a, b});
  EXPECT_TRUE(at::equal(y.high, at::cat({a.high, b.high}, 1)));
  EXPECT_TRUE(at::equal(y.low, a.low));
  EXPECT_THROW(static_cast<void>(cat({})), InvalidArgument);
  EXPECT_THROW(static_cast<void>(cat({a, OctTensor(torch::randn({2, 6, 4, 4}))})), InvalidArgument);
}

TEST(Functional, PoolsAndUpsampleKeepTheGridsTogether) {
  const OctTensor x = random_pair(2, 3, {9, 6});
  const OctTensor pooled = adaptive_average_pool(x, {5, 3}, {2, 2});
  expect_same(pooled.high, at::adaptive_avg_pool2d(x.high, {5, 3}));
  expect_same(pooled.low, at::adaptive_avg_pool2d(x.low, {3, 2}));
  const OctTensor most = adaptive_max_pool(x, {5, 3}, {2, 2});
  expect_same(most.low, std::get<0>(at::adaptive_max_pool2d(x.low, {3, 2})));
  const OctTensor grown = nn::upsample(x, {2, 2}, {2, 2});
  EXPECT_EQ(grown.high.sizes(), (at::IntArrayRef{2, 2, 18, 12}));
  EXPECT_EQ(grown.low.sizes(), (at::IntArrayRef{2, 3, 9, 6}));
  EXPECT_EQ(full_extents(grown, {2, 2}), (Shape{18, 12}));
  expect_same(global_average(x), at::cat({x.low.mean({2, 3}), x.high.mean({2, 3})}, 1));
}

TEST(OctSqueezeExcite, ScalesEveryChannelByItsGate) {
  OctSqueezeExcite layer(5, 2);
  const OctTensor x = random_pair(2, 3, {4, 6});
  const OctTensor y = layer->forward(x);
  const at::Tensor mean = at::cat({x.low.mean({2, 3}), x.high.mean({2, 3})}, 1);
  const at::Tensor hidden = torch::relu(at::linear(mean, layer->fc1->weight, layer->fc1->bias));
  const at::Tensor gate = torch::sigmoid(at::linear(hidden, layer->fc2->weight, layer->fc2->bias));
  expect_same(y.low, x.low * gate.narrow(1, 0, 3).view({2, 3, 1, 1}));
  expect_same(y.high, x.high * gate.narrow(1, 3, 2).view({2, 2, 1, 1}));
}

TEST(OctTensor, IsOneTensorOnlyIfItHasOneFrequency) {
  EXPECT_THROW(static_cast<void>(random_pair(1, 1, {2, 2}).tensor()), InvalidArgument);
  EXPECT_THROW(static_cast<void>(OctTensor().tensor()), InvalidArgument);
}

}  // namespace
}  // namespace octconv::nn
