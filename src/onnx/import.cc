// SPDX-License-Identifier: Apache-2.0
// Reads back what export writes: the graph from the metadata, held against the file's operations;
// then the weights from the initialisers. Nothing is allocated on the word of a file: sizes are
// compared first. A file without our metadata is read by its operations alone.
#include <algorithm>
#include <bit>
#include <cstring>
#include <exception>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <utility>

#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <onnx/onnx_pb.h>

#include "graph/block.h"
#include "octconv/base/error.h"
#include "octconv/base/file.h"
#include "octconv/onnx/onnx.h"
#include "onnx/allowance.h"
#include "onnx/format.h"
#include "onnx/from_operations.h"
#include "onnx/lower.h"
#include "onnx/metadata.h"

namespace octconv {
namespace {

using onnx::AttributeValue;
using onnx::Block;
using onnx::Initializer;
using onnx::Operation;
using onnx::Port;
using onnx::Program;

static_assert(std::endian::native == std::endian::little, "raw_data is little-endian");

[[noreturn]] void fail(const std::string& why) {
  throw FormatError(why);
}

constexpr std::size_t kMostBytes = std::numeric_limits<int>::max();

[[noreturn]] void fail_too_large() {
  fail("it is larger than the 2 GiB that an ONNX file can be");
}

[[noreturn]] void fail_to_parse() {
  fail("it is truncated or not ONNX");
}

::onnx::ModelProto parse_proto(std::string_view bytes) {
  ::onnx::ModelProto proto;
  if (bytes.size() > kMostBytes) fail_too_large();
  if (!proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) || !proto.has_graph())
    fail_to_parse();
  return proto;
}

// A file for protobuf, piece by piece, so that its bytes are never held beside what they mean.
class FileStream : public google::protobuf::io::CopyingInputStream {
 public:
  explicit FileStream(const std::filesystem::path& path) : file_(path) {}

  int Read(void* buffer, int size) override {
    // Nothing may be thrown through protobuf.
    try {
      const std::size_t got =
          file_.read(std::span(static_cast<char*>(buffer), static_cast<std::size_t>(size)));
      read_ += got;
      return static_cast<int>(got);
    } catch (...) {
      error_ = std::current_exception();
      return -1;
    }
  }

  // What stopped the reading, if something did.
  void check() const {
    if (error_) std::rethrow_exception(error_);
    if (read_ > kMostBytes) fail_too_large();
  }

 private:
  InputFile file_;
  std::size_t read_ = 0;
  std::exception_ptr error_;
};

::onnx::ModelProto read_proto(FileStream& file) {
  google::protobuf::io::CopyingInputStreamAdaptor stream(&file, 1 << 20);
  ::onnx::ModelProto proto;
  const bool parsed = proto.ParseFromZeroCopyStream(&stream);
  file.check();
  if (!parsed || !proto.has_graph()) fail_to_parse();
  return proto;
}

const std::string* metadata(const ::onnx::ModelProto& proto, std::string_view key) {
  const std::string* value = nullptr;
  for (const auto& entry : proto.metadata_props()) {
    if (entry.key() != key) continue;
    if (value != nullptr) fail("it has two entries '" + std::string(key) + "' in its metadata");
    value = &entry.value();
  }
  return value;
}

Graph read_graph(const std::string& json) {
  try {
    return onnx::graph_from_json(json);
  } catch (const Unsupported&) {
    throw;
  } catch (const Error& error) {
    fail(std::string("its metadata '") + onnx::kGraphKey + "' is damaged: " + error.what());
  }
}

Preprocessing read_preprocessing(const std::string& json) {
  try {
    return onnx::preprocessing_from_json(json);
  } catch (const FormatError& error) {
    fail(std::string("its metadata '") + onnx::kPreprocessingKey + "' is damaged: " + error.what());
  }
}

// The opset of a file of ours.
std::int64_t own_opset(const ::onnx::ModelProto& proto) {
  const int domains = proto.functions_size() > 0 ? 2 : 1;
  if (proto.opset_import_size() != domains || !proto.opset_import(0).domain().empty()) {
    fail("it uses operations of more than the default domain");
  }
  if (domains == 2 && (proto.opset_import(1).domain() != onnx::kFunctionDomain ||
                       proto.opset_import(1).version() != onnx::kFunctionVersion)) {
    fail("it has functions that octconv does not write");
  }
  const std::int64_t opset = proto.opset_import(0).version();
  if (opset < onnx::kMinOpset || opset > onnx::kMaxOpset) {
    fail("its opset " + std::to_string(opset) + " is not in [" + std::to_string(onnx::kMinOpset) +
         ", " + std::to_string(onnx::kMaxOpset) + "]");
  }
  return opset;
}

// ---- Comparing

// The shape of an input or output without its batch.
Port read_port(const ::onnx::ValueInfoProto& proto) {
  const auto& type = proto.type().tensor_type();
  const std::string what = "'" + proto.name() + "'";
  if (!proto.type().has_tensor_type() || type.elem_type() != ::onnx::TensorProto_DataType_FLOAT) {
    fail("its " + what + " is not a float32 tensor");
  }
  const auto& dims = type.shape().dim();
  if (dims.size() < 2 || dims.size() > static_cast<int>(Shape::kMaxRank)) {
    fail("its " + what + " has " + std::to_string(dims.size()) + " dimensions");
  }
  Port port{.name = proto.name(), .shape = {}};
  for (int i = 1; i < dims.size(); ++i) {
    const std::int64_t extent = dims[i].dim_value();
    if (extent < 1 || extent > std::numeric_limits<std::int32_t>::max()) {
      fail("dimension " + std::to_string(i) + " of its " + what + " is not a size");
    }
    port.shape.push_back(extent);
  }
  return port;
}

// Of the inputs without extents of their own: what the graph does not say.
Shape input_extents(const ::onnx::GraphProto& proto, const Graph& graph) {
  for (std::size_t i = 0; i < graph.inputs().size(); ++i) {
    if (!std::get<Input>(graph.node(graph.inputs()[i]).op).extents.empty()) continue;
    if (static_cast<std::size_t>(proto.input_size()) <= i) break;
    const Port port = read_port(proto.input(static_cast<int>(i)));
    Shape extents;
    for (std::size_t axis = 1; axis < port.shape.rank(); ++axis)
      extents.push_back(port.shape[axis]);
    return extents;
  }
  if (proto.input_size() == 0) fail("it has no input");
  return graph.default_extents();
}

template <class Protos>
void compare_ports(const Protos& protos, const std::vector<Port>& expected, const char* what) {
  if (static_cast<std::size_t>(protos.size()) != expected.size()) {
    fail("it has " + std::to_string(protos.size()) + " " + what + "s instead of " +
         std::to_string(expected.size()));
  }
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const Port port = read_port(protos[static_cast<int>(i)]);
    if (port.name != expected[i].name || port.shape != expected[i].shape) {
      fail(std::string(what) + " " + std::to_string(i) + " is '" + port.name + "' of " +
           port.shape.to_string() + " instead of '" + expected[i].name + "' of " +
           expected[i].shape.to_string());
    }
  }
}

std::optional<AttributeValue> read_attribute(const ::onnx::AttributeProto& proto) {
  switch (proto.type()) {
    case ::onnx::AttributeProto_AttributeType_INT:
      return proto.i();
    case ::onnx::AttributeProto_AttributeType_FLOAT:
      return proto.f();
    case ::onnx::AttributeProto_AttributeType_STRING:
      return proto.s();
    case ::onnx::AttributeProto_AttributeType_FLOATS:
      return std::vector<float>(proto.floats().begin(), proto.floats().end());
    case ::onnx::AttributeProto_AttributeType_INTS:
      return std::vector<std::int64_t>(proto.ints().begin(), proto.ints().end());
    default:
      return std::nullopt;  // a type that no operation of ours has
  }
}

void compare_operation(const ::onnx::NodeProto& proto, const Operation& expected,
                       const std::string& who) {
  if (proto.op_type() != expected.type || proto.domain() != expected.domain) {
    fail(who + " is '" + proto.op_type() + "' instead of '" + expected.type + "'");
  }
  const auto same = [](const auto& names, const std::vector<std::string>& wanted) {
    return std::equal(names.begin(), names.end(), wanted.begin(), wanted.end());
  };
  if (!same(proto.input(), expected.inputs)) fail(who + " reads other inputs");
  if (!same(proto.output(), expected.outputs)) fail(who + " has other outputs");
  std::map<std::string, std::optional<AttributeValue>> attributes;
  for (const auto& attribute : proto.attribute()) {
    attributes.emplace(attribute.name(), read_attribute(attribute));
  }
  const auto complain = [&](const char* what, const std::string& attribute) {
    fail(who + what + "'" + attribute + "'");
  };
  for (const auto& [name, value] : expected.attributes) {
    const auto found = attributes.find(name);
    if (found == attributes.end()) complain(" lacks attribute ", name);
    if (found->second != value) complain(" has another ", name);
  }
  if (static_cast<std::size_t>(proto.attribute_size()) != expected.attributes.size()) {
    fail(who + " has attributes that it should not have");
  }
}

// `where` begins messages: "" for the graph, or of which function they are.
template <class Protos>
void compare_operations(const Protos& protos, const std::vector<Operation>& expected,
                        const std::string& where = "") {
  const auto count = static_cast<std::size_t>(protos.size());
  for (std::size_t i = 0; i < std::min(count, expected.size()); ++i) {
    std::string who = where + "operation " + std::to_string(i);
    who += " (of '" + expected[i].outputs[0] + "')";
    compare_operation(protos[static_cast<int>(i)], expected[i], who);
  }
  if (count != expected.size()) {
    fail(where + "it has " + std::to_string(count) + " operations instead of " +
         std::to_string(expected.size()));
  }
}

void compare_functions(const ::onnx::ModelProto& proto, std::int64_t opset,
                       const std::vector<onnx::Function>& expected) {
  if (static_cast<std::size_t>(proto.functions_size()) != expected.size()) {
    fail("it has " + std::to_string(proto.functions_size()) + " functions instead of " +
         std::to_string(expected.size()));
  }
  const auto same = [](const auto& names, const std::vector<std::string>& wanted) {
    return std::equal(names.begin(), names.end(), wanted.begin(), wanted.end());
  };
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const ::onnx::FunctionProto& function = proto.functions(static_cast<int>(i));
    const std::string who = "function '" + expected[i].name + "': ";
    if (function.name() != expected[i].name || function.domain() != onnx::kFunctionDomain)
      fail(who + "it is called '" + function.name() + "'");
    if (!same(function.input(), expected[i].inputs)) fail(who + "it reads other inputs");
    if (!same(function.output(), expected[i].outputs)) fail(who + "it has other outputs");
    if (function.attribute_size() > 0) fail(who + "it has attributes");
    if (function.opset_import_size() != 1 || !function.opset_import(0).domain().empty() ||
        function.opset_import(0).version() != opset)
      fail(who + "it is not of opset " + std::to_string(opset));
    compare_operations(function.node(), expected[i].operations, who);
  }
}

// ---- Initialisers

using InitializerProtos = std::map<std::string_view, ::onnx::TensorProto*>;

InitializerProtos index_initializers(::onnx::GraphProto& graph) {
  InitializerProtos protos;
  for (auto& proto : *graph.mutable_initializer()) {
    if (!protos.emplace(proto.name(), &proto).second) {
      fail("initialiser '" + proto.name() + "' exists twice");
    }
  }
  return protos;
}

void compare_initializer(const ::onnx::TensorProto& proto, const Initializer& expected) {
  const std::string who = "initialiser '" + expected.name + "'";
  const auto* const sizes = std::get_if<std::vector<std::int64_t>>(&expected.content);
  if (proto.data_type() != (sizes != nullptr ? ::onnx::TensorProto_DataType_INT64
                                             : ::onnx::TensorProto_DataType_FLOAT)) {
    fail(who + (sizes != nullptr ? " is not int64" : " is not float32"));
  }
  const std::size_t width = sizes != nullptr ? sizeof(std::int64_t) : sizeof(float);
  if (proto.data_location() != ::onnx::TensorProto_DataLocation_DEFAULT ||
      proto.external_data_size() > 0) {
    fail(who + " keeps its data in another file");
  }
  if (!std::equal(proto.dims().begin(), proto.dims().end(), expected.shape.begin(),
                  expected.shape.end())) {
    fail(who + " does not have shape " + expected.shape.to_string());
  }
  // Division before multiplication: the product of the extents may not fit in 64 bits.
  std::size_t elements = proto.raw_data().size() / width;
  bool fits = proto.raw_data().size() % width == 0;
  for (const std::int64_t extent : expected.shape) {
    fits = fits && extent > 0 && elements % static_cast<std::size_t>(extent) == 0;
    if (fits) elements /= static_cast<std::size_t>(extent);
  }
  if (!fits || elements != 1) {
    fail(who + " has " + std::to_string(proto.raw_data().size()) + " bytes, which are not " +
         expected.shape.to_string() + (sizes != nullptr ? " int64" : " float32") + " values");
  }
  const std::string& raw = proto.raw_data();
  const bool same =
      std::visit(Overloaded{[](const Block&) { return true; },
                            [&](const onnx::Fill& fill) {
                              for (std::size_t at = 0; at < raw.size(); at += sizeof(float)) {
                                if (std::memcmp(raw.data() + at, &fill.value, sizeof(float)) != 0)
                                  return false;
                              }
                              return true;
                            },
                            [&](const auto& values) {
                              return std::memcmp(raw.data(), values.data(), raw.size()) == 0;
                            }},
                 expected.content);
  if (!same) fail(who + " has other values");
}

void compare_initializers(const InitializerProtos& protos,
                          const std::vector<Initializer>& expected) {
  for (const Initializer& initializer : expected) {
    const auto found = protos.find(initializer.name);
    if (found == protos.end()) fail("initialiser '" + initializer.name + "' is missing");
    compare_initializer(*found->second, initializer);
  }
  if (protos.size() != expected.size()) {
    fail("it has " + std::to_string(protos.size()) + " initialisers instead of " +
         std::to_string(expected.size()));
  }
}

// Takes the bytes out of the file's tensors one by one, so that they are not held twice.
Weights read_weights(const Graph& graph, const Program& program, const InitializerProtos& protos) {
  std::int64_t held = 0;  // at most the bytes of the file
  for (const Initializer& initializer : program.initializers) held += initializer.shape.elements();
  onnx::Allowance allowance(held);
  for (const Parameter& parameter : parameters(graph)) allowance.take(parameter.shape.elements());
  Weights weights;
  for (const Initializer& initializer : program.initializers) {
    const auto* block = std::get_if<Block>(&initializer.content);
    if (block == nullptr) continue;
    auto weight = weights.find(block->parameter);
    if (weight == weights.end())
      weight = weights.emplace(block->parameter, Tensor(block->parameter_shape)).first;
    ::onnx::TensorProto& proto = *protos.at(initializer.name);
    copy_block(proto.raw_data().data(), *block, weight->second);
    delete proto.release_raw_data();
  }
  for (const Parameter& parameter : parameters(graph))  // what no path reads
    weights.try_emplace(parameter.name, parameter.shape);
  return weights;
}

// A file of ours: `graph_json` is its description of itself.
Model read_model(::onnx::ModelProto& proto, const std::string& graph_json) {
  const std::int64_t opset = own_opset(proto);
  if (proto.graph().sparse_initializer_size() > 0) {
    fail("it has sparse initialisers, which octconv does not write");
  }
  Model model{.graph = read_graph(graph_json), .weights = {}, .preprocessing = {}};
  try {
    const Program program = onnx::lower(model.graph, input_extents(proto.graph(), model.graph),
                                        {.opset = opset, .functions = proto.functions_size() > 0});
    compare_functions(proto, opset, program.functions);
    compare_ports(proto.graph().input(), program.inputs, "input");
    compare_ports(proto.graph().output(), program.outputs, "output");
    compare_operations(proto.graph().node(), program.operations);
    const InitializerProtos protos = index_initializers(*proto.mutable_graph());
    compare_initializers(protos, program.initializers);
    model.weights = read_weights(model.graph, program, protos);
  } catch (const Error& error) {
    fail(std::string("it does not hold what its metadata '") + onnx::kGraphKey +
         "' says: " + error.what());
  }
  if (const std::string* json = metadata(proto, onnx::kPreprocessingKey)) {
    model.preprocessing = read_preprocessing(*json);
  }
  return model;
}

// A file of another origin: what it holds are its operations.
Model read_foreign_model(const ::onnx::ModelProto& proto, const std::filesystem::path& folder) {
  std::int64_t opset = 0;
  for (const auto& import : proto.opset_import()) {
    if (import.domain().empty() || import.domain() == "ai.onnx") opset = import.version();
  }
  if (opset < onnx::kMinForeignOpset || opset > onnx::kMaxForeignOpset) {
    throw Unsupported("its opset " + std::to_string(opset) + " is not in [" +
                      std::to_string(onnx::kMinForeignOpset) + ", " +
                      std::to_string(onnx::kMaxForeignOpset) + "]");
  }
  if (proto.graph().sparse_initializer_size() > 0) throw Unsupported("it has sparse initialisers");
  return onnx::from_operations(proto, folder);
}

// `read` gives the file's contents.
template <class Read>
Model parse(const Read& read, std::string_view name, const std::filesystem::path& folder) {
  const std::string file = "'" + std::string(name) + "'";
  try {
    ::onnx::ModelProto proto = read();
    if (const std::string* json = metadata(proto, onnx::kGraphKey)) return read_model(proto, *json);
    if (proto.producer_name() == onnx::kProducer) {
      fail(std::string("its metadata '") + onnx::kGraphKey +
           "' is gone: it is truncated or changed");
    }
    return read_foreign_model(proto, folder);
  } catch (const FileError&) {
    throw;
  } catch (const Unsupported& error) {
    throw Unsupported(file + " cannot be read: " + error.what());
  } catch (const Error& error) {
    throw FormatError(file + " is not a usable model: " + error.what());
  }
}

}  // namespace

Model parse_onnx(std::string_view bytes, std::string_view name) {
  return parse([bytes] { return parse_proto(bytes); }, name, {});
}

Model load_onnx(const std::filesystem::path& path) {
  const std::filesystem::path folder = path.parent_path();
  FileStream file(path);
  return parse([&file] { return read_proto(file); }, path.string(), folder.empty() ? "." : folder);
}

}  // namespace octconv
