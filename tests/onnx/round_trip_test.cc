// SPDX-License-Identifier: Apache-2.0
// Export and import: the files pass ONNX's own checker, and give back the same graph and the same
// bits.
#include <algorithm>
#include <cstring>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <onnx/checker.h>
#include <onnx/onnx_pb.h>
#include <onnx/shape_inference/implementation.h>

#include "octconv/base/error.h"
#include "octconv/graph/cost.h"
#include "octconv/graph/fold.h"
#include "octconv/onnx/onnx.h"
#include "onnx/models.h"
#include "support/decoder.h"

namespace octconv {
namespace {

using onnx_test::model_of;
using onnx_test::octave_model;
using onnx_test::small_graph;
using onnx_test::small_model;
using testing::HasSubstr;

constexpr StrideMode kModes[] = {StrideMode::kPool, StrideMode::kPoolTwice, StrideMode::kPoolLow,
                                 StrideMode::kStrided};

::onnx::ModelProto parsed(const std::string& bytes) {
  ::onnx::ModelProto proto;
  EXPECT_TRUE(proto.ParseFromString(bytes));
  return proto;
}

void expect_same_weights(const Weights& a, const Weights& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) {
    ASSERT_TRUE(b.contains(name)) << name;
    const Tensor& other = b.at(name);
    ASSERT_EQ(tensor.shape(), other.shape()) << name;
    EXPECT_EQ(0, std::memcmp(tensor.data(), other.data(),
                             static_cast<std::size_t>(tensor.elements()) * sizeof(float)))
        << name;
  }
}

void expect_same_graph(const Graph& a, const Graph& b) {
  EXPECT_EQ(dump(a, a.default_extents()), dump(b, a.default_extents()));
  EXPECT_EQ(a.octave(), b.octave());
  EXPECT_EQ(a.policy(), b.policy());
  EXPECT_EQ(a.default_extents(), b.default_extents());
  ASSERT_EQ(a.nodes().size(), b.nodes().size());
  for (std::size_t i = 0; i < a.nodes().size(); ++i) {
    EXPECT_EQ(a.nodes()[i].op, b.nodes()[i].op) << a.nodes()[i].name;
  }
}

std::vector<std::int64_t> dims_of(const ::onnx::ValueInfoProto& info) {
  std::vector<std::int64_t> dims;
  for (const auto& dim : info.type().tensor_type().shape().dim()) dims.push_back(dim.dim_value());
  return dims;
}

// ONNX's checker finds the file valid, and ONNX's shape inference finds, from the input alone, the
// extents that the graph has by contract.
void expect_valid(const Model& model, const Shape& extents, const std::string& bytes) {
  ::onnx::ModelProto proto = parsed(bytes);
  EXPECT_NO_THROW(::onnx::checker::check_model(proto));
  ASSERT_NO_THROW(::onnx::shape_inference::InferShapes(proto, ::onnx::OpSchemaRegistry::Instance(),
                                                       ::onnx::ShapeInferenceOptions(true, 1)));
  std::map<std::string, std::vector<std::int64_t>> inferred;
  for (const auto& info : proto.graph().value_info()) inferred[info.name()] = dims_of(info);
  for (const auto& info : proto.graph().input()) inferred[info.name()] = dims_of(info);
  for (const auto& info : proto.graph().output()) inferred[info.name()] = dims_of(info);

  // The batch is a free dimension, which ONNX shows as 0.
  const std::vector<ValueShape> shapes = infer_shapes(model.graph, 0, extents);
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const std::string& name = model.graph.nodes()[i].name;
    const bool octave = shapes[i].channels.octave();
    for (const Frequency frequency : {Frequency::kHigh, Frequency::kLow}) {
      const Shape shape = shapes[i].tensor_shape(frequency);
      if (shape[1] == 0) continue;
      const std::string tensor =
          !octave ? name : name + (frequency == Frequency::kHigh ? ".high" : ".low");
      EXPECT_EQ(inferred[tensor], std::vector<std::int64_t>(shape.begin(), shape.end())) << tensor;
    }
  }
}

void expect_round_trip(const Model& model, const ExportOptions& options = {}) {
  const std::string bytes = export_onnx(model, options);
  expect_valid(model, options.extents.empty() ? model.graph.default_extents() : options.extents,
               bytes);
  const Model back = parse_onnx(bytes, "test.onnx");
  expect_same_graph(model.graph, back.graph);
  expect_same_weights(model.weights, back.weights);
}

TEST(RoundTrip, EveryZooNetworkOrdinaryAndOctave) {
  for (const ZooEntry& entry : zoo_entries()) {
    for (const double alpha : {0.0, 0.25, 0.5}) {
      SCOPED_TRACE(std::string(entry.name) + " alpha " + std::to_string(alpha));
      const Graph graph = octavize(make_network(entry.name), {.alpha = alpha}).graph;
      // Large networks take seconds each, and differ from smaller ones in depth only.
      if (cost(graph, graph.default_extents()).params > 20'000'000 && alpha != 0.5) continue;
      expect_round_trip(model_of(graph));
    }
  }
}

TEST(RoundTrip, EveryStrideModeAtEvenAndOddSizes) {
  for (const StrideMode mode : kModes) {
    for (const double alpha : {0.0, 0.25, 1.0}) {
      for (const std::int64_t size : {32, 33, 35}) {
        SCOPED_TRACE(std::string(to_string(mode)) + " " + std::to_string(size));
        expect_round_trip(octave_model("resnet20", {.alpha = alpha, .stride_mode = mode}),
                          {.extents = Shape{size, size + 1}});
      }
    }
  }
}

TEST(RoundTrip, EveryDownsamplingAtEvenAndOddSizes) {
  for (const Downsample downsample : {Downsample::kMax, Downsample::kStridedConv}) {
    for (const StrideMode mode : kModes) {
      for (const std::int64_t size : {32, 33, 35}) {
        SCOPED_TRACE(std::string(to_string(downsample)) + " " + std::to_string(size));
        const OctavizeOptions options{.alpha = 0.25, .stride_mode = mode, .downsample = downsample};
        expect_round_trip(octave_model("resnet20", options), {.extents = Shape{size, size + 1}});
      }
    }
  }
}

TEST(RoundTrip, LowUpsampledBeforeItsConvolutionAtEvenAndOddSizes) {
  for (const StrideMode mode : kModes) {
    for (const std::int64_t size : {32, 33, 35}) {
      SCOPED_TRACE(std::string(to_string(mode)) + " " + std::to_string(size));
      const OctavizeOptions options{
          .alpha = 0.25, .stride_mode = mode, .low_to_high = LowToHigh::kUpsampleThenConv};
      expect_round_trip(octave_model("resnet20", options), {.extents = Shape{size, size + 1}});
    }
  }
}

TEST(RoundTrip, EveryOperationInOneTwoAndThreeDimensions) {
  for (const std::size_t rank : {1U, 2U, 3U}) {
    for (const double alpha : {0.0, 0.25, 0.5, 1.0}) {
      SCOPED_TRACE("rank " + std::to_string(rank) + " alpha " + std::to_string(alpha));
      expect_round_trip(small_model({.alpha = alpha}, rank));
    }
  }
}

TEST(RoundTrip, WhatDecodersAndMobileNetworksHave) {
  for (const std::size_t rank : {1U, 2U, 3U})
    expect_round_trip(model_of(examples::octave_decoder_graph(rank)));
}

TEST(RoundTrip, EveryOpsetThatIsClaimed) {
  // Debian's ONNX knows opsets to 17; tests/onnx/peer_test.py holds all of them against ONNX
  // Runtime.
  for (std::int64_t opset = 9; opset <= 17; ++opset) {
    SCOPED_TRACE(opset);
    for (const std::size_t rank : {1U, 2U, 3U})
      expect_round_trip(small_model({.alpha = 0.5}, rank), {.opset = opset});
    expect_round_trip(small_model({.alpha = 0}), {.opset = opset});
  }
  for (std::int64_t opset = 18; opset <= 21; ++opset) {
    SCOPED_TRACE(opset);
    const Model model = small_model();
    const Model back = parse_onnx(export_onnx(model, {.opset = opset}), "test.onnx");
    expect_same_graph(model.graph, back.graph);
    expect_same_weights(model.weights, back.weights);
  }
}

TEST(RoundTrip, EveryOctaveConvolutionAsAFunction) {
  for (std::int64_t opset = 15; opset <= 21; ++opset) {
    for (const double alpha : {0.0, 0.5, 1.0}) {
      SCOPED_TRACE(std::to_string(opset) + " alpha " + std::to_string(alpha));
      const Model model = small_model({.alpha = alpha});
      const std::string bytes = export_onnx(model, {.opset = opset, .functions = true});
      const ::onnx::ModelProto proto = parsed(bytes);
      if (opset <= 17) {
        EXPECT_NO_THROW(::onnx::checker::check_model(proto));
      }
      int octave = 0;
      for (std::size_t i = 0; i < model.graph.nodes().size(); ++i) {
        const auto id = static_cast<NodeId>(i);
        octave += std::holds_alternative<Conv>(model.graph.node(id).op) &&
                  model.graph.conv_options(id).octave_valued();
      }
      int called = 0;
      for (const auto& node : proto.graph().node()) called += node.domain() == "octconv";
      EXPECT_EQ(called, octave);
      EXPECT_EQ(proto.functions_size() > 0, octave > 0);
      EXPECT_LE(proto.functions_size(), octave);
      const Model back = parse_onnx(bytes, "test.onnx");
      expect_same_graph(model.graph, back.graph);
      expect_same_weights(model.weights, back.weights);
    }
  }
}

TEST(RoundTrip, AFoldedModelIsWritten) {
  const Model model = small_model();
  const Model folded = fold_batch_norms(model);
  const Model back = parse_onnx(export_onnx(model, {.fold = true}), "test.onnx");
  expect_same_graph(folded.graph, back.graph);
  expect_same_weights(folded.weights, back.weights);
  EXPECT_LT(folded.graph.nodes().size(), model.graph.nodes().size());
}

TEST(RoundTrip, PreprocessingIsKept) {
  Model model = small_model();
  model.preprocessing.frame_stride = 4;
  const Preprocessing back = parse_onnx(export_onnx(model), "test.onnx").preprocessing;
  EXPECT_EQ(back.mean, model.preprocessing.mean);
  EXPECT_EQ(back.deviation, model.preprocessing.deviation);
  EXPECT_EQ(back.extents, model.preprocessing.extents);
  EXPECT_EQ(back.classes, model.preprocessing.classes);
  EXPECT_EQ(back.frame_stride, model.preprocessing.frame_stride);
}

TEST(RoundTrip, BlocksThatNoPathReadsBecomeZeroAndTheRestIsKept) {
  for (const Exchange exchange : {Exchange::kNone, Exchange::kHighToLow, Exchange::kLowToHigh}) {
    const Model model = small_model({.alpha = 0.5, .exchange = exchange});
    const Model back = parse_onnx(export_onnx(model), "test.onnx");
    const Tensor& before =
        model.weights.at("mix.weight");  // [2 low + 2 high, 2 low + 2 high, 3, 3]
    const Tensor& after = back.weights.at("mix.weight");
    for (std::int64_t i = 0; i < before.elements(); ++i) {
      const bool to_low = i / 36 < 2;
      const bool from_low = i / 9 % 4 < 2;
      const bool read = to_low == from_low || (to_low && exchange == Exchange::kHighToLow) ||
                        (from_low && exchange == Exchange::kLowToHigh);
      EXPECT_EQ(after.data()[i], read ? before.data()[i] : 0.0F) << to_string(exchange) << i;
    }
  }
}

TEST(RoundTrip, AFixedBatchIsOne) {
  const Model model = small_model();
  const std::string bytes = export_onnx(model, {.dynamic_batch = false});
  const ::onnx::ModelProto proto = parsed(bytes);
  EXPECT_EQ(proto.graph().input(0).type().tensor_type().shape().dim(0).dim_value(), 1);
  expect_same_graph(model.graph, parse_onnx(bytes, "test.onnx").graph);
}

TEST(RoundTrip, TwoExportsAreTheSameBytes) {
  EXPECT_EQ(export_onnx(small_model()), export_onnx(small_model()));
}

TEST(RoundTrip, ThroughAFile) {
  const std::filesystem::path path =
      std::filesystem::path(testing::TempDir()) / "octconv_round_trip.onnx";
  const Model model = small_model();
  save_onnx(path, model);
  const Model back = load_onnx(path);
  std::filesystem::remove(path);
  expect_same_weights(model.weights, back.weights);
}

std::vector<float> floats_of(const ::onnx::ModelProto& proto, const std::string& name) {
  for (const auto& tensor : proto.graph().initializer()) {
    if (tensor.name() != name) continue;
    std::vector<float> values(tensor.raw_data().size() / sizeof(float));
    std::memcpy(values.data(), tensor.raw_data().data(), tensor.raw_data().size());
    return values;
  }
  ADD_FAILURE() << "no initialiser " << name;
  return {};
}

// Alpha 1/4 of 4 channels: channel 0 is low, channels 1 to 3 are high.
TEST(Export, InitialisersAreBlocksOfTheParametersLowChannelsFirst) {
  const Model model = small_model({.alpha = 0.25});
  const ::onnx::ModelProto proto = parsed(export_onnx(model));
  struct Part {
    const char* suffix;
    std::int64_t row, rows, column, columns;
  };
  const Tensor& mix = model.weights.at("mix.weight");  // [4, 4, 3, 3]
  for (const Part& part : {Part{".high_to_high", 1, 3, 1, 3}, Part{".low_to_high", 1, 3, 0, 1},
                           Part{".low_to_low", 0, 1, 0, 1}, Part{".high_to_low", 0, 1, 1, 3}}) {
    std::vector<float> expected;
    for (std::int64_t row = part.row; row < part.row + part.rows; ++row) {
      for (std::int64_t column = part.column; column < part.column + part.columns; ++column) {
        for (std::int64_t tap = 0; tap < 9; ++tap) {
          expected.push_back(mix.data()[(row * 4 + column) * 9 + tap]);
        }
      }
    }
    EXPECT_EQ(floats_of(proto, std::string("mix.weight") + part.suffix), expected) << part.suffix;
  }
  for (const char* name :
       {"mix.bias", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"}) {
    const float* all = model.weights.at(name).data();
    EXPECT_EQ(floats_of(proto, std::string(name) + ".low"), std::vector<float>(all, all + 1));
    EXPECT_EQ(floats_of(proto, std::string(name) + ".high"), std::vector<float>(all + 1, all + 4));
  }
}

TEST(Export, BatchNormReadsItsParametersInTheOrderOfOnnx) {
  const ::onnx::ModelProto proto = parsed(export_onnx(small_model({})));
  for (const auto& node : proto.graph().node()) {
    if (node.op_type() != "BatchNormalization") continue;
    if (node.name() == "plain") {  // not affine
      EXPECT_THAT(node.input(), testing::ElementsAre("attended", "ones.[3]", "zeros.[3]",
                                                     "plain.running_mean", "plain.running_var"));
      EXPECT_EQ(floats_of(proto, "ones.[3]"), std::vector<float>(3, 1.0F));
      EXPECT_EQ(floats_of(proto, "zeros.[3]"), std::vector<float>(3, 0.0F));
      continue;
    }
    EXPECT_THAT(node.input(), testing::ElementsAre("stem", "norm.weight", "norm.bias",
                                                   "norm.running_mean", "norm.running_var"));
  }
}

TEST(Export, UsesTheDefaultDomainOnly) {
  const ::onnx::ModelProto proto = parsed(export_onnx(small_model()));
  EXPECT_EQ(proto.opset_import_size(), 1);
  for (const auto& node : proto.graph().node()) EXPECT_EQ(node.domain(), "");
}

TEST(Export, RefusesWhatItCannotWrite) {
  EXPECT_THROW(export_onnx(small_model(), {.opset = 8}), Unsupported);
  EXPECT_THROW(export_onnx(small_model(), {.opset = 22}), Unsupported);
  EXPECT_THROW(export_onnx(small_model(), {.opset = 14, .functions = true}), Unsupported);
  EXPECT_NO_THROW(export_onnx(small_model(), {.opset = 9}));
  // Linear enlarging, and a softmax over the channels of maps.
  EXPECT_NO_THROW(export_onnx(model_of(examples::decoder_graph(2)), {.opset = 13}));
  EXPECT_THROW(export_onnx(model_of(examples::decoder_graph(2)), {.opset = 12}), Unsupported);
  for (const bool linear : {false, true}) {
    Graph large("large", Shape{2, 2});
    large.set_default_extents({4, 4});
    const NodeId x = large.add("in", Input{1}, {});
    large.add_output(large.add("up",
                               Resize{.mode = linear ? ResizeMode::kLinear : ResizeMode::kNearest,
                                      .factor = {2, 2},
                                      .crop = {0, 0}},
                               {x}));
    EXPECT_NO_THROW(export_onnx(model_of(large), {.opset = 11}));
    if (linear) {
      EXPECT_THROW(export_onnx(model_of(large), {.opset = 10}), Unsupported);
    } else {
      EXPECT_NO_THROW(expect_round_trip(model_of(large), {.opset = 9}));
    }
  }
  EXPECT_THROW(export_onnx(small_model(), {.extents = Shape{19}}), InvalidArgument);
  EXPECT_THROW(export_onnx(small_model(), {.extents = Shape{19, 0}}), InvalidArgument);

  EXPECT_THROW(export_onnx(small_model(), {.extents = Shape{19, (1 << 22) + 1}}), Unsupported);
  EXPECT_NO_THROW(export_onnx(small_model(), {.extents = Shape{19, 1 << 22}}));

  Model missing = small_model();
  missing.weights.erase("mix.weight");
  EXPECT_THROW(export_onnx(missing), InvalidArgument);

  Model not_a_number = small_model();
  not_a_number.preprocessing.mean[0] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(export_onnx(not_a_number), InvalidArgument);

  Model not_text = small_model();
  not_text.preprocessing.classes[0] = "\xff";
  EXPECT_THROW(export_onnx(not_text), InvalidArgument);

  Graph endless("endless", Shape{2, 2});
  endless.set_default_extents({4, 4});
  endless.add("in", Input{1}, {});
  EXPECT_THROW(export_onnx(model_of(endless)), InvalidArgument);
}

TEST(Export, RefusesTwoTensorsOfOneName) {
  Graph graph = small_graph();
  graph.add("stem.high", GlobalPool{}, {graph.find("relu")});
  try {
    static_cast<void>(export_onnx(model_of(octavize(graph, {.alpha = 0.5}).graph)));
    FAIL() << "two tensors of one name were written";
  } catch (const InvalidArgument& error) {
    EXPECT_THAT(error.what(), HasSubstr("'stem.high'"));
  }
}

}  // namespace
}  // namespace octconv
