// SPDX-License-Identifier: Apache-2.0
#include "onnx/from_operations.h"

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include <onnx/onnx_pb.h>

#include "octconv/base/error.h"
#include "octconv/base/text.h"
#include "octconv/graph/stages.h"
#include "onnx/allowance.h"
#include "onnx/attributes.h"
#include "onnx/constant.h"
#include "onnx/metadata.h"

namespace octconv::onnx {
namespace {

using ::onnx::GraphProto;
using ::onnx::NodeProto;

using Ints = std::vector<std::int64_t>;

constexpr std::int64_t kMaxSize = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kFallbackExtent = 224;  // where a file leaves the extents open

std::string show(const Ints& values) {
  std::string text;
  for (const std::int64_t value : values)
    text += (text.empty() ? "" : ", ") + std::to_string(value);
  return "[" + text + "]";
}

Shape shape_of(const Ints& values) {
  Shape shape;
  for (const std::int64_t value : values) shape.push_back(value);
  return shape;
}

// What a tensor of the file is here.
struct Value {
  NodeId node = -1;                    // a value of the graph
  const Constant* constant = nullptr;  // or known already
  bool flat = true;                    // of a value without extents: [batch, channels]; else with
                                       // extents of 1 behind
  bool known = true;                   // false: made by an operation that is refused
};

class Reader {
 public:
  explicit Reader(const GraphProto& proto) : proto_(proto), graph_(start()) {}

  Model run() {
    for (int i = 0; i < proto_.node_size(); ++i) take(proto_.node(i), i);
    if (!refused_.empty()) throw Unsupported(complaint());
    if (proto_.output_size() == 0) throw FormatError("it has no output");
    for (const auto& output : proto_.output()) {
      const Value value = value_of(output.name());
      if (value.node < 0) throw FormatError("its output '" + output.name() + "' is a constant");
      graph_.add_output(value.node);
    }
    set_stages_by_stride(graph_);
    check_weights(graph_, weights_);
    static_cast<void>(infer_shapes(graph_, 1, graph_.default_extents()));
    return {.graph = std::move(graph_), .weights = std::move(weights_), .preprocessing = {}};
  }

 private:
  // ---- The input and the constants

  Graph start() {
    // Graph::add looks through all names: an absurd number of nodes would take hours.
    if (static_cast<std::size_t>(proto_.node_size()) > kMaxNodes)
      throw Unsupported("it has " + std::to_string(proto_.node_size()) + " operations, more than " +
                        std::to_string(kMaxNodes));
    std::int64_t held = 0;
    for (const auto& initializer : proto_.initializer()) {
      const auto [at, added] = constants_.emplace(initializer.name(), read_constant(initializer));
      if (!added) throw FormatError("initialiser '" + initializer.name() + "' exists twice");
      held += at->second.shape.elements();
      values_[initializer.name()] = {.constant = &at->second};
    }
    allowance_ = Allowance(held);
    for (const NodeProto& node : proto_.node()) {
      for (const std::string& name : node.input()) ++readers_[name];
    }
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
    graph.set_default_extents(Shape::filled(static_cast<std::size_t>(rank), kFallbackExtent));
    for (const ::onnx::ValueInfoProto* image : images) add_input(*image, graph);
    return graph;
  }

  // An input of the network. The first one's extents are the network's; what later ones leave open
  // is as in the first.
  void add_input(const ::onnx::ValueInfoProto& image, Graph& graph) {
    const std::string who = "its input '" + image.name() + "'";
    const auto& type = image.type().tensor_type();
    const auto& dims = type.shape().dim();
    if (type.elem_type() != ::onnx::TensorProto_DataType_FLOAT)
      throw Unsupported(who + " is not a float32 tensor");
    if (dims.size() != static_cast<int>(graph.rank()) + 2)
      throw Unsupported(who + " has " + std::to_string(dims.size()) + " dimensions instead of " +
                        std::to_string(graph.rank() + 2) + " like the first");
    const auto size = [&](int dim) {
      const std::int64_t value = dims[dim].dim_value();
      if (value < 0 || value > kMaxSize)
        throw FormatError("dimension " + std::to_string(dim) + " of " + who + " is " +
                          std::to_string(value));
      return value;  // 0: open
    };
    if (size(1) == 0) throw Unsupported(who + " leaves the number of channels open");
    Shape extents = graph.default_extents();
    for (int dim = 2; dim < dims.size(); ++dim) {
      fixed_extents_ = fixed_extents_ && size(dim) > 0;
      if (size(dim) > 0) extents[static_cast<std::size_t>(dim - 2)] = size(dim);
    }
    if (graph.inputs().empty()) graph.set_default_extents(extents);
    const bool like_the_first = extents == graph.default_extents();
    const NodeId id =
        graph.add(unique(image.name()),
                  Input{.channels = size(1), .extents = like_the_first ? Shape() : extents}, {});
    if (!values_.emplace(image.name(), Value{.node = id}).second)
      throw FormatError("input '" + image.name() + "' exists twice");
    extents_.push_back(extents);
  }

  // ---- Names

  // A name whose parts between dots are not empty, and that no node has.
  std::string unique(const std::string& wanted) {
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

  // "layer1.0.conv1" for a node whose weight is called "layer1.0.conv1.weight"; for one that
  // PyTorch calls "/layer1/layer1.0/conv1/Conv" too.
  static std::string name_by(const NodeProto& node, int weight) {
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

  Value value_of(const std::string& name) const {
    const auto found = values_.find(name);
    if (found == values_.end())
      throw FormatError("'" + name + "' is read, and nothing before makes it");
    return found->second;
  }

  Value input(const NodeProto& node, int index) const {
    if (index >= node.input_size() || node.input(index).empty())
      refuse("its input " + std::to_string(index) + " is missing");
    return value_of(node.input(index));
  }

  static bool has_input(const NodeProto& node, int index) {
    return index < node.input_size() && !node.input(index).empty();
  }

  NodeId node_input(const NodeProto& node, int index) const {
    const Value value = input(node, index);
    if (value.node < 0) refuse("its input " + std::to_string(index) + " is a constant");
    return value.node;
  }

  // A map, not a vector of channels.
  NodeId map_input(const NodeProto& node, int index) const {
    const NodeId id = node_input(node, index);
    if (!graph_.node(id).spatial)
      refuse("it reads a value without extents, which this operation needs");
    return id;
  }

  const Constant& constant_input(const NodeProto& node, int index) const {
    const Value value = input(node, index);
    if (value.constant == nullptr)
      refuse("its input " + std::to_string(index) + " is computed, and a constant can be read");
    return *value.constant;
  }

  const std::vector<float>& numbers_input(const NodeProto& node, int index) const {
    const std::vector<float>* numbers = constant_input(node, index).numbers();
    if (numbers == nullptr) refuse("its input " + std::to_string(index) + " is not of numbers");
    return *numbers;
  }

  const Ints& sizes_input(const NodeProto& node, int index) const {
    const Ints* sizes = constant_input(node, index).sizes();
    if (sizes == nullptr) refuse("its input " + std::to_string(index) + " is not of sizes");
    return *sizes;
  }

  Tensor parameter(const NodeProto& node, int index, const Shape& shape) {
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

  void keep(const std::string& node, const char* what, Tensor tensor) {
    weights_.insert_or_assign(node + "." + what, std::move(tensor));
  }

  // Extents that a value has for the file's input.
  const Shape& grid(NodeId id) const { return extents_[static_cast<std::size_t>(id)]; }

  // Adds a node, and the extents of its result.
  NodeId add(const std::string& name, Op op, std::vector<NodeId> inputs) {
    const Shape before = grid(inputs.at(0));
    try {
      const NodeId id = graph_.add(name, std::move(op), std::move(inputs));
      extents_.push_back(graph_.node(id).spatial ? before : Shape());
      const Node& node = graph_.node(id);
      if (std::holds_alternative<Conv>(node.op))
        extents_.back() = output_extents(graph_.conv_options(id), before);
      if (const auto* pool = std::get_if<Pool>(&node.op))
        extents_.back() = pooled_extents(*pool, before);
      return id;
    } catch (const Error& error) {
      refuse(error.what());
    }
  }

  // The same for an operation without weights.
  NodeId add(const NodeProto& node, Op op, std::vector<NodeId> inputs) {
    return add(unique(name_by(node, node.input_size())), std::move(op), std::move(inputs));
  }

  void result(const NodeProto& node, Value value) {
    if (!values_.emplace(node.output(0), value).second)
      throw FormatError("'" + node.output(0) + "' is made twice");
  }

  // ---- One operation after the other

  void take(const NodeProto& node, int index) {
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
        refused_.push_back("'" + (node.name().empty() ? node.output(0) : node.name()) + "' (" +
                           node.op_type() + "): " + refusal.why);
      }
    } else if (!takes(node)) {
      refused_.push_back("'" + (node.name().empty() ? node.output(0) : node.name()) + "' (" +
                         node.op_type() + "): there is no such operation here");
    }
    for (const std::string& output : node.output()) {
      if (!output.empty()) values_.insert_or_assign(output, Value{.known = false});
    }
  }

  std::string complaint() const {
    std::string text = std::to_string(refused_.size()) + " of its " +
                       std::to_string(proto_.node_size()) + " operations cannot be taken: ";
    return text + join(refused_, "; ");
  }

  using Take = void (Reader::*)(const NodeProto&, Attributes&);

  static const std::map<std::string_view, Take>& table() {
    static const std::map<std::string_view, Take> table{
        {"Add", &Reader::take_add},
        {"AveragePool", &Reader::take_average_pool},
        {"BatchNormalization", &Reader::take_batch_norm},
        {"Clip", &Reader::take_clip},
        {"Concat", &Reader::take_concat},
        {"Constant", &Reader::take_constant},
        {"Conv", &Reader::take_conv},
        {"Dropout", &Reader::take_dropout},
        {"Flatten", &Reader::take_flatten},
        {"Gemm", &Reader::take_gemm},
        {"GlobalAveragePool", &Reader::take_global_pool},
        {"Identity", &Reader::take_identity},
        {"MatMul", &Reader::take_mat_mul},
        {"MaxPool", &Reader::take_max_pool},
        {"Mul", &Reader::take_mul},
        {"Pad", &Reader::take_pad},
        {"ReduceMean", &Reader::take_reduce_mean},
        {"Relu", &Reader::take_relu},
        {"Reshape", &Reader::take_reshape},
        {"Sigmoid", &Reader::take_sigmoid},
        {"Squeeze", &Reader::take_squeeze}};
    return table;
  }

  static bool takes(const NodeProto& node) {
    return (node.domain().empty() || node.domain() == "ai.onnx") &&
           table().contains(node.op_type());
  }

  void take_known(const NodeProto& node) {
    if (!takes(node)) refuse("there is no such operation here");
    Attributes attributes(node);
    (this->*table().at(node.op_type()))(node, attributes);
  }

  // ---- Convolutions and pools

  struct Window {
    Shape kernel;
    Shape stride;
    Shape dilation;
    Shape begin;
    Shape end;
  };

  Window window(Attributes& attributes, const std::optional<Shape>& weight_kernel,
                const Shape& in) const {
    const std::size_t rank = graph_.rank();
    const auto list = [&](const char* name, std::int64_t fallback, std::size_t count,
                          std::int64_t least) {
      Ints values = attributes.integers(name).value_or(Ints(count, fallback));
      if (values.size() != count) refuse(std::string(name) + " " + show(values) + " do not fit");
      for (const std::int64_t value : values) {
        if (value < least || value > kMaxSize)
          refuse(std::string(name) + " " + show(values) + " are out of range");
      }
      return values;
    };
    Window w;
    const std::optional<Ints> kernel = attributes.integers("kernel_shape");
    if (!kernel && !weight_kernel) refuse("it has no kernel_shape");
    w.kernel = kernel ? shape_of(*kernel) : *weight_kernel;
    if (w.kernel.rank() != rank || (weight_kernel && w.kernel != *weight_kernel))
      refuse("its kernel " + w.kernel.to_string() + " does not fit");
    for (const std::int64_t extent : w.kernel) {
      if (extent < 1 || extent > kMaxSize) refuse("its kernel is out of range");
    }
    w.stride = shape_of(list("strides", 1, rank, 1));
    w.dilation = shape_of(list("dilations", 1, rank, 1));
    const std::string automatic = attributes.text("auto_pad", "NOTSET");
    const Ints pads = list("pads", 0, 2 * rank, 0);
    w.begin = shape_of(Ints(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(rank)));
    w.end = shape_of(Ints(pads.begin() + static_cast<std::ptrdiff_t>(rank), pads.end()));
    if (automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
      for (std::size_t axis = 0; axis < rank; ++axis) {
        const std::int64_t reach = w.dilation[axis] * (w.kernel[axis] - 1);
        std::int64_t all = reach;
        if (w.stride[axis] != 1) {
          if (!fixed_extents_) refuse("auto_pad with strides needs an input of fixed extents");
          const std::int64_t out = (in[axis] + w.stride[axis] - 1) / w.stride[axis];
          all = std::max<std::int64_t>(0, (out - 1) * w.stride[axis] + reach + 1 - in[axis]);
        }
        w.begin[axis] = automatic == "SAME_LOWER" ? all - all / 2 : all / 2;
        w.end[axis] = all - w.begin[axis];
      }
    } else if (automatic != "NOTSET" && automatic != "VALID") {
      refuse("auto_pad '" + automatic + "' is not known");
    }
    return w;
  }

  static bool pads(const Window& w) {
    const auto some = [](std::int64_t padding) { return padding != 0; };
    return std::any_of(w.begin.begin(), w.begin.end(), some) ||
           std::any_of(w.end.begin(), w.end.end(), some);
  }

  void take_conv(const NodeProto& node, Attributes& attributes) {
    const NodeId x = node_input(node, 0);
    const Shape& weight = constant_input(node, 1).shape;
    if (weight.rank() != graph_.rank() + 2) refuse("its weight has shape " + weight.to_string());
    Shape kernel;
    for (std::size_t axis = 2; axis < weight.rank(); ++axis) kernel.push_back(weight[axis]);
    const Window w = window(attributes, kernel, grid(x));
    const std::int64_t groups = attributes.integer("group", 1);
    attributes.check_all_read();
    const std::int64_t in = graph_.node(x).channels.total();
    if (groups < 1 || in % groups != 0 || weight[1] != in / groups)
      refuse(std::to_string(groups) + " groups and a weight of " + weight.to_string() +
             " do not fit " + std::to_string(in) + " channels");
    const std::string name = unique(name_by(node, 1));
    const bool bias = has_input(node, 2);
    Tensor weights = parameter(node, 1, weight);
    NodeId id = -1;
    if (!graph_.node(x).spatial) {
      // On one pixel a convolution of one tap is a fully connected layer.
      if (kernel.elements() != 1 || groups != 1 || pads(w))
        refuse("it reads a value without extents");
      id = add(name, Linear{.out_channels = weight[0], .bias = bias}, {x});
      weights = std::move(weights).reshaped({weight[0], weight[1]});
    } else {
      id = add(name,
               Conv{.out_channels = weight[0],
                    .kernel = w.kernel,
                    .stride = w.stride,
                    .dilation = w.dilation,
                    .padding_begin = w.begin,
                    .padding_end = w.end,
                    .groups = groups,
                    .bias = bias},
               {x});
    }
    keep(name, "weight", std::move(weights));
    if (bias) keep(name, "bias", parameter(node, 2, {weight[0]}));
    result(node, {.node = id, .flat = graph_.node(id).spatial});
  }

  void take_pool(const NodeProto& node, Attributes& attributes, PoolKind kind) {
    const NodeId x = map_input(node, 0);
    const Shape& in = grid(x);
    Window w = window(attributes, std::nullopt, in);
    const bool up = attributes.integer("ceil_mode", 0) != 0;
    const bool counts_padding = attributes.integer("count_include_pad", 0) != 0;
    attributes.ignore("storage_order");  // of indices, which are a second output
    attributes.check_all_read();
    if (node.output_size() > 1) refuse("its indices are asked for");
    if (std::any_of(w.dilation.begin(), w.dilation.end(), [](auto d) { return d != 1; }))
      refuse("its dilations are not 1");
    if (kind == PoolKind::kAverage && counts_padding && pads(w))
      refuse("it counts padding as pixels");
    if (up) {
      if (!fixed_extents_) refuse("ceil_mode needs an input of fixed extents");
      // As much more padding as the last window needs, if it begins on the image or its near edge.
      for (std::size_t axis = 0; axis < in.rank(); ++axis) {
        const std::int64_t room = in[axis] + w.begin[axis] + w.end[axis] - w.kernel[axis];
        if (room < 0) refuse("its window does not fit");
        std::int64_t windows = (room + w.stride[axis] - 1) / w.stride[axis] + 1;
        if ((windows - 1) * w.stride[axis] >= in[axis] + w.begin[axis]) --windows;
        const std::int64_t needed =
            (windows - 1) * w.stride[axis] + w.kernel[axis] - in[axis] - w.begin[axis];
        w.end[axis] = std::max(w.end[axis], needed);
      }
    }
    const NodeId id = add(node,
                          Pool{.kind = kind,
                               .kernel = w.kernel,
                               .stride = w.stride,
                               .padding_begin = w.begin,
                               .padding_end = w.end},
                          {x});
    result(node, {.node = id});
  }

  void take_max_pool(const NodeProto& node, Attributes& attributes) {
    take_pool(node, attributes, PoolKind::kMax);
  }
  void take_average_pool(const NodeProto& node, Attributes& attributes) {
    take_pool(node, attributes, PoolKind::kAverage);
  }

  void take_global_pool(const NodeProto& node, Attributes& attributes) {
    attributes.check_all_read();
    const NodeId x = map_input(node, 0);
    result(node, {.node = add(node, GlobalPool{}, {x}), .flat = false});
  }

  // Are these the axes behind batch and channels, all of them?
  bool are_extents(const Ints& axes) const {
    const auto dims = static_cast<std::int64_t>(graph_.rank()) + 2;
    std::set<std::int64_t> named;
    for (const std::int64_t axis : axes) named.insert(axis < 0 ? axis + dims : axis);
    return named.size() == axes.size() && named.size() == graph_.rank() && *named.begin() == 2 &&
           *named.rbegin() == dims - 1;
  }

  // The mean over all extents is a global pool.
  void take_reduce_mean(const NodeProto& node, Attributes& attributes) {
    const NodeId x = map_input(node, 0);
    const bool kept = attributes.integer("keepdims", 1) != 0;
    std::optional<Ints> axes = attributes.integers("axes");
    if (!axes && has_input(node, 1)) axes = sizes_input(node, 1);
    attributes.ignore("noop_with_empty_axes");
    attributes.check_all_read();
    if (!axes || !are_extents(*axes)) refuse("it is no mean over all extents");
    result(node, {.node = add(node, GlobalPool{}, {x}), .flat = !kept});
  }

  // ---- What keeps the shape

  void take_batch_norm(const NodeProto& node, Attributes& attributes) {
    const NodeId x = map_input(node, 0);
    const double epsilon = attributes.number("epsilon", 1e-5);
    const double momentum = attributes.number("momentum", 0.9);
    if (attributes.integer("training_mode", 0) != 0) refuse("it is in training mode");
    if (attributes.integer("spatial", 1) != 1) refuse("it has statistics per pixel");
    attributes.check_all_read();
    if (node.output_size() > 1) refuse("its statistics are asked for");
    const Shape channels{graph_.node(x).channels.total()};
    const std::string name = unique(name_by(node, 1));
    // ONNX's momentum is the weight of the old statistics.
    const NodeId id = add(
        name, BatchNorm{.epsilon = epsilon, .momentum = std::clamp(1 - momentum, 0.0, 1.0)}, {x});
    int index = 1;
    for (const char* what : {"weight", "bias", "running_mean", "running_var"})
      keep(name, what, parameter(node, index++, channels));
    result(node, {.node = id});
  }

  void take_activation(const NodeProto& node, ActivationKind kind) {
    const Value x = input(node, 0);
    const NodeId id = add(node, Activation{kind}, {node_input(node, 0)});
    result(node, {.node = id, .flat = x.flat});
  }

  void take_relu(const NodeProto& node, Attributes& attributes) {
    attributes.check_all_read();
    take_activation(node, ActivationKind::kRelu);
  }
  void take_sigmoid(const NodeProto& node, Attributes& attributes) {
    attributes.check_all_read();
    take_activation(node, ActivationKind::kSigmoid);
  }

  // Bounds of 0 and 6 or none: as attributes to opset 10, as inputs since.
  void take_clip(const NodeProto& node, Attributes& attributes) {
    constexpr double kOpen = std::numeric_limits<float>::max();
    double least = attributes.number("min", -kOpen);
    double most = attributes.number("max", kOpen);
    attributes.check_all_read();
    const auto scalar = [&](int index) {
      const std::vector<float>& numbers = numbers_input(node, index);
      if (numbers.size() != 1) refuse("a bound is not one number");
      return static_cast<double>(numbers[0]);
    };
    if (has_input(node, 1)) least = scalar(1);
    if (has_input(node, 2)) most = scalar(2);
    if (least == 0 && most == 6) {
      take_activation(node, ActivationKind::kRelu6);
    } else if (least == 0 && most >= kOpen) {
      take_activation(node, ActivationKind::kRelu);
    } else {
      refuse("it clips to [" + std::to_string(least) + ", " + std::to_string(most) +
             "], and [0, 6] and [0, infinity) can be taken");
    }
  }

  void pass_on(const NodeProto& node) { result(node, input(node, 0)); }

  void take_identity(const NodeProto& node, Attributes& attributes) {
    attributes.check_all_read();
    pass_on(node);
  }

  void take_dropout(const NodeProto& node, Attributes& attributes) {
    for (const char* name : {"ratio", "seed", "is_test"}) attributes.ignore(name);
    attributes.check_all_read();
    if (node.output_size() > 1) refuse("its mask is asked for");
    pass_on(node);
  }

  // PyTorch writes padding of nothing in front of average pools.
  void take_pad(const NodeProto& node, Attributes& attributes) {
    std::optional<Ints> pads = attributes.integers("pads");
    for (const char* name : {"mode", "value"}) attributes.ignore(name);
    attributes.check_all_read();
    if (!pads) pads = sizes_input(node, 1);
    if (std::any_of(pads->begin(), pads->end(), [](auto padding) { return padding != 0; }))
      refuse("it pads by " + show(*pads) + "; padding belongs into convolutions and pools");
    pass_on(node);
  }

  void take_constant(const NodeProto& node, Attributes& attributes) {
    const ::onnx::TensorProto* tensor = attributes.tensor("value");
    if (tensor == nullptr) refuse("it is not a tensor");
    attributes.check_all_read();
    Constant& constant = constants_["constant of " + node.output(0)];
    constant = read_constant(*tensor);
    result(node, {.constant = &constant});
  }

  // ---- Vectors of channels

  // Of a value without extents, [batch, channels, 1...] or [batch, channels]: both are the same
  // here.
  Value vector_input(const NodeProto& node, int index) const {
    const Value x = input(node, index);
    if (x.node < 0 || graph_.node(x.node).spatial)
      refuse("it flattens a map, and only what a global pool made can be flattened");
    return x;
  }

  void take_flatten(const NodeProto& node, Attributes& attributes) {
    if (attributes.integer("axis", 1) != 1) refuse("its axis is not 1");
    attributes.check_all_read();
    result(node, {.node = vector_input(node, 0).node});
  }

  void take_reshape(const NodeProto& node, Attributes& attributes) {
    attributes.ignore("allowzero");
    attributes.check_all_read();
    const Value x = vector_input(node, 0);
    const Ints& shape = sizes_input(node, 1);
    const std::int64_t channels = graph_.node(x.node).channels.total();
    // Batch first (whatever its size), all channels second, and nothing but ones behind.
    const bool keeps_batch = shape.size() >= 2 && (shape[1] == channels || shape[1] == 0 ||
                                                   (shape[1] == -1 && shape[0] != -1));
    if (!keeps_batch || !std::all_of(shape.begin() + 2, shape.end(), [](auto e) { return e == 1; }))
      refuse("it reshapes to " + show(shape) + ", which is not [batch, " +
             std::to_string(channels) + "]");
    result(node, {.node = x.node, .flat = shape.size() == 2});
  }

  void take_squeeze(const NodeProto& node, Attributes& attributes) {
    std::optional<Ints> axes = attributes.integers("axes");
    attributes.check_all_read();
    if (!axes && has_input(node, 1)) axes = sizes_input(node, 1);
    const Value x = vector_input(node, 0);
    if (!axes || !(x.flat ? axes->empty() : are_extents(*axes)))
      refuse("it does not take away the extents and nothing else");
    result(node, {.node = x.node});
  }

  void take_gemm(const NodeProto& node, Attributes& attributes) {
    const Value x = vector_input(node, 0);
    const bool transposed = attributes.integer("transB", 0) != 0;
    if (attributes.integer("transA", 0) != 0) refuse("it transposes its input");
    if (attributes.number("alpha", 1) != 1 || attributes.number("beta", 1) != 1)
      refuse("its alpha or beta is not 1");
    attributes.check_all_read();
    if (!x.flat) refuse("its input is not [batch, channels]");
    linear(node, x.node, transposed, has_input(node, 2));
  }

  void take_mat_mul(const NodeProto& node, Attributes& attributes) {
    attributes.check_all_read();
    const Value x = vector_input(node, 0);
    if (!x.flat) refuse("its input is not [batch, channels]");
    linear(node, x.node, /*transposed=*/false, /*bias=*/false);
  }

  void linear(const NodeProto& node, NodeId x, bool transposed, bool bias) {
    const Shape& held = constant_input(node, 1).shape;
    const std::int64_t in = graph_.node(x).channels.total();
    if (held.rank() != 2 || held[transposed ? 1 : 0] != in)
      refuse("its weight has shape " + held.to_string() + ", and its input " + std::to_string(in) +
             " channels");
    const std::int64_t out = held[transposed ? 0 : 1];
    const std::string name = unique(name_by(node, 1));
    const Tensor weight = parameter(node, 1, held);
    Tensor rows({out, in});
    for (std::int64_t row = 0; row < out; ++row) {
      for (std::int64_t column = 0; column < in; ++column) {
        rows.data()[row * in + column] =
            weight.data()[transposed ? row * in + column : column * out + row];
      }
    }
    const NodeId id = add(name, Linear{.out_channels = out, .bias = bias}, {x});
    keep(name, "weight", std::move(rows));
    if (bias) {
      const Shape& shape = constant_input(node, 2).shape;
      Tensor shift = parameter(node, 2, shape);
      if (shape.elements() != out) refuse("its bias has shape " + shape.to_string());
      keep(name, "bias", std::move(shift).reshaped({out}));
    }
    result(node, {.node = id});
  }

  // ---- Several inputs

  void take_add(const NodeProto& node, Attributes& attributes) {
    attributes.check_all_read();
    for (const int index : {0, 1}) {
      if (input(node, index).constant != nullptr) {
        add_bias(node, index);
        return;
      }
    }
    const NodeId a = node_input(node, 0);
    const NodeId b = node_input(node, 1);
    if (grid(a) != grid(b))
      refuse("it adds extents " + grid(a).to_string() + " and " + grid(b).to_string());
    result(node, {.node = add(node, Add{}, {a, b}), .flat = input(node, 0).flat});
  }

  // A constant added to a fully connected layer that has no bias yet, and that nobody else reads.
  void add_bias(const NodeProto& node, int index) {
    const NodeId id = node_input(node, 1 - index);
    const auto* layer = std::get_if<Linear>(&graph_.node(id).op);
    const std::string& name = graph_.node(id).name;
    if (layer == nullptr || layer->bias || static_cast<std::size_t>(id) + 1 != extents_.size() ||
        readers_.at(node.input(1 - index)) != 1)
      refuse("it adds a constant, which only a fully connected layer can take");
    const Shape& shape = constant_input(node, index).shape;
    if (shape.elements() != layer->out_channels || shape[shape.rank() - 1] != shape.elements())
      refuse("its constant has shape " + shape.to_string());
    Tensor bias = parameter(node, index, shape);
    graph_.set_bias(id);
    keep(name, "bias", std::move(bias).reshaped({shape.elements()}));
    result(node, {.node = id});
  }

  // A map times one number per channel and image: a gate.
  void take_mul(const NodeProto& node, Attributes& attributes) {
    attributes.check_all_read();
    NodeId map = node_input(node, 0);
    NodeId gate = node_input(node, 1);
    bool flat = input(node, 1).flat;
    if (!graph_.node(map).spatial) {
      std::swap(map, gate);
      flat = input(node, 0).flat;
    }
    if (!graph_.node(map).spatial || graph_.node(gate).spatial || flat)
      refuse("it does not multiply a map and a gate of one number per channel");
    result(node, {.node = add(node, Scale{}, {map, gate})});
  }

  void take_concat(const NodeProto& node, Attributes& attributes) {
    const std::int64_t axis = attributes.integer("axis", 1);
    attributes.check_all_read();
    const auto dims = static_cast<std::int64_t>(graph_.rank()) + 2;
    if (axis != 1 && axis != 1 - dims) refuse("it does not join channels");
    std::vector<NodeId> parts;
    for (int i = 0; i < node.input_size(); ++i) parts.push_back(map_input(node, i));
    for (const NodeId part : parts) {
      if (grid(part) != grid(parts[0])) refuse("it joins maps of different extents");
    }
    result(node, {.node = add(node, Concat{}, parts)});
  }

  const GraphProto& proto_;
  std::map<std::string, Constant> constants_;
  std::map<std::string, Value> values_;
  std::set<std::string> names_;
  std::map<std::string, int> repeats_;
  std::map<std::string, int> readers_;  // of each tensor of the file; the network's user is one
  Allowance allowance_{0};
  std::vector<Shape> extents_;  // by node
  bool fixed_extents_ = true;
  Weights weights_;
  std::vector<std::string> refused_;
  Graph graph_;
};

}  // namespace

Model from_operations(const GraphProto& proto) {
  return Reader(proto).run();
}

}  // namespace octconv::onnx
