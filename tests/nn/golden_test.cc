// SPDX-License-Identifier: Apache-2.0
// The operator against layers built in PyTorch's Python interface (tests/golden/make_golden.py):
// outputs and gradients.
#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "octconv/nn/oct_conv.h"
#include "octconv/tensor/npy.h"

namespace octconv::nn {
namespace {

constexpr std::int64_t kBatch = 2;

struct Golden {
  std::string name;
  ConvOptions options;
  Shape extents;
  BiasRule rule = BiasRule::kOnce;
};

void PrintTo(const Golden& golden, std::ostream* out) {
  *out << golden.name;
}

ConvOptions square(std::int64_t kernel, ChannelSplit in, ChannelSplit out, std::int64_t stride = 1,
                   std::int64_t dilation = 1) {
  const Shape padding = Shape::filled(2, dilation * (kernel - 1) / 2);
  return {.in = in,
          .out = out,
          .kernel = Shape::filled(2, kernel),
          .stride = Shape::filled(2, stride),
          .dilation = Shape::filled(2, dilation),
          .padding_begin = padding,
          .padding_end = padding,
          .octave = {2, 2}};
}

// The article's listing.
Golden article(const std::string& name, Shape extents, ConvOptions options) {
  options.low_to_high = LowToHigh::kUpsampleThenConv;
  options.stride_mode = StrideMode::kStrided;
  return {"article" + name, options, extents, BiasRule::kPerPath};
}

// The PyTorch repositories: the biases of two convolutions are one, their sum.
Golden four(const std::string& name, Shape extents, ConvOptions options,
            StrideMode mode = StrideMode::kPoolTwice) {
  options.stride_mode = mode;
  options.odd_low = OddLow::kFloor;
  return {"four" + name, options, extents, BiasRule::kOnce};
}

ConvOptions grouped(ConvOptions options, std::int64_t groups, GroupRule rule) {
  options.groups = groups;
  options.group_rule = rule;
  return options;
}

std::vector<Golden> layers() {
  using Split = ChannelSplit;
  const auto split = [](std::int64_t low, std::int64_t high) {
    return Split{.high = high, .low = low};
  };
  return {
      article("", {8, 12}, square(3, split(3, 5), split(2, 4))),
      article("_1x1", {6, 4}, square(1, split(4, 4), split(3, 5))),
      article("_5x5", {10, 6}, square(5, split(1, 2), split(2, 1))),
      article("_dilated", {12, 8}, square(3, split(2, 2), split(2, 2), 1, 2)),
      article("_first", {8, 8}, square(3, split(0, 3), split(2, 4))),
      article("_last", {6, 10}, square(3, split(2, 4), split(0, 5))),
      article("_strided", {16, 12}, square(3, split(3, 3), split(4, 2), 2)),
      article("_strided_1x1", {8, 12}, square(1, split(2, 3), split(3, 2), 2)),
      article("_strided_first", {12, 8}, square(3, split(0, 3), split(2, 2), 2)),
      four("", {8, 12}, square(3, split(3, 5), split(2, 4))),
      four("_1x1", {4, 10}, square(1, split(4, 2), split(1, 6))),
      four("_first", {10, 8}, square(3, split(0, 4), split(3, 3))),
      four("_last", {6, 6}, square(3, split(3, 2), split(0, 4))),
      four("_strided", {16, 12}, square(3, split(3, 3), split(2, 4), 2)),
      four("_strided_floor", {10, 6}, square(3, split(2, 3), split(3, 2), 2)),
      four("_strided_first", {8, 16}, square(3, split(0, 3), split(2, 3), 2)),
      four("_strided_last", {8, 4}, square(3, split(2, 2), split(0, 3), 2)),
      four("_pool_low", {16, 12}, square(3, split(3, 3), split(2, 4), 2), StrideMode::kPoolLow),
      four("_groups", {8, 6}, grouped(square(3, split(4, 6), split(2, 4)), 2, GroupRule::kAll)),
      four("_proportional", {6, 8},
           grouped(square(3, split(4, 4), split(4, 8)), 4, GroupRule::kProportional)),
  };
}

const std::filesystem::path kFolder = OCTCONV_GOLDEN_DIR;

// The tensors of one file, one after the other.
class Parts {
 public:
  explicit Parts(const std::string& name) : file_(read_npy(kFolder / (name + ".npy"))) {}

  // In double precision; undefined if there are no elements.
  at::Tensor take(std::vector<std::int64_t> sizes) {
    std::int64_t elements = 1;
    for (const std::int64_t size : sizes) elements *= size;
    if (elements == 0) return {};
    EXPECT_LE(taken_ + elements, file_.elements());
    const at::Tensor part =
        torch::from_blob(file_.data() + taken_, sizes, at::kFloat).to(at::kDouble);
    taken_ += elements;
    return part;
  }

  OctTensor take_pair(const ChannelSplit& split, const Shape& extents) {
    const at::Tensor high = take({kBatch, split.high, extents[0], extents[1]});
    const at::Tensor low = take({kBatch, split.low, extents[0] / 2, extents[1] / 2});
    return {high, low, extents};
  }

  [[nodiscard]] std::int64_t left() const { return file_.elements() - taken_; }

 private:
  Tensor file_;
  std::int64_t taken_ = 0;
};

// Every number of these files is exact in float32, and so is every sum on the way.
void expect_same(const at::Tensor& got, const at::Tensor& expected, const char* what) {
  ASSERT_EQ(got.defined(), expected.defined()) << what;
  if (!got.defined()) return;
  ASSERT_EQ(got.sizes(), expected.sizes()) << what;
  EXPECT_TRUE(torch::equal(got, expected))
      << what << ": largest difference " << (got - expected).abs().max().item<double>();
}

class GoldenLayer : public testing::TestWithParam<Golden> {};

TEST_P(GoldenLayer, HasTheOutputsAndGradientsOfPyTorchsLayers) {
  const auto& [name, options, extents, rule] = GetParam();
  const Shape out{extents[0] / options.stride[0], extents[1] / options.stride[1]};
  Parts parts(name);
  const OctTensor input = parts.take_pair(options.in, extents);
  const at::Tensor weight = parts.take(
      {options.out.total(), weight_columns(options), options.kernel[0], options.kernel[1]});
  const at::Tensor bias = parts.take({options.out.total()});
  const OctTensor expected = parts.take_pair(options.out, out);
  const OctTensor factors = parts.take_pair(options.out, out);
  const OctTensor input_gradient = parts.take_pair(options.in, extents);
  const at::Tensor weight_gradient = parts.take(weight.sizes().vec());
  const at::Tensor bias_gradient = parts.take(bias.sizes().vec());
  ASSERT_EQ(parts.left(), 0);

  for (const at::Tensor* leaf : {&input.high, &input.low, &weight, &bias}) {
    if (leaf->defined()) leaf->requires_grad_();
  }
  const OctTensor y = oct_conv(input, weight, bias, options, rule);
  expect_same(y.high, expected.high, "output high");
  expect_same(y.low, expected.low, "output low");

  if (y.high.defined()) (y.high * factors.high).sum().backward({}, /*retain_graph=*/true);
  if (y.low.defined()) (y.low * factors.low).sum().backward();
  const auto gradient = [](const at::Tensor& leaf) { return leaf.defined() ? leaf.grad() : leaf; };
  expect_same(gradient(input.high), input_gradient.high, "gradient of the high input");
  expect_same(gradient(input.low), input_gradient.low, "gradient of the low input");
  expect_same(weight.grad(), weight_gradient, "gradient of the weight");
  expect_same(bias.grad(), bias_gradient, "gradient of the bias");
}

INSTANTIATE_TEST_SUITE_P(PyTorch, GoldenLayer, testing::ValuesIn(layers()),
                         [](const auto& instance) { return instance.param.name; });

TEST(Golden, EveryFileIsRead) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    if (entry.path().extension() == ".npy") files.push_back(entry.path().stem());
  }
  std::vector<std::string> names;
  for (const Golden& golden : layers()) names.push_back(golden.name);
  std::sort(files.begin(), files.end());
  std::sort(names.begin(), names.end());
  EXPECT_EQ(files, names);
}

}  // namespace
}  // namespace octconv::nn
