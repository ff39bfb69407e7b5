// SPDX-License-Identifier: Apache-2.0
// Damaged and malicious files: each is refused with a sentence, and none crashes, prints or asks
// for memory.
#include <functional>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>
#include <nlohmann/json.hpp>

#include "octconv/base/error.h"
#include "octconv/base/random.h"
#include "octconv/onnx/onnx.h"
#include "onnx/models.h"

namespace octconv {
namespace {

using nlohmann::json;
using onnx_test::small_model;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

::onnx::ModelProto small_proto() {
  ::onnx::ModelProto proto;
  EXPECT_TRUE(proto.ParseFromString(export_onnx(small_model())));
  return proto;
}

// What import says of the bytes; "" if it takes them. Other exceptions fail the test.
std::string complaint(const std::string& bytes) {
  try {
    static_cast<void>(parse_onnx(bytes, "x.onnx"));
    return "";
  } catch (const FormatError& error) {
    return error.what();
  } catch (const Unsupported& error) {
    return std::string("unsupported: ") + error.what();
  }
}

std::string complaint(const ::onnx::ModelProto& proto) {
  return complaint(proto.SerializeAsString());
}

std::string after(const std::function<void(::onnx::ModelProto&)>& change) {
  ::onnx::ModelProto proto = small_proto();
  change(proto);
  return complaint(proto);
}

std::string& metadata(::onnx::ModelProto& proto, const std::string& key) {
  for (auto& entry : *proto.mutable_metadata_props()) {
    if (entry.key() == key) return *entry.mutable_value();
  }
  throw std::runtime_error("no metadata " + key);
}

std::string after_json(const std::function<void(json&)>& change) {
  return after([&](::onnx::ModelProto& proto) {
    std::string& text = metadata(proto, "octconv.graph");
    json graph = json::parse(text);
    change(graph);
    text = graph.dump();
  });
}

std::string after_text(const std::string& text) {
  return after([&](::onnx::ModelProto& proto) { metadata(proto, "octconv.graph") = text; });
}

json& node(json& graph, const std::string& name) {
  for (json& entry : graph["nodes"]) {
    if (entry["name"] == name) return entry;
  }
  throw std::runtime_error("no node " + name);
}

::onnx::TensorProto& initializer(::onnx::ModelProto& proto, const std::string& name) {
  for (auto& tensor : *proto.mutable_graph()->mutable_initializer()) {
    if (tensor.name() == name) return tensor;
  }
  throw std::runtime_error("no initialiser " + name);
}

::onnx::NodeProto& operation(::onnx::ModelProto& proto, const std::string& type) {
  for (auto& entry : *proto.mutable_graph()->mutable_node()) {
    if (entry.op_type() == type) return entry;
  }
  throw std::runtime_error("no operation " + type);
}

TEST(Damage, EveryTruncationIsRefused) {
  const std::string bytes = export_onnx(small_model());
  testing::internal::CaptureStderr();
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_THAT(complaint(bytes.substr(0, length)),
                AllOf(HasSubstr("'x.onnx'"), HasSubstr("truncated")))
        << length;
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(Damage, EveryFlippedByteLoadsOrIsRefused) {
  const std::string bytes = export_onnx(small_model());
  Random random(1);
  testing::internal::CaptureStderr();
  for (int trial = 0; trial < 3000; ++trial) {
    std::string damaged = bytes;
    const std::size_t at = random.below(damaged.size());
    damaged[at] = static_cast<char>(random.bits());
    const std::string what = complaint(damaged);  // throws for what is not an octconv::Error
    EXPECT_TRUE(what.empty() || what.find("'x.onnx'") != std::string::npos) << what;
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

// The metadata and the names are a few kilobytes of the file: flips there reach what flips anywhere
// seldom do.
TEST(Damage, EveryFlippedByteOfTheMetadataLoadsOrIsRefused) {
  Random random(2);
  const ::onnx::ModelProto original = small_proto();
  for (int trial = 0; trial < 3000; ++trial) {
    ::onnx::ModelProto proto = original;
    std::string& text = metadata(proto, "octconv.graph");
    text[random.below(text.size())] = static_cast<char>(32 + random.below(95));
    static_cast<void>(complaint(proto));
  }
}

TEST(Origin, ANewerDescriptionIsUnsupported) {
  EXPECT_THAT(
      after_json([](json& graph) { graph["version"] = 2; }),
      AllOf(StartsWith("unsupported: 'x.onnx'"), HasSubstr("version 2"), HasSubstr("newer")));
}

TEST(Origin, BytesThatAreNotOnnxAreCalledSo) {
  EXPECT_THAT(complaint(std::string()), HasSubstr("truncated or not ONNX"));
  EXPECT_THAT(complaint("\x89PNG\r\n\x1a\n and so on"), HasSubstr("truncated or not ONNX"));
  EXPECT_THAT(complaint(std::string(100000, '\x0a')), HasSubstr("truncated or not ONNX"));
}

TEST(Metadata, NonsenseIsRefused) {
  EXPECT_THAT(after_text(""), HasSubstr("not JSON"));
  EXPECT_THAT(after_text("{"), HasSubstr("not JSON"));
  EXPECT_THAT(after_text("\xff\xfe"), HasSubstr("not JSON"));
  EXPECT_THAT(after_text("[1, 2]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(after_text("{}"), HasSubstr("'version' is missing"));
  EXPECT_THAT(after_text(std::string(1 << 20, '[')), HasSubstr("nested too deeply"));
  EXPECT_THAT(after_text("{\"a\":" + std::string(1 << 20, '[')), HasSubstr("nested too deeply"));
  EXPECT_THAT(after_text(std::string((1 << 24) + 1, ' ')), HasSubstr("larger than"));
  EXPECT_THAT(after([](::onnx::ModelProto& proto) {
                *proto.add_metadata_props() = proto.metadata_props(1);
              }),
              HasSubstr("two entries 'octconv.graph'"));
  EXPECT_THAT(
      after([](::onnx::ModelProto& proto) {
        metadata(proto, "octconv.preprocessing") = "{\"version\": 1}";
      }),
      AllOf(HasSubstr("'octconv.preprocessing' is damaged"), HasSubstr("'mean' is missing")));
  EXPECT_THAT(after([](::onnx::ModelProto& proto) {
                metadata(proto, "octconv.preprocessing") =
                    "{\"version\": 1, \"mean\": [1e300], \"deviation\": [], \"extents\": [], "
                    "\"classes\": []}";
              }),
              HasSubstr("'mean' holds something that is not a number"));
  EXPECT_THAT(after([](::onnx::ModelProto& proto) {
                metadata(proto, "octconv.preprocessing") =
                    "{\"version\": 1, \"mean\": [0], \"deviation\": [0], \"extents\": [], "
                    "\"classes\": []}";
              }),
              HasSubstr("'deviation' holds 0.0"));
  EXPECT_THAT(after([](::onnx::ModelProto& proto) {
                metadata(proto, "octconv.preprocessing") =
                    "{\"version\": 1, \"mean\": [0], \"deviation\": [1], \"extents\": [], "
                    "\"classes\": [], \"frame_stride\": 0}";
              }),
              HasSubstr("'frame_stride' is 0"));
}

TEST(Metadata, WrongTypesAndValuesAreRefused) {
  EXPECT_THAT(after_json([](json& g) { g["nodes"] = 3; }), HasSubstr("'nodes' is not a list"));
  EXPECT_THAT(after_json([](json& g) { g["nodes"][0] = 3; }), HasSubstr("'name' is looked for in"));
  EXPECT_THAT(after_json([](json& g) { g["name"] = 3; }), HasSubstr("'name' is not text"));
  EXPECT_THAT(after_json([](json& g) {
                g["octave"] = {2, 2, 2, 2};
              }),
              HasSubstr("rank must be 1, 2 or 3"));
  EXPECT_THAT(after_json([](json& g) { g["octave"] = {3, 2}; }), HasSubstr("octave factors"));
  EXPECT_THAT(after_json([](json& g) { g["octave"] = {2}; }),
              HasSubstr("does not have the 2 axes"));
  EXPECT_THAT(after_json([](json& g) { g["octave"] = json(9, 1); }), HasSubstr("more than 8"));
  EXPECT_THAT(after_json([](json& g) { g["policy"]["octave_stages"] = {1}; }),
              HasSubstr("octave_stages"));
  EXPECT_THAT(after_json([](json& g) { g["policy"]["stride_mode"] = "x"; }),
              HasSubstr("unknown 'x'"));
  EXPECT_THAT(after_json([](json& g) { node(g, "mix")["op"] = "x"; }),
              AllOf(HasSubstr("node 'mix'"), HasSubstr("'op' is the unknown 'x'")));
  EXPECT_THAT(after_json([](json& g) { node(g, "mix")["groups"] = 1.5; }),
              HasSubstr("'groups' is not an integer"));
  EXPECT_THAT(after_json([](json& g) { node(g, "mix")["groups"] = true; }),
              HasSubstr("'groups' is not an integer"));
  EXPECT_THAT(after_json([](json& g) { node(g, "mix")["groups"] = 0; }), HasSubstr("not in [1"));
  EXPECT_THAT(after_json([](json& g) { node(g, "mix")["groups"] = 3; }),
              HasSubstr("groups do not divide"));
  EXPECT_THAT(after_json([](json& g) { node(g, "mix")["bias"] = 1; }),
              HasSubstr("not true or false"));
  EXPECT_THAT(after_json([](json& g) { node(g, "mix")["kernel"] = {3}; }),
              HasSubstr("does not have"));
  EXPECT_THAT(after_json([](json& g) {
                node(g, "mix")["kernel"] = {3, -1};
              }),
              HasSubstr("not in [0"));
  EXPECT_THAT(after_json([](json& g) { node(g, "mix")["high"] = 1ULL << 63; }),
              HasSubstr("'high' is 9223372036854775808"));
  EXPECT_THAT(after_json([](json& g) { node(g, "mix")["inputs"] = {"later"}; }),
              HasSubstr("before it is defined"));
  EXPECT_THAT(after_json([](json& g) { node(g, "mix")["inputs"] = {"mix"}; }),
              HasSubstr("before it is defined"));
  EXPECT_THAT(after_json([](json& g) { node(g, "mix")["inputs"] = json::array(); }),
              HasSubstr("takes 1 inputs"));
  EXPECT_THAT(after_json([](json& g) { node(g, "mix")["name"] = "norm"; }),
              HasSubstr("the name is taken"));
  EXPECT_THAT(after_json([](json& g) { node(g, "mix")["stage"] = 1 << 30; }),
              HasSubstr("'stage' is"));
  EXPECT_THAT(after_json([](json& g) { node(g, "norm")["epsilon"] = nullptr; }),
              HasSubstr("'epsilon' is not a number"));
  EXPECT_THAT(after_json([](json& g) { node(g, "norm")["epsilon"] = -1; }),
              HasSubstr("epsilon must be positive"));
  EXPECT_THAT(after_json([](json& g) { node(g, "norm")["low"] = 3; }),
              HasSubstr("channels instead of"));
  EXPECT_THAT(after_json([](json& g) { node(g, "relu")["kind"] = "gelu"; }),
              HasSubstr("unknown 'gelu'"));
  EXPECT_THAT(after_json([](json& g) { g["outputs"] = {"x"}; }),
              HasSubstr("output 'x' is not a node"));
  EXPECT_THAT(after_json([](json& g) { g["outputs"] = {"relu"}; }),
              HasSubstr("cannot have low channels"));
  EXPECT_THAT(after_json([](json& g) { g["outputs"] = json::array(); }),
              HasSubstr("has no output"));
  // The kernel of an octave convolution needs its padding.
  EXPECT_THAT(after_json([](json& g) {
                node(g, "mix")["padding_begin"] = {0, 0};
              }),
              HasSubstr("moves the low grid"));
}

TEST(Metadata, AnAbsurdNumberOfNodesIsRefusedAtOnce) {
  EXPECT_THAT(after_json([](json& g) { g["nodes"] = json(50000, g["nodes"][0]); }),
              HasSubstr("50000 nodes"));
  EXPECT_THAT(after_json([](json& g) { g["nodes"] = json(1000000, json::object()); }),
              HasSubstr("1000000 nodes"));
}

TEST(Metadata, HugeSizesAreRefusedWithoutAskingForTheMemory) {
  static constexpr std::int64_t kHuge = 2147483647;
  EXPECT_THAT(after_json([](json& g) {
                for (const char* name : {"stem", "norm", "mix", "sum", "relu6", "max", "mean"}) {
                  node(g, name)["high"] = kHuge;
                }
              }),
              HasSubstr("'x.onnx'"));
  EXPECT_THAT(after_json([](json& g) {
                node(g, "mix")["kernel"] = {kHuge, kHuge};
              }),
              HasSubstr("'x.onnx'"));
  EXPECT_THAT(after_json([](json& g) {
                node(g, "mix")["stride"] = {kHuge, kHuge};
              }),
              HasSubstr("'x.onnx'"));
  EXPECT_THAT(after([](::onnx::ModelProto& proto) {
                auto* dims = proto.mutable_graph()
                                 ->mutable_input(0)
                                 ->mutable_type()
                                 ->mutable_tensor_type()
                                 ->mutable_shape();
                dims->mutable_dim(2)->set_dim_value(kHuge);
              }),
              HasSubstr("'x.onnx'"));
}

// With the exchange off, two blocks of 2^16 weights belong to a weight of 2^32 of them.
TEST(Metadata, WeightsThatTheFileDoesNotHoldAreBounded) {
  constexpr std::int64_t kNarrow = 5;
  constexpr std::int64_t kWide = 1 << 16;
  const auto conv = [](std::int64_t channels) {
    return Conv{.out_channels = channels,
                .kernel = {1},
                .stride = {1},
                .dilation = {1},
                .padding_begin = {0},
                .padding_end = {0},
                .exchange = Exchange::kNone};
  };
  Graph graph("wide", Shape{1});
  graph.set_default_extents({4});
  const NodeId in = graph.add("in", Input{1}, {});
  const NodeId a = graph.add("a", conv(kNarrow + 1), {in});
  const NodeId b = graph.add("b", conv(kNarrow + 1), {a});
  graph.add_output(graph.add("c", conv(1), {b}));
  graph.set_channels(a, {.high = 1, .low = kNarrow});
  graph.set_channels(b, {.high = kNarrow, .low = 1});
  ::onnx::ModelProto proto;
  ASSERT_TRUE(proto.ParseFromString(export_onnx(onnx_test::model_of(graph))));
  ASSERT_EQ(complaint(proto), "");

  json description = json::parse(metadata(proto, "octconv.graph"));
  node(description, "a")["low"] = kWide;
  node(description, "b")["high"] = kWide;
  metadata(proto, "octconv.graph") = description.dump();
  for (auto& tensor : *proto.mutable_graph()->mutable_initializer()) {
    std::int64_t elements = 1;
    for (auto& dim : *tensor.mutable_dims()) {
      if (dim == kNarrow) dim = kWide;
      elements *= dim;
    }
    tensor.mutable_raw_data()->assign(static_cast<std::size_t>(elements) * sizeof(float), '\0');
  }
  EXPECT_THAT(complaint(proto), HasSubstr("far more weights than the"));
}

TEST(Operations, TheFirstDifferenceIsNamed) {
  EXPECT_THAT(after([](auto& p) { operation(p, "Relu").set_op_type("Sigmoid"); }),
              AllOf(HasSubstr("(of 'relu.high')"), HasSubstr("is 'Sigmoid' instead of 'Relu'")));
  EXPECT_THAT(after([](auto& p) { operation(p, "Relu").set_domain("com.example"); }),
              HasSubstr("instead of 'Relu'"));
  EXPECT_THAT(after([](auto& p) { operation(p, "Relu").set_input(0, "sum.high"); }),
              HasSubstr("reads other inputs"));
  EXPECT_THAT(after([](auto& p) { operation(p, "Relu").add_output("x"); }),
              HasSubstr("has other outputs"));
  EXPECT_THAT(
      after([](auto& p) { operation(p, "Conv").mutable_attribute(0)->set_ints(0, 2); }),
      AllOf(HasSubstr("operation 0 (of 'stem.high')"), HasSubstr("has another 'dilations'")));
  EXPECT_THAT(after([](auto& p) {
                operation(p, "Conv").mutable_attribute(0)->set_type(
                    ::onnx::AttributeProto_AttributeType_GRAPH);
              }),
              HasSubstr("has another 'dilations'"));
  EXPECT_THAT(after([](auto& p) { operation(p, "Conv").mutable_attribute()->RemoveLast(); }),
              HasSubstr("lacks attribute"));
  EXPECT_THAT(after([](auto& p) {
                auto& conv = operation(p, "Conv");
                *conv.add_attribute() = conv.attribute(0);
              }),
              HasSubstr("attributes that it should not have"));
  EXPECT_THAT(after([](auto& p) { p.mutable_graph()->mutable_node()->RemoveLast(); }),
              HasSubstr("operations instead of"));
  EXPECT_THAT(after([](auto& p) { *p.mutable_graph()->add_node() = p.graph().node(0); }),
              HasSubstr("operations instead of"));
  EXPECT_THAT(after([](auto& p) { p.add_functions(); }), HasSubstr("default domain"));
  EXPECT_THAT(after([](auto& p) { p.mutable_graph()->add_sparse_initializer(); }),
              HasSubstr("sparse"));
  EXPECT_THAT(after([](auto& p) { p.mutable_opset_import(0)->set_version(8); }),
              HasSubstr("opset 8"));
  // Axes are attributes there.
  EXPECT_THAT(after([](auto& p) { p.mutable_opset_import(0)->set_version(11); }),
              HasSubstr("it does not hold what its metadata"));
  EXPECT_THAT(after([](auto& p) { p.add_opset_import()->set_domain("com.example"); }),
              HasSubstr("default domain"));
  EXPECT_THAT(after_json([](json& g) { node(g, "relu")["kind"] = "sigmoid"; }),
              HasSubstr("(of 'relu.high')"));
}

TEST(Functions, TheFirstDifferenceIsNamed) {
  ::onnx::ModelProto whole;
  ASSERT_TRUE(whole.ParseFromString(export_onnx(small_model(), {.opset = 15, .functions = true})));
  EXPECT_EQ(complaint(whole), "");
  const auto changed = [&](const std::function<void(::onnx::FunctionProto&)>& change) {
    ::onnx::ModelProto proto = whole;
    change(*proto.mutable_functions(0));
    return complaint(proto);
  };
  EXPECT_THAT(changed([](auto& f) { f.set_name("Other"); }), HasSubstr("it is called 'Other'"));
  EXPECT_THAT(changed([](auto& f) { f.set_domain("other"); }), HasSubstr("function 'OctConv1'"));
  EXPECT_THAT(changed([](auto& f) { f.add_input("more"); }), HasSubstr("reads other inputs"));
  EXPECT_THAT(changed([](auto& f) { f.clear_output(); }), HasSubstr("has other outputs"));
  EXPECT_THAT(changed([](auto& f) { f.add_attribute("alpha"); }), HasSubstr("has attributes"));
  EXPECT_THAT(changed([](auto& f) { f.mutable_opset_import(0)->set_version(16); }),
              HasSubstr("not of opset 15"));
  EXPECT_THAT(changed([](auto& f) { f.mutable_node(0)->set_op_type("Relu"); }),
              HasSubstr("'OctConv1': operation 0"));
  EXPECT_THAT(changed([](auto& f) { f.mutable_node()->RemoveLast(); }),
              HasSubstr("operations instead of"));
  ::onnx::ModelProto more = whole;
  *more.add_functions() = whole.functions(0);
  EXPECT_THAT(complaint(more), HasSubstr("functions instead of"));
  ::onnx::ModelProto other_domain = whole;
  other_domain.mutable_opset_import(1)->set_version(2);
  EXPECT_THAT(complaint(other_domain), HasSubstr("functions that octconv does not write"));
  ::onnx::ModelProto other_call = whole;
  ASSERT_EQ(whole.graph().node(0).domain(), "octconv");
  other_call.mutable_graph()->mutable_node(0)->set_domain("other");
  EXPECT_THAT(complaint(other_call), HasSubstr("operation 0 (of 'stem.high') is"));
}

TEST(Ports, OtherInputsAndOutputsAreRefused) {
  const auto dims = [](auto& p) {
    return p.mutable_graph()
        ->mutable_input(0)
        ->mutable_type()
        ->mutable_tensor_type()
        ->mutable_shape();
  };
  EXPECT_THAT(after([](auto& p) { p.mutable_graph()->clear_input(); }), HasSubstr("has no input"));
  EXPECT_THAT(after([](auto& p) { p.mutable_graph()->clear_output(); }),
              HasSubstr("0 outputs instead of 1"));
  EXPECT_THAT(after([](auto& p) { p.mutable_graph()->mutable_input(0)->set_name("x"); }),
              HasSubstr("input 0 is 'x'"));
  EXPECT_THAT(
      after([](auto& p) {
        p.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(
            11);
      }),
      HasSubstr("not a float32 tensor"));
  EXPECT_THAT(after([](auto& p) { p.mutable_graph()->mutable_input(0)->clear_type(); }),
              HasSubstr("not a float32 tensor"));
  EXPECT_THAT(after([&](auto& p) { dims(p)->mutable_dim(1)->set_dim_value(3); }),
              HasSubstr("input 0 is 'in' of [3, 19, 19]"));
  EXPECT_THAT(after([&](auto& p) { dims(p)->mutable_dim(2)->set_dim_value(-1); }),
              HasSubstr("is not a size"));
  EXPECT_THAT(after([&](auto& p) { dims(p)->mutable_dim(2)->set_dim_param("h"); }),
              HasSubstr("is not a size"));
  EXPECT_THAT(after([&](auto& p) { dims(p)->clear_dim(); }), HasSubstr("0 dimensions"));
  EXPECT_THAT(after([&](auto& p) {
                for (int i = 0; i < 9; ++i) dims(p)->add_dim()->set_dim_value(1);
              }),
              HasSubstr("13 dimensions"));
}

TEST(Initialisers, WrongOnesAreNamed) {
  const char* name = "mix.weight.low_to_high";
  const auto complains = [&](const std::function<void(::onnx::TensorProto&)>& change,
                             const char* what) {
    EXPECT_THAT(after([&](auto& p) { change(initializer(p, name)); }),
                AllOf(HasSubstr(name), HasSubstr(what)));
  };
  complains([](auto& t) { t.set_name("other"); }, "is missing");
  complains([](auto& t) { t.set_data_type(::onnx::TensorProto_DataType_DOUBLE); },
            "is not float32");
  complains([](auto& t) { t.set_dims(0, 3); }, "does not have shape");
  complains([](auto& t) { t.set_dims(0, std::int64_t{1} << 62); }, "does not have shape");
  complains([](auto& t) { t.add_dims(1); }, "does not have shape");
  complains([](auto& t) { t.mutable_raw_data()->pop_back(); }, "bytes, which are not");
  complains([](auto& t) { t.mutable_raw_data()->resize(t.raw_data().size() / 2); },
            "bytes, which are not");
  complains([](auto& t) { t.mutable_raw_data()->append(144, 'x'); }, "bytes, which are not");
  complains([](auto& t) { t.clear_raw_data(); }, "0 bytes, which are not");
  complains([](auto& t) { t.set_data_location(::onnx::TensorProto_DataLocation_EXTERNAL); },
            "in another file");
  complains([](auto& t) { t.add_external_data()->set_key("location"); }, "in another file");

  EXPECT_THAT(after([](auto& p) { p.mutable_graph()->mutable_initializer()->RemoveLast(); }),
              HasSubstr("is missing"));
  EXPECT_THAT(
      after([](auto& p) { *p.mutable_graph()->add_initializer() = p.graph().initializer(0); }),
      HasSubstr("exists twice"));
  EXPECT_THAT(after([](auto& p) { p.mutable_graph()->add_initializer()->set_name("more"); }),
              HasSubstr("initialisers instead of"));
  EXPECT_THAT(
      after([](auto& p) { initializer(p, "relu6.max").mutable_raw_data()->assign(4, '\0'); }),
      HasSubstr("has other values"));
}

}  // namespace
}  // namespace octconv
