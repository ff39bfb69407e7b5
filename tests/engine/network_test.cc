// SPDX-License-Identifier: Apache-2.0
// The engine against a graph interpreter in double: every step by itself, and fusion and memory by
// bits.
#include "octconv/engine/network.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "octconv/base/error.h"
#include "octconv/base/executor.h"
#include "octconv/base/parallel.h"
#include "octconv/graph/octavize.h"
#include "octconv/graph/zoo.h"
#include "support/decoder.h"
#include "support/pool_executor.h"
#include "support/random_values.h"
#include "support/reference_network.h"

namespace octconv {
namespace {

// One thread unless a test asks for more: many threads are slow on a busy machine.
class OneThread : public ::testing::Environment {
  void SetUp() override { set_thread_count(1); }
};
const auto* const one_thread = ::testing::AddGlobalTestEnvironment(new OneThread);

Tensor random_tensor(const Shape& shape, std::uint64_t seed) {
  Tensor tensor(shape);
  Random random(seed);
  testing::fill_random(tensor.values(), random);
  return tensor;
}

Model random_model(Graph graph, std::uint64_t seed = 1) {
  Weights weights = reference::random_weights(graph, seed);
  return {.graph = std::move(graph), .weights = std::move(weights)};
}

Model zoo_model(const std::string& name, double alpha) {
  return random_model(octavize(make_network(name), {.alpha = alpha}).graph);
}

std::vector<float> values(const Tensor& tensor) {
  return {tensor.values().begin(), tensor.values().end()};
}

// One image of a tensor [batch, channels, extents...].
reference::Map image(const Tensor& tensor, std::int64_t n) {
  const Shape& shape = tensor.shape();
  Shape extents;
  for (std::size_t axis = 2; axis < shape.rank(); ++axis) extents.push_back(shape[axis]);
  const std::int64_t elements = shape[1] * extents.elements();
  return reference::from_values(shape[1], extents,
                                tensor.values().subspan(static_cast<std::size_t>(n * elements),
                                                        static_cast<std::size_t>(elements)));
}

void compare(const reference::Map& computed, const reference::Map& expected,
             const std::string& what) {
  ASSERT_EQ(computed.values.size(), expected.values.size()) << what;
  for (std::size_t i = 0; i < expected.values.size(); ++i) {
    ASSERT_NEAR(computed.values[i], expected.values[i], expected.tolerance(i))
        << what << ", element " << i;
  }
}

// Compares every kept value with what the interpreter makes of the kept values before it. Returns
// the output.
std::vector<float> check_steps(const Model& model, const std::vector<std::string>& keep,
                               const Tensor& input) {
  Session session(compile(model, {.keep = keep}));
  const Tensor output = session.run(input);
  EXPECT_THAT(values(session.value(model.graph.node(model.graph.outputs()[0]).name)),
              ::testing::ContainerEq(values(output)));
  for (std::int64_t n = 0; n < input.shape()[0]; ++n) {
    const auto known = [&](NodeId id) -> std::optional<reference::Value> {
      const Node& node = model.graph.node(id);
      if (id == model.graph.inputs()[0]) return reference::Value{image(input, n), {}};
      if (std::find(keep.begin(), keep.end(), node.name) == keep.end()) return std::nullopt;
      reference::Value value;
      value.first = image(session.value(node.name), n);
      if (node.channels.octave())
        value.second = image(session.value(node.name, Frequency::kLow), n);
      return value;
    };
    const reference::Interpreter interpreter(model, known);
    for (const std::string& name : keep) {
      const NodeId id = model.graph.find(name);
      const reference::Value expected = interpreter.compute(id);
      const reference::Value computed = known(id).value();
      compare(computed.first, expected.first, "'" + name + "' high");
      if (expected.second.channels > 0) {
        compare(computed.second, expected.second, "'" + name + "' low");
      }
      if (::testing::Test::HasFatalFailure()) break;
    }
  }
  return values(output);
}

std::vector<std::string> all_nodes(const Graph& graph) {
  std::vector<std::string> names;
  for (const Node& node : graph.nodes()) names.push_back(node.name);
  return names;
}

// The values that exist when everything is fused that can be: those whose only reader cannot be
// part of the operation that makes them.
std::vector<std::string> fused_ends(const Graph& graph) {
  std::vector<std::vector<NodeId>> readers(graph.nodes().size());
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    for (const NodeId input : graph.nodes()[i].inputs) {
      readers[static_cast<std::size_t>(input)].push_back(static_cast<NodeId>(i));
    }
  }
  const auto only_reader = [&](NodeId id) -> const Node* {
    const auto& all = readers[static_cast<std::size_t>(id)];
    return all.size() == 1 ? &graph.node(all[0]) : nullptr;
  };
  // A convolution, or batch norms that are folded into one.
  const auto is_sum = [&](NodeId id) {
    const Node* node = &graph.node(id);
    while (std::holds_alternative<BatchNorm>(node->op)) {
      if (readers[static_cast<std::size_t>(node->inputs[0])].size() != 1) return false;
      node = &graph.node(node->inputs[0]);
    }
    return std::holds_alternative<Conv>(node->op) || std::holds_alternative<Linear>(node->op);
  };
  std::vector<std::string> names;
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    const auto id = static_cast<NodeId>(i);
    const Node& node = graph.nodes()[i];
    const Node* reader = only_reader(id);
    bool inside = false;
    if (reader != nullptr) {
      const Op& next = reader->op;
      const bool conv = std::holds_alternative<Conv>(node.op);
      const bool norm = std::holds_alternative<BatchNorm>(node.op);
      const bool add = std::holds_alternative<Add>(node.op);
      if (std::holds_alternative<BatchNorm>(next)) inside = is_sum(id);
      if (std::holds_alternative<Activation>(next)) inside = conv || norm || add;
      if (std::holds_alternative<Add>(next)) {
        // The first operand that can take the other in.
        const bool first = reader->inputs[0] == id || !(is_sum(reader->inputs[0]) &&
                                                        only_reader(reader->inputs[0]) != nullptr);
        inside = is_sum(id) && first;
      }
    }
    if (!inside) names.push_back(node.name);
  }
  return names;
}

// Sums that are read by batch norms: the first one is made beside the sum.
std::int64_t norms_beside_sums(const Graph& graph) {
  std::set<NodeId> sums;
  for (const Node& node : graph.nodes()) {
    if (std::holds_alternative<BatchNorm>(node.op) &&
        std::holds_alternative<Add>(graph.node(node.inputs[0]).op)) {
      sums.insert(node.inputs[0]);
    }
  }
  return static_cast<std::int64_t>(sums.size());
}

struct Example {
  const char* network;
  double alpha;
  Shape input;
};

class EngineTest : public ::testing::TestWithParam<Example> {};

TEST_P(EngineTest, ComputesEveryFusedStepAndGivesTheSameBitsWhenMemoryIsReused) {
  const Model model = zoo_model(GetParam().network, GetParam().alpha);
  const Tensor input = random_tensor(GetParam().input, 2);
  const std::vector<std::string> ends = fused_ends(model.graph);
  const std::vector<float> kept = check_steps(model, ends, input);
  const Network network = compile(model);
  EXPECT_EQ(network.steps(),
            static_cast<std::int64_t>(ends.size()) - norms_beside_sums(model.graph));
  EXPECT_EQ(values(Session(network).run(input)), kept);
}

INSTANTIATE_TEST_SUITE_P(Zoo, EngineTest,
                         ::testing::Values(Example{"resnet20", 0, {2, 3, 8, 8}},
                                           Example{"resnet20", 0.25, {2, 3, 9, 7}},
                                           Example{"resnet20", 0.5, {1, 3, 12, 12}},
                                           Example{"resnet50v2", 0, {1, 3, 32, 32}},
                                           Example{"resnet50v2", 0.5, {1, 3, 33, 33}},
                                           Example{"resnet50_v1b", 0, {1, 3, 33, 33}},
                                           Example{"resnet50_v1b", 0.25, {1, 3, 32, 33}}),
                         [](const ::testing::TestParamInfo<Example>& example) {
                           return std::string(example.param.network) + "_" +
                                  std::to_string(static_cast<int>(100 * example.param.alpha));
                         });

// All operations, octave values through each that allows them, two readers of one value, a residual
// that is the convolution's own input, and a sum of a value with itself.
Model mixed_model(std::size_t rank) {
  Graph graph("mixed", Shape::filled(rank, 2));
  graph.set_policy({.stride_mode = StrideMode::kPool, .octave_stages = {true}});
  const auto conv = [&](const std::string& name, NodeId in, std::int64_t out, std::int64_t kernel,
                        std::int64_t stride, std::int64_t groups, bool bias) {
    const Shape padding = Shape::filled(rank, kernel / 2);
    return graph.add(name,
                     Conv{.out_channels = out,
                          .kernel = Shape::filled(rank, kernel),
                          .stride = Shape::filled(rank, stride),
                          .dilation = Shape::filled(rank, 1),
                          .padding_begin = padding,
                          .padding_end = padding,
                          .groups = groups,
                          .bias = bias},
                     {in}, 0);
  };
  const auto pool = [&](PoolKind kind, std::int64_t kernel, std::int64_t padding) {
    return Pool{.kind = kind,
                .kernel = Shape::filled(rank, kernel),
                .stride = Shape::filled(rank, 2),
                .padding_begin = Shape::filled(rank, padding),
                .padding_end = Shape::filled(rank, padding)};
  };
  NodeId x = graph.add("input", Input{3}, {});
  x = graph.add("relu6", Activation{ActivationKind::kRelu6}, {conv("stem", x, 12, 3, 1, 1, true)});
  NodeId y = conv("depthwise", x, 12, 3, 1, 12, true);
  y = graph.add("second_norm", BatchNorm{}, {graph.add("norm", BatchNorm{}, {y})});
  x = graph.add("sum", Add{}, {y, x});
  x = graph.add("max", pool(PoolKind::kMax, 3, 1), {x});
  x = graph.add("average", pool(PoolKind::kAverage, 2, 0), {x});
  x = conv("grouped", x, 24, 3, 2, 2, false);
  x = graph.add("sigmoid", Activation{ActivationKind::kSigmoid}, {x});
  x = graph.add("own_input", Add{}, {conv("keeps", x, 24, 1, 1, 1, true), x});
  x = graph.add("twice", Add{}, {x, x});
  x = graph.add("norm_of_sum", BatchNorm{}, {x});
  x = conv("shared", x, 16, 1, 1, 1, true);
  x = graph.add("gated", Add{}, {graph.add("gate", Activation{ActivationKind::kSigmoid}, {x}), x});
  NodeId gate = graph.add("squeeze", GlobalPool{}, {x});
  gate = graph.add("excite", Linear{.out_channels = 16}, {gate});
  gate = graph.add("opening", Activation{ActivationKind::kSigmoid}, {gate});
  const NodeId scaled = graph.add("scaled", Scale{}, {x, gate});
  x = graph.add("joined", Concat{}, {scaled, x, conv("more", scaled, 5, 3, 1, 1, false)});
  x = graph.add("plain_norm", BatchNorm{.affine = false}, {x});
  const auto ordinary = [&](const std::string& name, NodeId in, std::int64_t out) {
    return graph.add(name,
                     Conv{.out_channels = out,
                          .kernel = Shape::filled(rank, 1),
                          .stride = Shape::filled(rank, 1),
                          .dilation = Shape::filled(rank, 1),
                          .padding_begin = Shape::filled(rank, 0),
                          .padding_end = Shape::filled(rank, 0)},
                     {in});
  };
  const NodeId coarse = graph.add("coarse", pool(PoolKind::kMax, 3, 1), {x});
  const NodeId attended = graph.add(
      "attended", Attention{0.5},
      {ordinary("queries", x, 6), ordinary("keys", coarse, 6), ordinary("values", coarse, 7)});
  x = graph.add("with_attended", Concat{}, {x, attended});
  x = graph.add("last_relu", Activation{}, {conv("last", x, 9, 3, 1, 1, false)});
  x = graph.add("mean", GlobalPool{}, {x});
  x = graph.add("hidden", Linear{.out_channels = 7}, {x});
  x = graph.add("hidden_relu", Activation{}, {x});
  x = graph.add("classes", Linear{.out_channels = 5, .bias = false}, {x});
  graph.add_output(x);
  return random_model(octavize(graph, {.alpha = 0.5}).graph);
}

TEST(Engine, ComputesEveryNodeOfANetwork) {
  const Model model = zoo_model("resnet20", 0.25);
  static_cast<void>(check_steps(model, all_nodes(model.graph), random_tensor({2, 3, 9, 7}, 2)));
}

TEST(Engine, ComputesEveryOperationInEveryRank) {
  for (const Shape& input : {Shape{2, 3, 19}, Shape{2, 3, 16, 13}, Shape{1, 3, 9, 11, 8}}) {
    const Model model = mixed_model(input.rank() - 2);
    for (const char* name : {"average", "scaled", "joined", "with_attended"}) {
      EXPECT_TRUE(model.graph.node(model.graph.find(name)).channels.octave()) << name;
    }
    static_cast<void>(check_steps(model, all_nodes(model.graph), random_tensor(input, 3)));
    const auto kept = check_steps(model, fused_ends(model.graph), random_tensor(input, 3));
    EXPECT_EQ(values(Session(compile(model)).run(random_tensor(input, 3))), kept);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

TEST(Engine, ComputesWhatDecodersAndMobileNetworksHave) {
  for (const Shape& input : {Shape{2, 2, 9}, Shape{2, 2, 6, 5}, Shape{1, 2, 4, 3, 5}}) {
    const Model model = random_model(examples::octave_decoder_graph(input.rank() - 2));
    for (const char* name : {"silu", "product", "near", "linear"}) {
      EXPECT_TRUE(model.graph.node(model.graph.find(name)).channels.octave()) << name;
    }
    static_cast<void>(check_steps(model, all_nodes(model.graph), random_tensor(input, 3)));
    // Activations and norms are part of what is before them.
    const std::vector<std::string> ends{
        "image",  "silu",      "swish",    "leaky",  "product", "rectified", "near",
        "linear", "hard",      "ordinary", "mixed",  "up",      "open",      "far",
        "shares", "of_shares", "of_wide",  "of_far", "means",   "fc",        "classes"};
    const auto kept = check_steps(model, ends, random_tensor(input, 3));
    const Network network = compile(model);
    EXPECT_EQ(network.steps(), static_cast<std::int64_t>(ends.size()));
    EXPECT_EQ(values(Session(network).run(random_tensor(input, 3))), kept);
    if (::testing::Test::HasFatalFailure()) return;
  }
}

// A value that is kept exists as a whole: its depthwise convolution is then a step of its own.
TEST(Engine, MakesDepthwiseConvolutionsPartOfWhatReadsThem) {
  for (const char* name : {"mobilenet_v1", "mobilenet_v2"}) {
    for (const double alpha : {0.0, 0.5}) {
      const Model model = zoo_model(name, alpha);
      std::vector<std::string> ends;
      for (const Node& node : model.graph.nodes()) {
        if (node.name.find(".depthwise") == std::string::npos) continue;
        const std::string block = node.name.substr(0, node.name.find('.'));
        ends.push_back(block + (name == std::string("mobilenet_v1") ? ".relu1" : ".relu2"));
      }
      ASSERT_GE(ends.size(), 13U);
      const Tensor input = random_tensor({1, 3, 128, 127}, 2);
      const Network apart = compile(model, {.keep = ends});
      const Network together = compile(model);
      EXPECT_EQ(apart.steps() - together.steps(), static_cast<std::int64_t>(ends.size()));
      EXPECT_EQ(values(Session(together).run(input)), values(Session(apart).run(input)))
          << name << " " << alpha;
    }
  }
}

TEST(Engine, GivesASpatialOutputChannelsFirst) {
  Graph graph("image", Shape{2, 2});
  const NodeId x = graph.add("input", Input{5}, {});
  graph.add_output(graph.add("relu", Activation{}, {x}));
  Session session(compile({.graph = graph, .weights = {}}));
  const Tensor input = random_tensor({2, 5, 3, 4}, 1);
  const Tensor output = session.run(input);
  ASSERT_EQ(output.shape(), input.shape());
  for (std::size_t i = 0; i < input.values().size(); ++i) {
    EXPECT_EQ(output.values()[i], std::max(input.values()[i], 0.0F));
  }
}

TEST(Engine, NeedsLessMemoryThanItsValuesTogether) {
  const Model model = zoo_model("resnet20", 0.5);
  const Tensor input = random_tensor({1, 3, 32, 32}, 1);
  Session kept(compile(model, {.keep = fused_ends(model.graph)}));
  Session reused(compile(model));
  static_cast<void>(kept.run(input));
  static_cast<void>(reused.run(input));
  EXPECT_LT(2 * reused.arena_elements(), kept.arena_elements());
}

TEST(Engine, SkipsNodesThatNothingReads) {
  Graph graph("dead", Shape{2, 2});
  const NodeId x = graph.add("input", Input{2}, {});
  graph.add("dead", Activation{ActivationKind::kSigmoid}, {x});
  graph.add_output(graph.add("relu", Activation{}, {x}));
  EXPECT_EQ(compile({.graph = graph, .weights = {}}).steps(), 2);
}

TEST(Session, GivesTheSameBitsForAnyNumberOfThreads) {
  const Network network = compile(zoo_model("resnet20", 0.25));
  const Tensor input = random_tensor({3, 3, 32, 32}, 5);
  const int before = thread_count();
  set_thread_count(1);
  const std::vector<float> one = values(Session(network).run(input));
  for (const int threads : {2, 3}) {
    set_thread_count(threads);
    EXPECT_EQ(values(Session(network).run(input)), one) << threads << " threads";
  }
  set_thread_count(before);
}

TEST(Session, GivesTheSameBitsOnThreadsOfTheCaller) {
  const Network network = compile(zoo_model("resnet20", 0.25));
  const Tensor input = random_tensor({3, 3, 32, 32}, 5);
  const std::vector<float> one = values(Session(network, {.threads = 1}).run(input));
  EXPECT_EQ(values(Session(network, {.threads = 3}).run(input)), one);
  const auto pool = std::make_shared<testing::PoolExecutor>(3);
  EXPECT_EQ(values(Session(network, {.executor = pool}).run(input)), one);
  EXPECT_GT(pool->loops(), 0);
  const auto backward = std::make_shared<testing::BackwardExecutor>();
  EXPECT_EQ(values(Session(network, {.executor = backward}).run(input)), one);
}

TEST(Session, UsesNoExecutorButItsOwn) {
  const Network network = compile(zoo_model("resnet20", 0.25));
  const Tensor input = random_tensor({3, 3, 32, 32}, 5);
  testing::PoolExecutor outside(2);
  const ParallelScope scope(outside);
  static_cast<void>(Session(network, {.threads = 1}).run(input));
  EXPECT_EQ(outside.loops(), 0);
  static_cast<void>(Session(network).run(input));
  EXPECT_GT(outside.loops(), 0);
}

TEST(Session, RefusesThreadsThatItCannotHave) {
  const Network network = compile(zoo_model("resnet20", 0.25));
  for (const int threads : {-1, 1025}) {
    EXPECT_THAT(
        [&] { const Session session(network, {.threads = threads}); },
        ::testing::ThrowsMessage<InvalidArgument>(::testing::HasSubstr(std::to_string(threads))));
  }
  EXPECT_THAT(
      [&] {
        const Session session(
            network, {.threads = 2, .executor = std::make_shared<testing::PoolExecutor>(2)});
      },
      ::testing::ThrowsMessage<InvalidArgument>(::testing::HasSubstr("executor")));
}

TEST(Session, SharesANetworkWithSessionsOfOtherThreads) {
  const Network network = compile(zoo_model("resnet20", 0.5));
  std::vector<Tensor> inputs;
  std::vector<std::vector<float>> expected;
  for (std::uint64_t i = 0; i < 2; ++i) {
    inputs.push_back(random_tensor({2, 3, 16, 16}, 10 + i));
    expected.push_back(values(Session(network).run(inputs.back())));
  }
  std::vector<int> wrong(2, 0);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 2; ++i) {
    threads.emplace_back([&, i] {
      Session session(network, {.threads = static_cast<int>(i) + 1});
      for (int round = 0; round < 5; ++round) {
        const Tensor output = session.run(inputs[i]);
        if (!std::ranges::equal(output.values(), expected[i])) ++wrong[i];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(wrong, ::testing::Each(0));
}

TEST(Session, PlansAnewForEveryShapeAndKeepsTheResults) {
  const Network network = compile(zoo_model("resnet20", 0.5));
  Session session(network);
  for (int round = 0; round < 2; ++round) {
    for (std::int64_t size = 4; size < 24; ++size) {  // more shapes than a session keeps
      const Tensor input = random_tensor({1 + size % 3, 3, size, size + 1}, 6);
      ASSERT_EQ(values(session.run(input)), values(Session(network).run(input))) << size;
    }
  }
}

TEST(Session, GivesEachImageOfABatchTheBitsItGetsAlone) {
  const Network network = compile(zoo_model("resnet20", 0.25));
  Session session(network);
  const Tensor batch = random_tensor({3, 3, 9, 9}, 7);
  const Tensor all = session.run(batch);
  for (std::int64_t n = 0; n < 3; ++n) {
    Tensor one(Shape{1, 3, 9, 9});
    std::copy_n(batch.data() + n * one.elements(), one.elements(), one.data());
    const Tensor alone = session.run(one);
    EXPECT_TRUE(std::equal(alone.values().begin(), alone.values().end(), all.data() + n * 10));
  }
}

// So large that the session runs it in parts, the last of which is smaller.
TEST(Session, GivesEachImageOfALargeBatchTheBitsItGetsAlone) {
  const Network network = compile(zoo_model("resnet20", 0.25));
  constexpr std::int64_t kImages = 11;
  constexpr std::int64_t kSize = 160;
  const Tensor batch = random_tensor({kImages, 3, kSize, kSize}, 7);
  Session session(network);
  const Tensor all = session.run(batch);
  EXPECT_EQ(all.shape(), (Shape{kImages, 10}));
  Session alone(network);
  for (std::int64_t n = 0; n < kImages; ++n) {
    Tensor one(Shape{1, 3, kSize, kSize});
    std::copy_n(batch.data() + n * one.elements(), one.elements(), one.data());
    const Tensor result = alone.run(one);
    EXPECT_TRUE(std::equal(result.values().begin(), result.values().end(), all.data() + n * 10))
        << "image " << n;
  }
  EXPECT_LT(session.arena_elements(), kImages * alone.arena_elements() * 3 / 4);
}

TEST(Session, RunsAnEmptyBatch) {
  Session session(compile(zoo_model("resnet20", 0.5)));
  EXPECT_EQ(session.run(Tensor(Shape{0, 3, 8, 8})).shape(), (Shape{0, 10}));
}

TEST(Session, LetsANaNReachTheOutputsOfItsImageOnly) {
  Session session(compile(zoo_model("resnet20", 0.5)));
  Tensor input = random_tensor({2, 3, 8, 8}, 8);
  input.values()[70] = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> output = values(session.run(input));
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_TRUE(std::isnan(output[i])) << i;
    EXPECT_TRUE(std::isfinite(output[10 + i])) << i;
  }
}

TEST(Session, ReplacesAnOutputOfAnotherShape) {
  Session session(compile(zoo_model("resnet20", 0)));
  const Tensor input = random_tensor({2, 3, 8, 8}, 9);
  Tensor output(Shape{5});
  session.run(input, output);
  EXPECT_EQ(output.shape(), (Shape{2, 10}));
  EXPECT_EQ(values(output), values(session.run(input)));
}

TEST(Session, RefusesInputsThatDoNotFit) {
  Session session(compile(zoo_model("resnet20", 0.5)));
  for (const Shape& shape : {Shape{3, 8, 8}, Shape{1, 4, 8, 8}, Shape{1, 3, 8}, Shape{1, 3, 0, 8},
                             Shape{1, 3, 8, 8, 8}, Shape{0}}) {
    EXPECT_THROW(static_cast<void>(session.run(Tensor(shape))), InvalidArgument)
        << shape.to_string();
  }
}

TEST(Session, GivesOnlyKeptValuesAndOnlyAfterARun) {
  Session session(compile(zoo_model("resnet20", 0.5), {.keep = {"relu"}}));
  EXPECT_THROW(static_cast<void>(session.value("relu")), InvalidArgument);
  static_cast<void>(session.run(random_tensor({2, 3, 9, 8}, 1)));
  EXPECT_EQ(session.value("relu").shape(), (Shape{2, 8, 9, 8}));
  EXPECT_EQ(session.value("relu", Frequency::kLow).shape(), (Shape{2, 8, 5, 4}));
  EXPECT_THROW(static_cast<void>(session.value("conv1")), InvalidArgument);
  EXPECT_THROW(static_cast<void>(session.value("nothing")), InvalidArgument);
}

TEST(Compile, RefusesWhatItCannotRun) {
  EXPECT_THROW(static_cast<void>(compile(zoo_model("resnet20", 0), {.keep = {"nothing"}})),
               InvalidArgument);

  for (const Downsample downsample : {Downsample::kMax, Downsample::kStridedConv}) {
    const Graph graph =
        octavize(make_network("resnet20"), {.alpha = 0.5, .downsample = downsample}).graph;
    try {
      static_cast<void>(compile(random_model(graph)));
      FAIL() << to_string(downsample);
    } catch (const Unsupported& error) {
      EXPECT_THAT(error.what(),
                  ::testing::HasSubstr("downsample " + std::string(to_string(downsample))));
    }
  }

  Model incomplete = zoo_model("resnet20", 0);
  incomplete.weights.erase("fc.bias");
  EXPECT_THROW(static_cast<void>(compile(incomplete)), InvalidArgument);

  Graph endless("endless", Shape{2, 2});
  endless.add("x", Input{1}, {});
  EXPECT_THROW(static_cast<void>(compile({.graph = endless, .weights = {}})), Unsupported);
}

// Outputs: the sum of `a` and of what a convolution makes of `b`, which is twice as large; the
// gate, a vector; and `a` itself.
Graph graph_of_two_inputs() {
  Graph graph("two", Shape{2, 2});
  graph.set_default_extents({5, 7});
  const NodeId a = graph.add("a", Input{3}, {});
  const NodeId b = graph.add("b", Input{.channels = 2, .extents = {10, 13}}, {});
  const NodeId down = graph.add("down",
                                Conv{.out_channels = 3,
                                     .kernel = {3, 3},
                                     .stride = {2, 2},
                                     .dilation = {1, 1},
                                     .padding_begin = {1, 1},
                                     .padding_end = {1, 1},
                                     .bias = true},
                                {b});
  const NodeId sum = graph.add("sum", Add{}, {a, down});
  graph.add_output(graph.add("relu", Activation{}, {sum}));
  graph.add_output(graph.add("pool", GlobalPool{}, {sum}));
  graph.add_output(a);
  return graph;
}

TEST(Session, TakesSeveralInputsAndGivesSeveralOutputs) {
  const Model model = random_model(graph_of_two_inputs());
  const Network network = compile(model);
  ASSERT_EQ(network.inputs().size(), 2U);
  EXPECT_EQ(network.inputs()[1].name, "b");
  EXPECT_EQ(network.inputs()[1].channels, 2);
  ASSERT_EQ(network.outputs().size(), 3U);
  EXPECT_EQ(network.outputs()[1].name, "pool");

  Session session(network);
  for (const std::int64_t size : {5, 8, 5}) {
    std::vector<Tensor> inputs;
    inputs.push_back(random_tensor({2, 3, size, 7}, 1));
    inputs.push_back(random_tensor({2, 2, 2 * size, 13}, 2));
    const std::vector<Tensor> outputs = session.run(inputs);
    ASSERT_EQ(outputs.size(), 3U);
    EXPECT_EQ(outputs[1].shape(), (Shape{2, 3}));
    EXPECT_EQ(values(outputs[2]), values(inputs[0]));
    for (std::int64_t n = 0; n < 2; ++n) {
      const reference::Interpreter interpreter(model,
                                               [&](NodeId id) -> std::optional<reference::Value> {
                                                 if (id == 0)
                                                   return reference::Value{image(inputs[0], n), {}};
                                                 if (id == 1)
                                                   return reference::Value{image(inputs[1], n), {}};
                                                 return std::nullopt;
                                               });
      for (const std::size_t output : {0U, 1U}) {
        const NodeId id = model.graph.outputs()[output];
        compare(image(outputs[output], n), interpreter.compute(id).first,
                model.graph.node(id).name);
      }
    }
  }
}

TEST(Session, NamesTheInputThatDoesNotFit) {
  Session session(compile(random_model(graph_of_two_inputs())));
  const auto complaint = [&](const Shape& a, const Shape& b) -> std::string {
    std::vector<Tensor> inputs;
    inputs.emplace_back(a);
    inputs.emplace_back(b);
    try {
      static_cast<void>(session.run(inputs));
    } catch (const InvalidArgument& error) {
      return error.what();
    }
    return "";
  };
  using ::testing::HasSubstr;
  EXPECT_THAT(complaint({1, 3, 5, 7}, {1, 3, 10, 13}),
              ::testing::HasSubstr("input 'b' must be [batch, 2,"));
  EXPECT_THAT(complaint({1, 3, 5, 7}, {2, 2, 10, 13}),
              ::testing::HasSubstr("'b' has a batch of 2, and 'a'"));
  EXPECT_THAT(complaint({1, 3, 5, 7}, {1, 2, 12, 13}),
              HasSubstr("with an input of [5, 7] and [12, 13], node 'sum'"));
  EXPECT_THROW(static_cast<void>(session.run(Tensor(Shape{1, 3, 5, 7}))), InvalidArgument);
}

}  // namespace
}  // namespace octconv
