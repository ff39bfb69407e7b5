// SPDX-License-Identifier: Apache-2.0
// Blocks that are computed again for the backward pass: which they are, and that nothing but memory
// changes.
#include <algorithm>
#include <functional>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include <c10/core/CPUAllocator.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include "nn/steps.h"
#include "nn/training_step.h"
#include "octconv/base/error.h"
#include "octconv/graph/octavize.h"
#include "octconv/graph/zoo.h"
#include "octconv/nn/memory.h"
#include "support/decoder.h"
#include "support/zoo.h"

namespace octconv::nn {
namespace {

Graph network(const std::string& name, double alpha) {
  return octavize(make_network(name, {.in_channels = 3, .classes = 5}), {.alpha = alpha}).graph;
}

class PartsOfTheZoo : public testing::TestWithParam<ZooEntry> {};

TEST_P(PartsOfTheZoo, AreReadAndLeftThroughOneValueEach) {
  const Graph graph = make_network(GetParam().name);
  const std::vector<Step> steps = plan_steps(graph);
  const std::vector<Part> parts = parts_to_repeat(graph, steps);
  EXPECT_FALSE(parts.empty());
  std::size_t end = 0;
  for (const Part& part : parts) {
    EXPECT_LE(end, part.begin);
    end = part.end;
    int convolutions = 0;
    for (std::size_t i = 0; i < steps.size(); ++i) {
      const auto inside = [&](std::size_t step) { return step >= part.begin && step < part.end; };
      convolutions +=
          inside(i) && std::holds_alternative<Conv>(graph.node(steps[i].node).op) ? 1 : 0;
      for (const NodeId read : steps[i].reads) {
        const auto maker = std::find_if(steps.begin(), steps.end(),
                                        [&](const Step& step) { return step.node == read; });
        const bool made_inside = inside(static_cast<std::size_t>(maker - steps.begin()));
        if (inside(i) && !made_inside) {
          EXPECT_EQ(read, part.reads);
        }
        if (!inside(i) && made_inside) {
          EXPECT_EQ(read, part.makes);
        }
      }
    }
    EXPECT_GE(convolutions, 2);
  }
  EXPECT_LE(end, steps.size());
}

INSTANTIATE_TEST_SUITE_P(Networks, PartsOfTheZoo, testing::ValuesIn(zoo_entries()), name_of);

TEST(PartsToRepeat, AreTheResidualBlocksButTheLast) {
  const auto ends = [](const std::string& name) {
    const Graph graph = network(name, 0.25);
    std::vector<std::string> names;
    for (const Part& part : parts_to_repeat(graph, plan_steps(graph))) {
      names.push_back(graph.node(part.makes).name);
    }
    return names;
  };
  using testing::ElementsAre;
  EXPECT_THAT(ends("resnet20"),
              ElementsAre("layer1.0.relu2", "layer1.1.relu2", "layer1.2.relu2", "layer2.0.relu2",
                          "layer2.1.relu2", "layer2.2.relu2", "layer3.0.relu2", "layer3.1.relu2"));
  EXPECT_EQ(ends("resnet50_v1b").size(), 15U);
}

struct Case {
  const char* network;
  double alpha;
  std::int64_t size;
  bool composed = false;
  at::ScalarType type = at::kFloat;
};

TEST(Repeated, StepsHaveTheBitsOfStepsThatKeepAll) {
  for (const Case& c :
       {Case{"resnet20", 0.25, 16}, Case{"resnet20", 0, 15}, Case{"resnet50_v1b", 0.5, 33},
        Case{"se_resnet50v2", 0.25, 33}, Case{"mobilenet_v1", 0.5, 33},
        Case{"mobilenet_v2", 0.375, 33}, Case{"densenet121", 0.25, 33},
        Case{"resnet20", 0.25, 16, true}, Case{"resnet20", 0.25, 9, false, at::kDouble}}) {
    SCOPED_TRACE(std::string(c.network) + " at " + std::to_string(c.alpha));
    torch::manual_seed(15);
    const at::Tensor images = at::randn({3, 3, c.size, c.size}, c.type);
    const Dropout dropout{.rate = 0.5, .seed = 16};
    const auto step = [&](bool repeated) {
      GraphModule module(network(c.network, c.alpha), 1,
                         {.composed = c.composed, .checkpoint_blocks = repeated});
      module.module()->to(c.type);
      return training_step(module, images, dropout);
    };
    const TrainingStep plain = step(false);
    const TrainingStep repeated = step(true);
    EXPECT_TRUE(repeated.scores.equal(plain.scores));
    for (const auto& [name, tensor] : plain.tensors) {
      ASSERT_TRUE(repeated.tensors.at(name).defined()) << name;
      EXPECT_TRUE(repeated.tensors.at(name).equal(tensor)) << name;
    }
  }
}

TEST(Repeated, FrozenParametersGetNoGradientAndTheOthersTheirBits) {
  torch::manual_seed(17);
  const at::Tensor images = at::randn({2, 3, 16, 16});
  const auto step = [&](bool repeated) {
    GraphModule module(network("resnet20", 0.25), 1, {.checkpoint_blocks = repeated});
    for (auto& [name, tensor] : module.named_parameters()) {
      tensor.set_requires_grad(name.find("layer2") == std::string::npos &&
                               name.find("conv1") == std::string::npos);
    }
    return training_step(module, images);
  };
  const TrainingStep plain = step(false);
  int frozen = 0;
  for (const auto& [name, tensor] : step(true).tensors) {
    ASSERT_EQ(tensor.defined(), plain.tensors.at(name).defined()) << name;
    frozen += tensor.defined() ? 0 : 1;
    if (tensor.defined()) {
      EXPECT_TRUE(tensor.equal(plain.tensors.at(name))) << name;
    }
  }
  EXPECT_GT(frozen, 20);
}

TEST(Repeated, OtherProcessesAreAskedAsOften) {
  torch::manual_seed(18);
  const at::Tensor images = at::randn({2, 3, 16, 16});
  const auto step = [&](bool repeated, int& sums) {
    GraphModule module(network("resnet20", 0.25), 1, {.checkpoint_blocks = repeated});
    module.synchronise_norms([&](std::span<double> numbers) {
      ++sums;
      for (double& number : numbers) number *= 2;  // another process with the same images
    });
    return training_step(module, images);
  };
  int sums = 0;
  int sums_repeated = 0;
  const TrainingStep plain = step(false, sums);
  const TrainingStep repeated = step(true, sums_repeated);
  EXPECT_GT(sums, 0);
  EXPECT_EQ(sums_repeated, sums);
  for (const auto& [name, tensor] : plain.tensors) {
    EXPECT_TRUE(repeated.tensors.at(name).equal(tensor)) << name;
  }
}

// LibTorch's own allocator, with the most bytes that were alive at once.
class CountingMemory final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) const override {
    void* block = c10::GetDefaultCPUAllocator()->raw_allocate(bytes);
    const std::scoped_lock lock(mutex);
    sizes[block] = bytes;
    alive += bytes;
    most = std::max(most, alive);
    return {block, block, &give_back, c10::DeviceType::CPU};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &give_back; }

  static std::size_t since(const std::function<void()>& act) {
    const std::size_t before = most = alive;
    act();
    return most - before;
  }

 private:
  static void give_back(void* block) {
    if (block == nullptr) return;
    const std::scoped_lock lock(mutex);
    alive -= sizes.at(block);
    sizes.erase(block);
    c10::GetDefaultCPUAllocator()->raw_deallocate(block);
  }

  inline static std::mutex mutex;
  inline static std::unordered_map<void*, std::size_t> sizes;
  inline static std::size_t alive = 0;
  inline static std::size_t most = 0;
};

TEST(Repeated, StepsHoldLessMemory) {
  keep_freed_memory(false);
  static CountingMemory memory;
  c10::SetCPUAllocator(&memory);
  for (const double alpha : {0.0, 0.5}) {
    const at::Tensor images = at::randn({8, 3, 64, 64});
    const auto most = [&](bool repeated) {
      GraphModule module(network("resnet20", alpha), 1, {.checkpoint_blocks = repeated});
      for (auto& [name, tensor] : module.named_parameters()) {
        tensor.mutable_grad() = at::zeros_like(tensor);
      }
      return static_cast<double>(CountingMemory::since([&] { training_step(module, images); }));
    };
    // A block keeps what its two convolutions made and a third of the sums, 7/3 of a map; instead
    // one. The stem, the inside of one block and its gradients come on top of both.
    EXPECT_LT(most(true), 0.85 * most(false)) << alpha;
  }
  c10::SetCPUAllocator(c10::GetDefaultCPUAllocator());
}

TEST(Repeated, IsRefusedWhereThereAreNoBlocks) {
  Graph graph("one_layer", Shape{2, 2});
  const NodeId x = graph.add("conv",
                             Conv{.out_channels = 2,
                                  .kernel = {3, 3},
                                  .stride = {1, 1},
                                  .dilation = {1, 1},
                                  .padding_begin = {1, 1},
                                  .padding_end = {1, 1}},
                             {graph.add("input", Input{1}, {})});
  graph.add_output(x);
  try {
    GraphModule(graph, 0, {.checkpoint_blocks = true});
    FAIL();
  } catch (const InvalidArgument& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("'one_layer' has no blocks"));
  }
}

// Of type double all other operations have them.
TEST(Repeated, HasNoSecondDerivatives) {
  GraphModule module(network("resnet20", 0.25), 1, {.checkpoint_blocks = true});
  module.module()->to(at::kDouble);
  const at::Tensor loss = module.forward(at::randn({2, 3, 8, 8}, at::kDouble)).square().sum();
  const at::Tensor weight = module.named_parameters()[0].second;
  try {
    static_cast<void>(torch::autograd::grad({loss}, {weight}, {}, true, /*create_graph=*/true));
    FAIL();
  } catch (const Unsupported& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("computed again"));
  }
}

}  // namespace
}  // namespace octconv::nn
