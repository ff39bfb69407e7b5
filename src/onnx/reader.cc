// SPDX-License-Identifier: Apache-2.0
// The file: its inputs, outputs and constants, the names of nodes, the values of tensors.
#include "onnx/reader.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "graph/extents.h"
#include "octconv/base/error.h"
#include "octconv/base/text.h"
#include "octconv/graph/prune.h"
#include "octconv/graph/stages.h"
#include "onnx/fold_constants.h"
#include "onnx/metadata.h"

namespace octconv::onnx {
namespace {

constexpr std::int64_t kMaxSize = std::numeric_limits<std::int32_t>::max();

std::string title(const ::onnx::NodeProto& node) {
  return "'" + (node.name().empty() ? node.output(0) : node.name()) + "' (" + node.op_type() + ")";
}

std::int64_t opset_of(const ::onnx::ModelProto& model) {
  std::int64_t opset = 0;
  for (const auto& import : model.opset_import()) {
    if (import.domain().empty() || import.domain() == "ai.onnx") opset = import.version();
  }
  return opset;
}

}  // namespace

Reader::Reader(const ::onnx::ModelProto& model, std::int64_t open, std::filesystem::path folder)
    : proto_(model.graph()),
      opset_(opset_of(model)),
      open_(open),
      folder_(std::move(folder)),
      batch_(kOpenBatch),
      graph_(start()) {}

Model Reader::run() {
  for (int i = 0; i < proto_.node_size(); ++i) take(proto_.node(i), i);
  add_outputs();
  if (!refused_.empty()) throw Unsupported(complaint());
  Model model = without_unread({.graph = std::move(graph_), .weights = std::move(weights_)});
  set_stages_by_stride(model.graph);
  check_weights(model.graph, model.weights);
  static_cast<void>(infer_shapes(model.graph, 1, model.graph.default_extents()));
  return model;
}

void Reader::add_outputs() {
  if (proto_.output_size() == 0) throw FormatError("it has no output");
  for (const auto& output : proto_.output()) {
    Value value = value_of(output.name());
    if (!value.known) continue;
    if (value.node < 0) throw FormatError("its output '" + output.name() + "' is a constant");
    NodeProto end;
    end.set_op_type("output");
    end.add_output(output.name());
    try {
      value = settle(end, value);
      if (value.form != Form::kPlain && value.form != Form::kOnes)
        refuse("the network ends with a map whose channels are not its second axis");
    } catch (const Refusal& refusal) {
      refused_.push_back(title(end) + ": " + refusal.why);
      continue;
    }
    graph_.add_output(value.node);
  }
}

// ---- The inputs and the constants

Graph Reader::start() {
  // Graph::add looks through all names: an absurd number of nodes would take hours.
  if (static_cast<std::size_t>(proto_.node_size()) > kMaxNodes)
    throw Unsupported("it has " + std::to_string(proto_.node_size()) + " operations, more than " +
                      std::to_string(kMaxNodes));
  std::int64_t held = 0;
  for (const auto& initializer : proto_.initializer()) {
    const auto [at, added] =
        constants_.emplace(initializer.name(), read_constant(initializer, folder_));
    if (!added) throw FormatError("initialiser '" + initializer.name() + "' exists twice");
    held += at->second.shape.elements();
    values_[initializer.name()] = {.constant = &at->second};
  }
  for (const NodeProto& node : proto_.node()) {
    for (const std::string& name : node.input()) ++readers_[name];
    // Some exporters keep all weights in nodes.
    for (const auto& attribute : node.attribute()) {
      if (!attribute.has_t()) continue;
      const auto bytes = static_cast<std::int64_t>(attribute.t().ByteSizeLong());
      held += bytes / static_cast<std::int64_t>(sizeof(float));
    }
  }
  allowance_ = Allowance(held);
  for (const auto& output : proto_.output()) ++readers_[output.name()];
  std::vector<const ::onnx::ValueInfoProto*> images;
  for (const auto& input : proto_.input()) {
    // Older files list their initialisers too.
    if (!values_.contains(input.name())) images.push_back(&input);
  }
  if (images.empty()) throw FormatError("it has no input");
  const int rank = images[0]->type().tensor_type().shape().dim_size() - 2;
  if (rank < 1 || rank > 3)
    throw Unsupported("its input '" + images[0]->name() + "' has " + std::to_string(rank + 2) +
                      " dimensions, and [batch, channels] with 1 to 3 extents can be read");
  Graph graph(proto_.name().empty() ? "network" : proto_.name(),
              Shape::filled(static_cast<std::size_t>(rank), 2));
  graph.set_default_extents(Shape::filled(static_cast<std::size_t>(rank), open_));
  for (const ::onnx::ValueInfoProto* image : images) add_input(*image, graph);
  return graph;
}

// An input of the network. The first one's extents are the network's; what later ones leave open is
// as in the first. An image whose channels come last is turned first of all, by the only operation
// that reads it: then the network's input is what that makes.
void Reader::add_input(const ::onnx::ValueInfoProto& image, Graph& graph) {
  const std::string who = "its input '" + image.name() + "'";
  const auto& type = image.type().tensor_type();
  const auto& dims = type.shape().dim();
  if (type.elem_type() != ::onnx::TensorProto_DataType_FLOAT)
    throw Unsupported(who + " is not a float32 tensor");
  if (dims.size() != static_cast<int>(graph.rank()) + 2)
    throw Unsupported(who + " has " + std::to_string(dims.size()) + " dimensions instead of " +
                      std::to_string(graph.rank() + 2) + " like the first");
  const auto size = [&](int dim) -> std::int64_t {
    const std::int64_t value = dims[dim].dim_value();
    if (value == -1) return 0;
    if (value < 0 || value > kMaxSize)
      throw FormatError("dimension " + std::to_string(dim) + " of " + who + " is " +
                        std::to_string(value));
    return value;  // 0: open
  };
  bool last = false;
  for (const NodeProto& node : proto_.node()) {
    if (node.op_type() != "Transpose" || node.input_size() != 1 || node.input(0) != image.name())
      continue;
    last = readers_[image.name()] == 1 && node.attribute_size() == 1 &&
           node.attribute(0).ints_size() == dims.size() &&
           node.attribute(0).ints(1) == dims.size() - 1;
  }
  const int first_extent = last ? 1 : 2;
  const std::int64_t channels = size(last ? dims.size() - 1 : 1);
  if (channels == 0) throw Unsupported(who + " leaves the number of channels open");
  Shape extents = graph.default_extents();
  for (std::size_t axis = 0; axis < extents.rank(); ++axis) {
    const std::int64_t extent = size(first_extent + static_cast<int>(axis));
    fixed_extents_ = fixed_extents_ && extent > 0;
    if (extent > 0) extents[axis] = extent;
  }
  if (graph.inputs().empty()) {
    graph.set_default_extents(extents);
    if (size(0) > 0) batch_ = size(0);
  }
  const bool like_the_first = extents == graph.default_extents();
  const NodeId id =
      graph.add(unique(image.name()),
                Input{.channels = channels, .extents = like_the_first ? Shape() : extents}, {});
  const Value value{.node = id, .form = last ? Form::kLast : Form::kPlain};
  if (!values_.emplace(image.name(), value).second)
    throw FormatError("input '" + image.name() + "' exists twice");
  extents_.push_back(extents);
}

// ---- Names

// A name whose parts between dots are not empty, and that no node has.
std::string Reader::unique(const std::string& wanted) {
  std::string name;
  for (const char c : wanted) {
    const bool separates = c == '/' || c == '.' || c == ':';
    if (!separates) {
      name += c;
    } else if (!name.empty() && name.back() != '.') {
      name += '.';
    }
  }
  while (!name.empty() && name.back() == '.') name.pop_back();
  if (name.empty()) name = "node";
  std::string candidate = name;
  while (!names_.insert(candidate).second)
    candidate = name + "_" + std::to_string(++repeats_[name] + 1);
  return candidate;
}

// "layer1.0.conv1" for a node whose weight is called "layer1.0.conv1.weight"; for one that PyTorch
// calls "/layer1/layer1.0/conv1/Conv" too.
std::string Reader::name_by(const NodeProto& node, int weight) {
  constexpr std::string_view kSuffix = ".weight";
  if (weight < node.input_size()) {
    const std::string& name = node.input(weight);
    if (name.size() > kSuffix.size() && name.ends_with(kSuffix))
      return name.substr(0, name.size() - kSuffix.size());
  }
  if (node.name().empty()) return node.output(0);
  if (node.name().front() != '/') return node.name();
  std::vector<std::string> scopes;
  for (std::size_t begin = 1; begin <= node.name().size();) {
    const std::size_t end = std::min(node.name().find('/', begin), node.name().size());
    const std::string scope = node.name().substr(begin, end - begin);
    // A scope may repeat the one that it lies in.
    if (!scopes.empty() && scope.starts_with(scopes.back() + ".")) scopes.pop_back();
    scopes.push_back(scope);
    begin = end + 1;
  }
  // What the node does is no part of where it is.
  if (scopes.size() > 1 && scopes.back() == node.op_type()) scopes.pop_back();
  return join(scopes, ".");
}

// ---- Values

Reader::Value Reader::value_of(const std::string& name) const {
  const auto found = values_.find(name);
  if (found == values_.end())
    throw FormatError("'" + name + "' is read, and nothing before makes it");
  return found->second;
}

Reader::Value Reader::input(const NodeProto& node, int index) const {
  if (!has_input(node, index)) refuse("its input " + std::to_string(index) + " is missing");
  if (products_input(node, index) != nullptr)
    refuse("it reads products of two values, with which only attention goes on");
  return value_of(node.input(index));
}

bool Reader::has_input(const NodeProto& node, int index) {
  return index < node.input_size() && !node.input(index).empty();
}

// Results that somebody asks for.
std::size_t Reader::outputs_read(const NodeProto& node) const {
  return static_cast<std::size_t>(
      std::count_if(node.output().begin(), node.output().end(),
                    [&](const std::string& name) { return readers_.contains(name); }));
}

Reader::Value Reader::settle(const NodeProto& node, Value value) {
  if (value.node < 0) refuse("it reads a constant where a value should be");
  if (!value.waits()) return value;
  if (!spatial(value.node)) refuse("it scales or shifts a value without extents");
  const auto count = static_cast<std::size_t>(channels(value.node));
  const Shape none = Shape::filled(graph_.rank(), 0);
  const bool padded = !value.pad_begin.empty();
  allowance_.take(2 * channels(value.node));
  std::vector<float> bias;
  if (value.shift != 0) bias.assign(count, static_cast<float>(value.shift));
  const std::string name = unique(name_by(node, node.input_size()) + ".scaled");
  const NodeId id = add_depthwise(
      name, value.node, std::vector<float>(count, static_cast<float>(value.scale)), std::move(bias),
      padded ? value.pad_begin : none, padded ? value.pad_end : none);
  return {.node = id, .form = value.form, .groups = value.groups};
}

Reader::Value Reader::settled_input(const NodeProto& node, int index) {
  return settle(node, input(node, index));
}

// A value in the graph's own axes.
NodeId Reader::plain_input(const NodeProto& node, int index) {
  const Value value = settled_input(node, index);
  if (value.form != Form::kPlain && value.form != Form::kOnes)
    refuse("its input " + std::to_string(index) +
           " is flattened, grouped or turned, which this operation does not take");
  return value.node;
}

// A map, not a vector of channels.
NodeId Reader::map_input(const NodeProto& node, int index) {
  const NodeId id = plain_input(node, index);
  if (!spatial(id)) refuse("it reads a value without extents, which this operation needs");
  return id;
}

const Constant& Reader::constant_input(const NodeProto& node, int index) const {
  const Value value = input(node, index);
  if (value.constant == nullptr)
    refuse("its input " + std::to_string(index) + " is computed, and a constant can be read");
  return *value.constant;
}

const std::vector<float>& Reader::numbers_input(const NodeProto& node, int index) const {
  const std::vector<float>* numbers = constant_input(node, index).numbers();
  if (numbers == nullptr) refuse("its input " + std::to_string(index) + " is not of numbers");
  return *numbers;
}

const Ints& Reader::sizes_input(const NodeProto& node, int index) const {
  const Ints* sizes = constant_input(node, index).sizes();
  if (sizes == nullptr) refuse("its input " + std::to_string(index) + " is not of sizes");
  return *sizes;
}

Tensor Reader::parameter(const NodeProto& node, int index, const Shape& shape) {
  const std::vector<float>& numbers = numbers_input(node, index);
  const Shape& held = constant_input(node, index).shape;
  if (held != shape)
    refuse("its input " + std::to_string(index) + " has shape " + held.to_string() +
           " instead of " + shape.to_string());
  allowance_.take(shape.elements());
  Tensor tensor(shape);
  std::copy(numbers.begin(), numbers.end(), tensor.values().begin());
  return tensor;
}

void Reader::keep(const std::string& node, const char* what, Tensor tensor) {
  weights_.insert_or_assign(node + "." + what, std::move(tensor));
}

// Adds a node, and the extents of its result.
NodeId Reader::add(const std::string& name, Op op, std::vector<NodeId> inputs) {
  std::vector<Shape> grids;
  for (const NodeId input : inputs) grids.push_back(grid(input));
  try {
    const NodeId id = graph_.add(name, std::move(op), std::move(inputs));
    extents_.emplace_back();  // one for each node, also if the next line refuses it
    extents_.back() = value_extents(graph_, id, grids);
    return id;
  } catch (const Error& error) {
    refuse(error.what());
  }
}

// The same for an operation without weights.
NodeId Reader::add(const NodeProto& node, Op op, std::vector<NodeId> inputs) {
  return add(unique(name_by(node, node.input_size())), std::move(op), std::move(inputs));
}

NodeId Reader::add_depthwise(const std::string& name, NodeId x, std::vector<float> weight,
                             std::vector<float> bias, const Shape& begin, const Shape& end) {
  const std::size_t rank = graph_.rank();
  const std::int64_t count = channels(x);
  const Shape ones = Shape::filled(rank, 1);
  const NodeId id = add(name,
                        Conv{.out_channels = count,
                             .kernel = ones,
                             .stride = ones,
                             .dilation = ones,
                             .padding_begin = begin,
                             .padding_end = end,
                             .groups = count,
                             .bias = !bias.empty()},
                        {x});
  Shape shape{count, 1};
  for (std::size_t axis = 0; axis < rank; ++axis) shape.push_back(1);
  Tensor tensor(shape);
  std::copy(weight.begin(), weight.end(), tensor.values().begin());
  keep(name, "weight", std::move(tensor));
  if (!bias.empty()) {
    Tensor shift(Shape{count});
    std::copy(bias.begin(), bias.end(), shift.values().begin());
    keep(name, "bias", std::move(shift));
  }
  return id;
}

void Reader::result(const NodeProto& node, int output, const Value& value) {
  if (!values_.emplace(node.output(output), value).second)
    throw FormatError("'" + node.output(output) + "' is made twice");
}

void Reader::constant_result(const NodeProto& node, Constant constant) {
  Constant& kept = constants_["constant of " + node.output(0)];
  kept = std::move(constant);
  result(node, {.constant = &kept});
}

// ---- One operation after the other

void Reader::take(const NodeProto& node, int index) {
  if (node.output_size() == 0)
    throw FormatError("operation " + std::to_string(index) + " ('" + node.op_type() +
                      "') has no output");
  // What a refused operation would have made, later ones need not complain of.
  bool known = true;
  for (const std::string& name : node.input())
    known = known && (name.empty() || value_of(name).known);
  if (known) {
    try {
      take_known(node);
      return;
    } catch (const Refusal& refusal) {
      refused_.push_back(title(node) + ": " + refusal.why);
    }
  } else if (!takes(node)) {
    refused_.push_back(title(node) + ": there is no such operation here");
  }
  for (const std::string& output : node.output()) {
    if (!output.empty()) values_.insert_or_assign(output, Value{.known = false});
  }
}

std::string Reader::complaint() const {
  return std::to_string(refused_.size()) + " of its " + std::to_string(proto_.node_size()) +
         " operations cannot be taken: " + join(refused_, "; ");
}

const std::map<std::string_view, Reader::Take>& Reader::table() {
  static const std::map<std::string_view, Take> table{
      {"Add", &Reader::take_add},
      {"AveragePool", &Reader::take_average_pool},
      {"BatchNormalization", &Reader::take_batch_norm},
      {"Cast", &Reader::take_cast},
      {"Clip", &Reader::take_clip},
      {"Concat", &Reader::take_concat},
      {"Constant", &Reader::take_constant},
      {"Conv", &Reader::take_conv},
      {"ConvTranspose", &Reader::take_conv_transpose},
      {"DepthToSpace", &Reader::take_depth_to_space},
      {"Div", &Reader::take_div},
      {"Dropout", &Reader::take_dropout},
      {"Flatten", &Reader::take_flatten},
      {"Gather", &Reader::take_gather},
      {"Gemm", &Reader::take_gemm},
      {"GlobalAveragePool", &Reader::take_global_pool},
      {"GlobalMaxPool", &Reader::take_global_max_pool},
      {"HardSigmoid", &Reader::take_hard_sigmoid},
      {"HardSwish", &Reader::take_hard_swish},
      {"Identity", &Reader::take_identity},
      {"LeakyRelu", &Reader::take_leaky_relu},
      {"MatMul", &Reader::take_mat_mul},
      {"MaxPool", &Reader::take_max_pool},
      {"Mul", &Reader::take_mul},
      {"Neg", &Reader::take_neg},
      {"PRelu", &Reader::take_p_relu},
      {"Pad", &Reader::take_pad},
      {"ReduceMean", &Reader::take_reduce_mean},
      {"Relu", &Reader::take_relu},
      {"Reshape", &Reader::take_reshape},
      {"Resize", &Reader::take_resize},
      {"Shape", &Reader::take_shape},
      {"Sigmoid", &Reader::take_sigmoid},
      {"Slice", &Reader::take_slice},
      {"Softmax", &Reader::take_softmax},
      {"Split", &Reader::take_split},
      {"Squeeze", &Reader::take_squeeze},
      {"Sub", &Reader::take_sub},
      {"Transpose", &Reader::take_transpose},
      {"Unsqueeze", &Reader::take_unsqueeze},
      {"Upsample", &Reader::take_upsample}};
  return table;
}

bool Reader::takes(const NodeProto& node) {
  return (node.domain().empty() || node.domain() == "ai.onnx") && table().contains(node.op_type());
}

// Operations that are known of constants alone.
bool Reader::computes_constants(const NodeProto& node) {
  static const std::set<std::string_view> known{"Ceil", "ConstantOfShape", "Floor", "Sqrt"};
  return (node.domain().empty() || node.domain() == "ai.onnx") && known.contains(node.op_type());
}

void Reader::take_known(const NodeProto& node) {
  if (fold(node)) return;
  if (computes_constants(node)) refuse("it computes with a value, and constants can be taken");
  if (!takes(node)) refuse("there is no such operation here");
  Attributes attributes(node);
  (this->*table().at(node.op_type()))(node, attributes);
}

// Of constants alone: a constant.
bool Reader::fold(const NodeProto& node) {
  if (node.input_size() == 0 || !(takes(node) || computes_constants(node))) return false;
  std::vector<const Constant*> inputs;
  for (const std::string& name : node.input()) {
    inputs.push_back(name.empty() ? nullptr : value_of(name).constant);
    if (!name.empty() && inputs.back() == nullptr) return false;
  }
  Attributes attributes(node);
  std::optional<Constant> made = fold_constants(node, attributes, inputs, allowance_);
  if (made) constant_result(node, std::move(*made));
  return made.has_value();
}

void Reader::take_identity(const NodeProto& node, Attributes& attributes) {
  attributes.check_all_read();
  result(node, input(node, 0));
}

void Reader::take_dropout(const NodeProto& node, Attributes& attributes) {
  for (const char* name : {"ratio", "seed", "is_test"}) attributes.ignore(name);
  attributes.check_all_read();
  if (outputs_read(node) > 1) refuse("its mask is asked for");
  result(node, input(node, 0));
}

void Reader::take_constant(const NodeProto& node, Attributes& attributes) {
  Constant constant;
  if (const ::onnx::TensorProto* tensor = attributes.tensor("value")) {
    constant = read_constant(*tensor, folder_);
  } else if (const std::optional<Ints> values = attributes.integers("value_ints")) {
    constant = {.shape = Shape{static_cast<std::int64_t>(values->size())}, .values = *values};
  } else if (attributes.has("value_int")) {
    constant = {.shape = Shape(), .values = Ints{attributes.integer("value_int", 0)}};
  } else if (attributes.has("value_float")) {
    constant = {.shape = Shape(),
                .values = std::vector{static_cast<float>(attributes.number("value_float", 0))}};
  } else {
    refuse("it is not a tensor");
  }
  attributes.check_all_read();
  constant_result(node, std::move(constant));
}

// Numbers of any precision are computed in float.
void Reader::take_cast(const NodeProto& node, Attributes& attributes) {
  const std::int64_t to = attributes.integer("to", 0);
  attributes.ignore("saturate");
  attributes.check_all_read();
  if (to != ::onnx::TensorProto_DataType_FLOAT) refuse("it casts a value to another type");
  result(node, input(node, 0));
}

void Reader::take_shape(const NodeProto& node, Attributes& attributes) {
  const Value value = input(node, 0);
  Ints sizes;
  if (value.constant != nullptr) {
    sizes.assign(value.constant->shape.begin(), value.constant->shape.end());
  } else {
    sizes = tail(value);
    sizes.insert(sizes.begin(), batch_);
  }
  const auto count = static_cast<std::int64_t>(sizes.size());
  const std::int64_t start = attributes.integer("start", 0);
  const std::int64_t end = attributes.integer("end", count);
  attributes.check_all_read();
  const Picked picked = resolve_slice(start, end, 1, count);
  const auto begin = sizes.begin() + picked.first;
  Ints part(begin, begin + picked.count);
  const Shape shape{picked.count};
  constant_result(node, {.shape = shape, .values = std::move(part)});
}

}  // namespace octconv::onnx
