// SPDX-License-Identifier: Apache-2.0
// Writes a lowered network as a ModelProto.
#include <bit>
#include <limits>
#include <utility>

#include <onnx/onnx_pb.h>

#include "octconv/base/error.h"
#include "octconv/base/file.h"
#include "octconv/base/version.h"
#include "octconv/graph/fold.h"
#include "octconv/onnx/onnx.h"
#include "onnx/format.h"
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

template <class Element>
void append(std::string& bytes, const Element* values, std::int64_t count) {
  bytes.append(reinterpret_cast<const char*>(values),
               static_cast<std::size_t>(count) * sizeof(Element));
}

template <class Element>
std::string bytes_of(const std::vector<Element>& values) {
  std::string bytes;
  append(bytes, values.data(), static_cast<std::int64_t>(values.size()));
  return bytes;
}

std::string bytes_of(const Block& block, const Weights& weights) {
  const Tensor& tensor = weights.at(block.parameter);
  const Shape& shape = tensor.shape();
  const std::int64_t columns = shape.rank() > 1 ? shape[1] : 1;
  const std::int64_t taps = shape.elements() / (shape[0] * columns);
  std::string bytes;
  bytes.reserve(static_cast<std::size_t>(block.rows * block.columns * taps) * sizeof(float));
  for (std::int64_t row = block.row; row < block.row + block.rows; ++row) {
    append(bytes, tensor.data() + (row * columns + block.column) * taps, block.columns * taps);
  }
  return bytes;
}

void write(const Initializer& initializer, const Weights& weights, ::onnx::TensorProto& proto) {
  proto.set_name(initializer.name);
  proto.set_data_type(std::holds_alternative<std::vector<std::int64_t>>(initializer.content)
                          ? ::onnx::TensorProto_DataType_INT64
                          : ::onnx::TensorProto_DataType_FLOAT);
  for (const std::int64_t extent : initializer.shape) proto.add_dims(extent);
  proto.set_raw_data(std::visit(
      Overloaded{[&](const Block& block) { return bytes_of(block, weights); },
                 [](const std::vector<float>& values) { return bytes_of(values); },
                 [](const std::vector<std::int64_t>& values) { return bytes_of(values); },
                 [&](const onnx::Fill& fill) {
                   return bytes_of(std::vector<float>(
                       static_cast<std::size_t>(initializer.shape.elements()), fill.value));
                 }},
      initializer.content));
}

void write(const std::string& name, const AttributeValue& value, ::onnx::AttributeProto& proto) {
  proto.set_name(name);
  std::visit(Overloaded{[&](std::int64_t i) {
                          proto.set_type(::onnx::AttributeProto_AttributeType_INT);
                          proto.set_i(i);
                        },
                        [&](float f) {
                          proto.set_type(::onnx::AttributeProto_AttributeType_FLOAT);
                          proto.set_f(f);
                        },
                        [&](const std::string& s) {
                          proto.set_type(::onnx::AttributeProto_AttributeType_STRING);
                          proto.set_s(s);
                        },
                        [&](const std::vector<float>& floats) {
                          proto.set_type(::onnx::AttributeProto_AttributeType_FLOATS);
                          for (const float f : floats) proto.add_floats(f);
                        },
                        [&](const std::vector<std::int64_t>& ints) {
                          proto.set_type(::onnx::AttributeProto_AttributeType_INTS);
                          for (const std::int64_t i : ints) proto.add_ints(i);
                        }},
             value);
}

void write(const Operation& operation, ::onnx::NodeProto& proto) {
  proto.set_name(operation.outputs[0]);
  proto.set_op_type(operation.type);
  if (!operation.domain.empty()) proto.set_domain(operation.domain);
  for (const std::string& input : operation.inputs) proto.add_input(input);
  for (const std::string& output : operation.outputs) proto.add_output(output);
  for (const auto& [name, value] : operation.attributes) write(name, value, *proto.add_attribute());
}

void write(const onnx::Function& function, std::int64_t opset, ::onnx::FunctionProto& proto) {
  proto.set_name(function.name);
  proto.set_domain(onnx::kFunctionDomain);
  for (const std::string& input : function.inputs) proto.add_input(input);
  for (const std::string& output : function.outputs) proto.add_output(output);
  for (const Operation& operation : function.operations) write(operation, *proto.add_node());
  auto* import = proto.add_opset_import();
  import->set_domain("");
  import->set_version(opset);
}

void write(const Port& port, bool dynamic_batch, ::onnx::ValueInfoProto& proto) {
  proto.set_name(port.name);
  auto* type = proto.mutable_type()->mutable_tensor_type();
  type->set_elem_type(::onnx::TensorProto_DataType_FLOAT);
  auto* batch = type->mutable_shape()->add_dim();
  if (dynamic_batch) {
    batch->set_dim_param(onnx::kBatch);
  } else {
    batch->set_dim_value(1);
  }
  for (const std::int64_t extent : port.shape)
    type->mutable_shape()->add_dim()->set_dim_value(extent);
}

void add_metadata(const char* key, std::string value, ::onnx::ModelProto& proto) {
  auto* entry = proto.add_metadata_props();
  entry->set_key(key);
  entry->set_value(std::move(value));
}

bool known(const Preprocessing& preprocessing) {
  return !preprocessing.mean.empty() || !preprocessing.deviation.empty() ||
         !preprocessing.extents.empty() || !preprocessing.classes.empty();
}

}  // namespace

std::string export_onnx(const Model& model, const ExportOptions& options) {
  if (options.opset < onnx::kMinOpset || options.opset > onnx::kMaxOpset) {
    throw Unsupported("export_onnx: opset must be in [" + std::to_string(onnx::kMinOpset) + ", " +
                      std::to_string(onnx::kMaxOpset) + "], got " + std::to_string(options.opset));
  }
  if (options.functions && options.opset < onnx::kFunctionOpset) {
    throw Unsupported("export_onnx: functions need opset " + std::to_string(onnx::kFunctionOpset) +
                      " or later, got " + std::to_string(options.opset));
  }
  if (options.fold) {
    ExportOptions rest = options;
    rest.fold = false;
    return export_onnx(fold_batch_norms(model), rest);
  }
  model.graph.check();
  check_weights(model.graph, model.weights);
  const Program program = onnx::lower(
      model.graph, options.extents.empty() ? model.graph.default_extents() : options.extents,
      {.opset = options.opset, .functions = options.functions});

  ::onnx::ModelProto proto;
  proto.set_ir_version(onnx::ir_version(options.opset));
  proto.set_producer_name(onnx::kProducer);
  proto.set_producer_version(OCTCONV_VERSION);
  proto.add_opset_import()->set_version(options.opset);
  if (!program.functions.empty()) {
    auto* import = proto.add_opset_import();
    import->set_domain(onnx::kFunctionDomain);
    import->set_version(onnx::kFunctionVersion);
  }
  // The graph comes last: where the end of a file is missing, so is the graph, and import says so.
  if (known(model.preprocessing)) {
    add_metadata(onnx::kPreprocessingKey, onnx::preprocessing_to_json(model.preprocessing), proto);
  }
  add_metadata(onnx::kGraphKey, onnx::graph_to_json(model.graph), proto);
  for (const onnx::Function& function : program.functions)
    write(function, options.opset, *proto.add_functions());
  auto* graph = proto.mutable_graph();
  graph->set_name(model.graph.name());
  for (const Operation& operation : program.operations) write(operation, *graph->add_node());
  for (const Initializer& initializer : program.initializers) {
    write(initializer, model.weights, *graph->add_initializer());
  }
  for (const Port& port : program.inputs) write(port, options.dynamic_batch, *graph->add_input());
  for (const Port& port : program.outputs) write(port, options.dynamic_batch, *graph->add_output());

  constexpr std::size_t kMaxBytes = std::numeric_limits<std::int32_t>::max();
  const std::size_t size = proto.ByteSizeLong();
  if (size > kMaxBytes) {
    throw Unsupported("network '" + model.graph.name() + "' takes " + std::to_string(size) +
                      " bytes, and an ONNX file ends at " + std::to_string(kMaxBytes));
  }
  std::string bytes;
  if (!proto.SerializeToString(&bytes)) {
    throw Unsupported("network '" + model.graph.name() + "' cannot be written as ONNX");
  }
  return bytes;
}

void save_onnx(const std::filesystem::path& path, const Model& model,
               const ExportOptions& options) {
  write_file(path, export_onnx(model, options));
}

}  // namespace octconv
