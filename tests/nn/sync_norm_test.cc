// SPDX-License-Identifier: Apache-2.0
// Batch norm over the images of several processes, here threads.
#include <barrier>
#include <mutex>
#include <thread>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octconv/base/error.h"
#include "octconv/graph/octavize.h"
#include "octconv/nn/graph_module.h"

namespace octconv::nn {
namespace {

// Batch norms alone, with a rectifier, and with a sum, of both frequencies and of one.
Graph network(bool affine = true) {
  Graph graph("norms", Shape{2, 2});
  graph.set_policy({.stride_mode = StrideMode::kPool, .octave_stages = {true, false}});
  const auto conv = [&](const std::string& name, NodeId from, int stage) {
    const Shape ones{1, 1};
    const Conv options{.out_channels = 8,
                       .kernel = {3, 3},
                       .stride = ones,
                       .dilation = ones,
                       .padding_begin = ones,
                       .padding_end = ones};
    return graph.add(name + "_norm", BatchNorm{.affine = affine},
                     {graph.add(name, options, {from}, stage)});
  };
  const auto relu = [&](const std::string& name, NodeId from) {
    return graph.add(name, Activation{}, {from});
  };
  const NodeId first = relu("relu1", conv("conv1", graph.add("input", Input{2}, {}), 0));
  const NodeId sum = relu("relu2", graph.add("add", Add{}, {conv("conv2", first, 0), first}));
  const NodeId pooled = graph.add("pool", GlobalPool{}, {conv("conv3", sum, 1)});
  graph.add_output(graph.add("classes", Linear{.out_channels = 3}, {pooled}));
  return octavize(graph, {.alpha = 0.25}).graph;
}

// Adds up over threads, each of which calls it equally often.
class Sums {
 public:
  explicit Sums(std::ptrdiff_t threads) : barrier_(threads) {}

  void add_up(std::span<double> numbers) {
    {
      const std::lock_guard lock(mutex_);
      all_.resize(numbers.size());
      for (std::size_t i = 0; i < numbers.size(); ++i) all_[i] += numbers[i];
    }
    barrier_.arrive_and_wait();
    const std::vector<double> result = all_;
    barrier_.arrive_and_wait();
    {
      const std::lock_guard lock(mutex_);
      all_.clear();
    }
    barrier_.arrive_and_wait();
    std::copy(result.begin(), result.end(), numbers.begin());
  }

 private:
  std::mutex mutex_;
  std::vector<double> all_;
  std::barrier<> barrier_;
};

void train_on(GraphModule& module, const at::Tensor& images, const at::Tensor& factors) {
  (module.forward(images) * factors).sum().backward();
}

// Is each element as near as the largest one allows?
void expect_near(const at::Tensor& a, const at::Tensor& b, const std::string& name) {
  const double largest = b.abs().max().item<double>();
  EXPECT_LE((a - b).abs().max().item<double>(), 1e-5 * largest) << name;
}

TEST(SyncNorm, PartsOfABatchAddUpToTheWholeForwardAndBackward) {
  constexpr std::int64_t kImages = 8;
  at::manual_seed(1);
  const at::Tensor images = at::randn({kImages, 2, 6, 6});
  const at::Tensor factors = at::randn({kImages, 3});
  GraphModule whole(network(), 7);
  train_on(whole, images, factors);

  Sums sums(2);
  std::vector<GraphModule> parts;
  for (int i = 0; i < 2; ++i) {
    parts.emplace_back(network(), 7);
    parts.back().synchronise_norms([&](std::span<double> numbers) { sums.add_up(numbers); });
  }
  constexpr std::int64_t kFirst = 3;  // images of the first part
  std::thread first(
      [&] { train_on(parts[0], images.narrow(0, 0, kFirst), factors.narrow(0, 0, kFirst)); });
  train_on(parts[1], images.narrow(0, kFirst, kImages - kFirst),
           factors.narrow(0, kFirst, kImages - kFirst));
  first.join();

  const auto expected = whole.named_parameters();
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const at::Tensor sum =
        parts[0].named_parameters()[i].second.grad() + parts[1].named_parameters()[i].second.grad();
    expect_near(sum, expected[i].second.grad(), expected[i].first);
  }
  const auto statistics = whole.named_buffers();
  ASSERT_FALSE(statistics.empty());
  for (std::size_t i = 0; i < statistics.size(); ++i) {
    for (const GraphModule& part : parts) {
      expect_near(part.named_buffers()[i].second, statistics[i].second, statistics[i].first);
    }
  }
}

TEST(SyncNorm, RefusesWhatItCannotDo) {
  const auto alone = [](std::span<double>) {};
  GraphModule without_weights(network(false));
  without_weights.synchronise_norms(alone);
  EXPECT_THROW(static_cast<void>(without_weights.forward(at::zeros({1, 2, 6, 6}))), Unsupported);
  Graph graph("one", Shape{2, 2});
  graph.add_output(graph.add("pool", GlobalPool{},
                             {graph.add("norm", BatchNorm{}, {graph.add("input", Input{2}, {})})}));
  GraphModule one_pixel(graph);
  one_pixel.synchronise_norms(alone);
  EXPECT_THROW(static_cast<void>(one_pixel.forward(at::zeros({1, 2, 1, 1}))), InvalidArgument);
}

}  // namespace
}  // namespace octconv::nn
