// SPDX-License-Identifier: Apache-2.0
// Files that others wrote: only their operations tell what they hold.
#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <onnx/onnx_pb.h>

#include "octconv/base/error.h"
#include "octconv/graph/cost.h"
#include "octconv/onnx/onnx.h"
#include "onnx/models.h"

namespace octconv {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

using Ints = std::vector<std::int64_t>;
using Floats = std::vector<float>;

// A file of one float input "x" [open, channels, extents...] and one output "y".
class File {
 public:
  explicit File(const Ints& input = {2, 9, 9}) {
    proto_.set_ir_version(8);
    proto_.set_producer_name("somebody");
    proto_.add_opset_import()->set_version(13);
    add_float_input("x", input);
    proto_.mutable_graph()->add_output()->set_name("y");
  }

  ::onnx::ValueInfoProto* add_input(const std::string& name) {
    auto* input = proto_.mutable_graph()->add_input();
    input->set_name(name);
    return input;
  }

  // [open, channels, extents...]; an extent of 0 is open.
  void add_float_input(const std::string& name, const Ints& sizes) {
    auto* type = add_input(name)->mutable_type()->mutable_tensor_type();
    type->set_elem_type(::onnx::TensorProto_DataType_FLOAT);
    type->mutable_shape()->add_dim()->set_dim_param("N");
    for (const std::int64_t size : sizes) {
      auto* dim = type->mutable_shape()->add_dim();
      if (size > 0) dim->set_dim_value(size);
    }
  }

  ::onnx::NodeProto& node(const std::string& type, const std::vector<std::string>& inputs,
                          const std::string& output) {
    auto* node = proto_.mutable_graph()->add_node();
    node->set_op_type(type);
    for (const std::string& input : inputs) node->add_input(input);
    node->add_output(output);
    return *node;
  }

  ::onnx::TensorProto& tensor(const std::string& name, const Ints& dims) {
    auto* tensor = proto_.mutable_graph()->add_initializer();
    tensor->set_name(name);
    tensor->set_data_type(::onnx::TensorProto_DataType_FLOAT);
    for (const std::int64_t size : dims) tensor->add_dims(size);
    return *tensor;
  }

  // Values 1, 2, 3 and so on.
  void numbered(const std::string& name, const Ints& dims) {
    std::int64_t elements = 1;
    for (const std::int64_t size : dims) elements *= size;
    auto& values = tensor(name, dims);
    for (std::int64_t i = 1; i <= elements; ++i) values.add_float_data(static_cast<float>(i));
  }

  void sizes(const std::string& name, const Ints& values) {
    auto& stored = tensor(name, {static_cast<std::int64_t>(values.size())});
    stored.set_data_type(::onnx::TensorProto_DataType_INT64);
    for (const std::int64_t value : values) stored.add_int64_data(value);
  }

  // A global pool in front of what comes next.
  void pooled(const std::string& output) { node("GlobalAveragePool", {"x"}, output); }

  ::onnx::ModelProto& proto() { return proto_; }
  [[nodiscard]] Model model() const { return parse_onnx(proto_.SerializeAsString(), "f.onnx"); }

  [[nodiscard]] std::string complaint() const {
    try {
      static_cast<void>(model());
      return "";
    } catch (const Unsupported& error) {
      return std::string("unsupported: ") + error.what();
    } catch (const FormatError& error) {
      return std::string("damaged: ") + error.what();
    }
  }

 private:
  ::onnx::ModelProto proto_;
};

void set(::onnx::NodeProto& node, const char* name, std::int64_t value) {
  auto* attribute = node.add_attribute();
  attribute->set_name(name);
  attribute->set_type(::onnx::AttributeProto::INT);
  attribute->set_i(value);
}

void set(::onnx::NodeProto& node, const char* name, float value) {
  auto* attribute = node.add_attribute();
  attribute->set_name(name);
  attribute->set_type(::onnx::AttributeProto::FLOAT);
  attribute->set_f(value);
}

void set(::onnx::NodeProto& node, const char* name, const std::string& value) {
  auto* attribute = node.add_attribute();
  attribute->set_name(name);
  attribute->set_type(::onnx::AttributeProto::STRING);
  attribute->set_s(value);
}

void set(::onnx::NodeProto& node, const char* name, const Ints& values) {
  auto* attribute = node.add_attribute();
  attribute->set_name(name);
  attribute->set_type(::onnx::AttributeProto::INTS);
  for (const std::int64_t value : values) attribute->add_ints(value);
}

Floats values_of(const Model& model, const std::string& name) {
  const Tensor& tensor = model.weights.at(name);
  return {tensor.values().begin(), tensor.values().end()};
}

template <class Kind>
Kind op(const Model& model, const std::string& name) {
  return std::get<Kind>(model.graph.node(model.graph.find(name)).op);
}

// ---- Our own files without what tells them from others'

TEST(Foreign, AnOrdinaryNetworkOfTheZooComesBackFromItsOperations) {
  for (const ZooEntry& entry : zoo_entries()) {
    SCOPED_TRACE(entry.name);
    const Graph graph = make_network(entry.name, {.classes = 3});
    if (cost(graph, graph.default_extents()).params > 12'000'000) continue;  // deeper, not other
    const Model model = onnx_test::model_of(graph);
    ::onnx::ModelProto proto;
    const Shape extents = Shape::filled(graph.rank(), 64);
    ASSERT_TRUE(proto.ParseFromString(export_onnx(model, {.extents = extents})));
    proto.clear_metadata_props();
    proto.clear_producer_name();
    const Model got = parse_onnx(proto.SerializeAsString(), "stripped");
    ASSERT_EQ(got.graph.nodes().size(), graph.nodes().size());
    EXPECT_EQ(got.graph.default_extents(), extents);
    for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
      const Node& node = got.graph.nodes()[i];
      const Node& expected = graph.nodes()[i];
      // Its first operation, of two, takes the mean.
      const bool pool = std::holds_alternative<GlobalPool>(expected.op);
      EXPECT_EQ(node.name, expected.name + (pool ? ".mean" : ""));
      EXPECT_EQ(node.inputs, expected.inputs);
      // What only training needs is not in the operations.
      if (const auto* norm = std::get_if<BatchNorm>(&expected.op)) {
        EXPECT_FLOAT_EQ(static_cast<float>(std::get<BatchNorm>(node.op).epsilon),
                        static_cast<float>(norm->epsilon));
      } else {
        EXPECT_EQ(node.op, expected.op) << node.name;
      }
    }
    ASSERT_EQ(got.weights.size(), model.weights.size());
    for (const auto& [name, tensor] : model.weights)
      EXPECT_EQ(values_of(got, name), values_of(model, name));
  }
}

// ---- Forms of operations

TEST(Foreign, WeightsOfEveryTypeAndNames) {
  File file;
  auto& weight = file.tensor("features.0.weight", {2, 2, 1, 1});
  weight.set_data_type(::onnx::TensorProto_DataType_DOUBLE);
  for (const double value : {0.5, -1.0, 2.0, 4.0}) weight.add_double_data(value);
  auto& bias = file.tensor("b", {2});
  bias.set_data_type(::onnx::TensorProto_DataType_FLOAT16);
  bias.set_raw_data(std::string("\x00\x3c\x00\xc4", 4));  // 1 and -4
  file.node("Conv", {"x", "features.0.weight", "b"}, "y").set_name("/features/features.0/Conv");
  const Model model = file.model();
  EXPECT_THAT(values_of(model, "features.0.weight"), ElementsAre(0.5F, -1.0F, 2.0F, 4.0F));
  EXPECT_THAT(values_of(model, "features.0.bias"), ElementsAre(1.0F, -4.0F));
}

TEST(Foreign, ANodeOfPyTorchIsCalledAfterItsModule) {
  File file;
  file.numbered("onnx::Conv_7", {1, 2, 3, 3});
  file.node("Conv", {"x", "onnx::Conv_7"}, "c").set_name("/layer1/layer1.0/conv2/Conv");
  file.node("Relu", {"c"}, "y").set_name("/layer1/layer1.0/relu_1/Relu");
  const Model model = file.model();
  EXPECT_NE(model.graph.find("layer1.0.conv2"), -1);
  EXPECT_NE(model.graph.find("layer1.0.relu_1"), -1);
}

TEST(Foreign, NamesThatAreTakenGetNumbers) {
  File file;
  file.node("Relu", {"x"}, "a").set_name("relu");
  file.node("Relu", {"a"}, "b").set_name("relu");
  file.node("Relu", {"b"}, "y").set_name("//relu..");
  const Model model = file.model();
  EXPECT_EQ(model.graph.nodes()[2].name, "relu_2");
  EXPECT_EQ(model.graph.nodes()[3].name, "relu_3");
}

TEST(Foreign, PaddingInAllItsForms) {
  struct Case {
    std::string automatic;
    Ints pads;
    std::int64_t stride;
    Shape begin;
    Shape end;
  };
  // A 4 x 3 kernel on 9 x 9 pixels. With stride 2 five windows need 8 + 4 - 9 = 3 and 8 + 3 - 9 = 2
  // pixels more.
  for (const Case& c : std::vector<Case>{{"", {1, 0, 2, 1}, 1, {1, 0}, {2, 1}},
                                         {"VALID", {}, 1, {0, 0}, {0, 0}},
                                         {"SAME_UPPER", {}, 1, {1, 1}, {2, 1}},
                                         {"SAME_LOWER", {}, 1, {2, 1}, {1, 1}},
                                         {"SAME_UPPER", {}, 2, {1, 1}, {2, 1}},
                                         {"SAME_LOWER", {}, 2, {2, 1}, {1, 1}}}) {
    SCOPED_TRACE(c.automatic);
    File file;
    file.numbered("w.weight", {3, 2, 4, 3});
    auto& conv = file.node("Conv", {"x", "w.weight"}, "y");
    if (!c.automatic.empty()) set(conv, "auto_pad", c.automatic);
    if (!c.pads.empty()) set(conv, "pads", c.pads);
    set(conv, "strides", Ints{c.stride, c.stride});
    const Conv got = op<Conv>(file.model(), "w");
    EXPECT_EQ(got.padding_begin, c.begin);
    EXPECT_EQ(got.padding_end, c.end);
  }
}

TEST(Foreign, CeilModeIsPaddingAtTheFarEdge) {
  // 3 wide with stride 2: 4 windows on 9 pixels, 5 on 10 pixels with one more; 2 wide: the sixth
  // window of 11 pixels has one.
  for (const auto& [extent, kernel, end] :
       std::vector<std::array<std::int64_t, 3>>{{9, 3, 0}, {10, 3, 1}, {11, 2, 1}, {10, 2, 0}}) {
    File file({2, extent, extent});
    auto& pool = file.node("MaxPool", {"x"}, "y");
    set(pool, "kernel_shape", Ints{kernel, kernel});
    set(pool, "strides", Ints{2, 2});
    set(pool, "ceil_mode", std::int64_t{1});
    EXPECT_EQ(op<Pool>(file.model(), "y").padding_end, (Shape{end, end})) << extent;
  }
}

TEST(Foreign, ClipWithAttributesOrInputs) {
  File file;
  auto& old = file.node("Clip", {"x"}, "a");
  set(old, "min", 0.0F);
  set(old, "max", 6.0F);
  file.tensor("zero", {}).add_float_data(0);
  file.tensor("six", {}).add_float_data(6);
  file.node("Clip", {"a", "zero", "six"}, "b");
  file.node("Clip", {"b", "zero"}, "y");
  const Model model = file.model();
  EXPECT_EQ(op<Activation>(model, "a").kind, ActivationKind::kRelu6);
  EXPECT_EQ(op<Activation>(model, "b").kind, ActivationKind::kRelu6);
  EXPECT_EQ(op<Activation>(model, "y").kind, ActivationKind::kRelu);
}

TEST(Foreign, FullyConnectedLayersInAllTheirForms) {
  for (const std::string form : {"gemm", "gemm transposed", "matmul", "conv"}) {
    SCOPED_TRACE(form);
    File file;
    file.pooled("p");
    file.node("Flatten", {"p"}, "f");
    file.sizes("shape", {-1, 2});
    file.node("Reshape", {"f", "shape"}, "r");
    file.node("Dropout", {"r"}, "d");
    file.node("Identity", {"d"}, "v");
    file.numbered("b", {3});
    if (form == "gemm") {
      file.numbered("fc.weight", {2, 3});
      file.node("Gemm", {"v", "fc.weight", "b"}, "y");
    } else if (form == "gemm transposed") {
      file.numbered("fc.weight", {3, 2});
      set(file.node("Gemm", {"v", "fc.weight", "b"}, "y"), "transB", std::int64_t{1});
    } else if (form == "matmul") {
      file.numbered("fc.weight", {2, 3});
      file.node("MatMul", {"v", "fc.weight"}, "m");
      file.node("Add", {"b", "m"}, "y");
    } else {
      file.numbered("fc.weight", {3, 2, 1, 1});
      file.node("Conv", {"p", "fc.weight", "b"}, "y");
    }
    const Model model = file.model();
    EXPECT_EQ(op<Linear>(model, "fc"), (Linear{.out_channels = 3, .bias = true}));
    const bool columns = form == "gemm" || form == "matmul";
    EXPECT_EQ(values_of(model, "fc.weight"),
              columns ? (Floats{1, 4, 2, 5, 3, 6}) : (Floats{1, 2, 3, 4, 5, 6}));
    EXPECT_EQ(values_of(model, "fc.bias"), (Floats{1, 2, 3}));
    EXPECT_EQ(model.graph.nodes().size(), 3U);
  }
}

TEST(Foreign, AMeanOverAllExtentsIsAGlobalPool) {
  for (const bool axes_as_input : {false, true}) {
    File file;
    file.sizes("axes", {-1, 2});
    auto& mean = file.node("ReduceMean", {"x"}, "y");
    if (axes_as_input) {
      mean.add_input("axes");
    } else {
      set(mean, "axes", Ints{2, 3});
    }
    EXPECT_EQ(op<GlobalPool>(file.model(), "y"), GlobalPool{});
  }
}

TEST(Foreign, OpenExtentsAreTakenAsTheUsualOnes) {
  File file({2, 0, 0});
  file.node("Relu", {"x"}, "y");
  EXPECT_EQ(file.model().graph.default_extents(), (Shape{224, 224}));
}

// ---- The policy

TEST(Foreign, CoarseValuesAndTheStemStayOrdinary) {
  File file({4, 64, 64});
  std::string x = "x";
  for (int i = 0; i < 7; ++i) {
    const std::string name = "conv" + std::to_string(i);
    file.numbered(name + ".weight", {4, 4, 3, 3});
    auto& conv = file.node("Conv", {x, name + ".weight"}, i == 6 ? "y" : name);
    set(conv, "pads", Ints{1, 1, 1, 1});
    if (i > 0 && i < 6) set(conv, "strides", Ints{2, 2});
    x = name;
  }
  const Octavized octave = octavize(file.model().graph, {.alpha = 0.5});
  EXPECT_TRUE(octave.kept_ordinary.empty());
  std::vector<std::int64_t> low;
  for (const Node& node : octave.graph.nodes()) low.push_back(node.channels.low);
  // The input, the stem, strides of 2 to 16, and two convolutions at 32.
  EXPECT_THAT(low, ElementsAre(0, 0, 2, 2, 2, 2, 0, 0));
}

// ---- What cannot be taken

TEST(Foreign, EveryOperationThatCannotBeTakenIsNamed) {
  File file;
  file.node("Erf", {"x"}, "a").set_name("first");
  file.node("Relu", {"a"}, "b").set_name("innocent");
  file.node("Gelu", {"b"}, "c").set_name("second");
  auto& own = file.node("Relu", {"x"}, "d");
  own.set_name("third");
  own.set_domain("com.microsoft");
  set(file.node("Relu", {"x"}, "e"), "slope", 1.0F);
  file.node("Relu", {"c"}, "y");
  EXPECT_THAT(
      file.complaint(),
      AllOf(HasSubstr("unsupported: 'f.onnx'"), HasSubstr("4 of its 6 operations"),
            HasSubstr("'first' (Erf)"), HasSubstr("'second' (Gelu)"), HasSubstr("'third' (Relu)"),
            HasSubstr("attribute 'slope'"), Not(HasSubstr("innocent"))));
}

TEST(Foreign, WhatWouldChangeTheResultIsRefused) {
  const auto refused = [](const std::function<void(File&)>& build) {
    File file;
    build(file);
    return file.complaint();
  };
  EXPECT_THAT(refused([](File& f) { set(f.node("Clip", {"x"}, "y"), "max", 1.0F); }),
              HasSubstr("it clips to"));
  EXPECT_THAT(refused([](File& f) {
                auto& pool = f.node("AveragePool", {"x"}, "y");
                set(pool, "kernel_shape", Ints{3, 3});
                set(pool, "pads", Ints{1, 1, 1, 1});
                set(pool, "count_include_pad", std::int64_t{1});
                set(pool, "ceil_mode", std::int64_t{1});
              }),
              HasSubstr("counts padding"));
  EXPECT_THAT(refused([](File& f) {
                f.sizes("p", {0, 0, 1, 1, 0, 0, 1, 1});
                set(f.node("Pad", {"x", "p"}, "y"), "mode", std::string("reflect"));
              }),
              HasSubstr("it pads with mode 'reflect'"));
  EXPECT_THAT(refused([](File& f) { f.node("Flatten", {"x"}, "y"); }),
              HasSubstr("ends with a map whose channels are not its second axis"));
  EXPECT_THAT(refused([](File& f) {
                f.pooled("p");
                f.sizes("s", {2, -1});
                f.node("Reshape", {"p", "s"}, "r");
                f.sizes("t", {1, 2, 3});
                f.node("Reshape", {"p", "t"}, "y");
              }),
              AllOf(HasSubstr("behind the batch to [2, -1]"), HasSubstr("to [1, 2, 3]")));
  EXPECT_THAT(refused([](File& f) {
                f.pooled("p");
                f.sizes("axes", {-4, 3});
                f.node("Squeeze", {"p", "axes"}, "y");
              }),
              HasSubstr("it takes axis -4 away"));
  EXPECT_THAT(refused([](File& f) {
                f.numbered("c", {1, 1, 9, 9});
                f.node("Add", {"x", "c"}, "y");
              }),
              HasSubstr("its constant has shape [1, 1, 9, 9]"));
  EXPECT_THAT(refused([](File& f) {
                f.pooled("p");
                set(f.node("Softmax", {"x"}, "s"), "axis", std::int64_t{2});
                f.node("Add", {"p", "x"}, "y");
              }),
              AllOf(HasSubstr("'s' (Softmax): it is no softmax over channels"),
                    HasSubstr("'y' (Add): it adds values in different axes")));
  EXPECT_THAT(refused([](File& f) {
                f.sizes("s", {1, 2, 5, 5});
                f.node("Resize", {"x", "", "", "s"}, "y");
              }),
              HasSubstr("enlarging can be taken"));
  // What was not enlarged keeps its edge, and what was loses less than one pixel's worth.
  const auto cropped = [&](const char* map, std::int64_t end) {
    return refused([&](File& f) {
      auto& scales = f.tensor("scales", {4});
      for (const float scale : {1.0F, 1.0F, 2.0F, 2.0F}) scales.add_float_data(scale);
      f.sizes("zero", {0});
      f.sizes("end", {end});
      f.sizes("axis", {2});
      auto& resize = f.node("Resize", {"x", "", "scales"}, "large");
      set(resize, "coordinate_transformation_mode", std::string("asymmetric"));
      set(resize, "nearest_mode", std::string("floor"));
      f.node("Slice", {map, "zero", "end", "axis"}, "y");
    });
  };
  EXPECT_EQ(cropped("large", 17), "");
  EXPECT_THAT(cropped("large", 16), HasSubstr("it slices extents"));
  EXPECT_THAT(cropped("x", 8), HasSubstr("it slices extents"));
}

// PyTorch gives Resize a region without elements, stored as raw bytes of which there are none.
TEST(Foreign, ConstantsWithoutElements) {
  File file({2, 9, 9});
  file.tensor("region", {0}).set_raw_data("");
  auto& scales = file.tensor("scales", {4});
  for (const float scale : {1.0F, 1.0F, 2.0F, 2.0F}) scales.add_float_data(scale);
  auto& resize = file.node("Resize", {"x", "region", "scales"}, "y");
  set(resize, "coordinate_transformation_mode", std::string("asymmetric"));
  set(resize, "nearest_mode", std::string("floor"));
  EXPECT_EQ(file.complaint(), "");
}

// A file of open extents that means another network at every size.
TEST(Foreign, SizesThatDependOnOpenExtentsAreRefused) {
  File file({2, 0, 0});
  file.sizes("s", {2, 14, 14});
  file.node("Shape", {"x"}, "all");
  file.sizes("zero", {0});
  file.node("Gather", {"all", "zero"}, "batch");
  set(file.node("Concat", {"batch", "s"}, "to"), "axis", std::int64_t{0});
  set(file.node("MaxPool", {"x"}, "small"), "kernel_shape", Ints{32, 32});
  file.proto().mutable_graph()->mutable_node(3)->add_attribute();
  auto* stride = file.proto().mutable_graph()->mutable_node(3)->mutable_attribute(1);
  stride->set_name("strides");
  stride->set_type(::onnx::AttributeProto::INTS);
  stride->add_ints(32);
  stride->add_ints(32);
  auto& resize = file.node("Resize", {"small", "", "", "to"}, "y");
  set(resize, "coordinate_transformation_mode", std::string("asymmetric"));
  set(resize, "nearest_mode", std::string("floor"));
  EXPECT_THAT(file.complaint(), HasSubstr("resizes by a fraction, of open extents"));
  file.proto().mutable_graph()->mutable_initializer(0)->set_int64_data(1, 63);
  file.proto().mutable_graph()->mutable_initializer(0)->set_int64_data(2, 63);
  EXPECT_THAT(file.complaint(), HasSubstr("something else for each"));
}

// ---- Files that ask for more than they hold

TEST(Foreign, OneWeightReadManyTimesIsRefused) {
  File file({1024, 9, 9});
  file.numbered("w", {1024, 1024, 1, 1});
  std::string x = "x";
  for (int i = 0; i < 65; ++i) {
    const std::string y = i == 64 ? "y" : "c" + std::to_string(i);
    file.node("Conv", {x, "w"}, y);
    x = y;
  }
  EXPECT_THAT(file.complaint(), HasSubstr("far more weights than the 1048576 that it holds"));
}

TEST(Foreign, AnAbsurdNumberOfOperationsIsRefused) {
  File file;
  for (int i = 0; i < 20001; ++i) file.node("Relu", {"x"}, "c" + std::to_string(i));
  EXPECT_THAT(file.complaint(), HasSubstr("20001 operations, more than 20000"));
}

// ---- Files that contradict themselves

TEST(Foreign, DamagedFilesAreErrors) {
  const auto damaged = [](const std::function<void(File&)>& build) {
    File file;
    build(file);
    return file.complaint();
  };
  EXPECT_THAT(damaged([](File& f) { f.node("Relu", {"nothing"}, "y"); }),
              HasSubstr("'nothing' is read, and nothing before makes it"));
  EXPECT_THAT(damaged([](File& f) {  // a cycle
                f.node("Relu", {"b"}, "a");
                f.node("Relu", {"a"}, "b");
              }),
              HasSubstr("'b' is read"));
  EXPECT_THAT(damaged([](File& f) {
                f.node("Relu", {"x"}, "y");
                f.node("Relu", {"x"}, "y");
              }),
              HasSubstr("'y' is made twice"));
  EXPECT_THAT(damaged([](File& f) { f.proto().mutable_graph()->clear_input(); }),
              HasSubstr("no input"));
  EXPECT_THAT(damaged([](File& f) { f.node("Relu", {"x"}, "z"); }), HasSubstr("'y' is read"));
  EXPECT_THAT(damaged([](File& f) {
                f.tensor("w", {1 << 30, 1 << 30, 1 << 30, 1 << 30}).add_float_data(1);
                f.node("Conv", {"x", "w"}, "y");
              }),
              HasSubstr("1 elements, which do not fill"));
  EXPECT_THAT(damaged([](File& f) {
                f.tensor("w", {-1, 2}).add_float_data(1);
                f.node("Relu", {"x"}, "y");
              }),
              HasSubstr("do not fill [-1, 2]"));
  EXPECT_THAT(damaged([](File& f) {
                f.tensor("w", {2}).set_raw_data("123");
                f.node("Relu", {"x"}, "y");
              }),
              HasSubstr("3 bytes"));
  EXPECT_THAT(damaged([](File& f) {
                auto& w = f.tensor("w", {2});
                w.set_data_location(::onnx::TensorProto_DataLocation_EXTERNAL);
                auto* where = w.add_external_data();
                where->set_key("location");
                where->set_value("../../etc/passwd");
                f.node("Relu", {"x"}, "y");
              }),
              HasSubstr("the data of initialiser 'w' are in another file"));
  EXPECT_THAT(damaged([](File& f) {
                f.node("Relu", {"x"}, "y");
                f.proto().mutable_opset_import(0)->set_version(99);
              }),
              HasSubstr("its opset 99"));
  EXPECT_THAT(damaged([](File& f) {
                f.numbered("w", {4, 3, 3, 3});
                f.node("Conv", {"x", "w"}, "y");
              }),
              HasSubstr("do not fit 2 channels"));
  EXPECT_THAT(damaged([](File& f) {
                f.add_float_input("second", {2, 9, 9, 9});
                f.node("Relu", {"x"}, "y");
              }),
              HasSubstr("'second' has 5 dimensions instead of 4 like the first"));
  EXPECT_THAT(damaged([](File& f) {
                f.add_float_input("x", {2, 9, 9});
                f.node("Relu", {"x"}, "y");
              }),
              HasSubstr("input 'x' exists twice"));
}

TEST(Foreign, SeveralInputsEachWithItsExtentsAndSeveralOutputs) {
  File file({2, 9, 12});
  file.add_float_input("same", {1, 9, 12});
  file.add_float_input("open", {3, 0, 0});
  file.add_float_input("small", {4, 5, 6});
  file.node("Relu", {"small"}, "other");
  set(file.node("Concat", {"x", "same", "open"}, "y"), "axis", std::int64_t{1});
  file.proto().mutable_graph()->add_output()->set_name("other");
  const Model model = file.model();
  const Graph& graph = model.graph;
  EXPECT_EQ(graph.default_extents(), (Shape{9, 12}));
  ASSERT_EQ(graph.inputs().size(), 4U);
  EXPECT_EQ(std::get<Input>(graph.node(graph.inputs()[2]).op), (Input{3}));
  EXPECT_EQ(std::get<Input>(graph.node(graph.inputs()[3]).op), (Input{4, {5, 6}}));
  const std::vector<ValueShape> shapes = infer_shapes(graph, 1, graph.default_extents());
  ASSERT_EQ(graph.outputs().size(), 2U);
  EXPECT_EQ(shapes[static_cast<std::size_t>(graph.outputs()[0])].tensor_shape(Frequency::kHigh),
            (Shape{1, 6, 9, 12}));
  EXPECT_EQ(shapes[static_cast<std::size_t>(graph.outputs()[1])].tensor_shape(Frequency::kHigh),
            (Shape{1, 4, 5, 6}));

  // And through a file of our own.
  const Model back = parse_onnx(export_onnx(model), "own.onnx");
  EXPECT_EQ(dump(back.graph, back.graph.default_extents()), dump(graph, graph.default_extents()));
  EXPECT_EQ(back.graph.node(back.graph.inputs()[3]).op, graph.node(graph.inputs()[3]).op);
}

}  // namespace
}  // namespace octconv
